#!/usr/bin/env bash
# Builds the programs as they are shipped and puts them into target/programs (packaging/programs says how each is linked).
#     build.sh           what is dynamic needs glibc 2.17, whatever this system has: zig links it
#     build.sh native    with this system's own compiler and glibc, for a package that is rebuilt where it is to run
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
programs=$target/programs
host=$(rustc -vV | sed -n 's/^host: //p')
glibc=2.17

# An older cargo says so in words that name a field of the manifest, or not at all.
needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
rust=$(rustc -V | cut -d ' ' -f 2)
if [ "$(printf '%s\n' "$needed" "$rust" | sort -V | head -n 1)" != "$needed" ]; then
    echo "build.sh: rustc is $rust, and $needed or later is needed: https://rustup.rs has it" >&2
    exit 1
fi

# The same bytes wherever they are built: the paths of crates are in what a panic says.
cargo fetch --quiet --locked
flags=
for crates in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/ "$PWD/vendor/"; do
    [ ! -d "$crates" ] || flags+=" --remap-path-prefix=$crates=/crates/"
done

# zig looks for libraries where it is told to and nowhere else; of this system's it is to see libpam alone.
libraries=$(realpath -m "$target/libpam")
mkdir -p "$libraries"
ln -sf "$(find /usr/lib /usr/lib64 -maxdepth 2 -name libpam.so | head -n 1)" "$libraries/"

# compile WHERE HOW TRIPLE FLAGS ARGUMENTS…: flags for a named target reach the programs only, not build scripts and
# procedural macros; a directory of its own for each set of them, or each build would undo the other's.
compile() {
    local where=$target/$1 how=$2 triple=$3 variable
    variable=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$host")_RUSTFLAGS
    # Either of these, where it is set, would have cargo leave ours out.
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS "$variable=$4$flags" cargo "$how" --quiet --locked --release --target-dir "$where" --target "$triple" "${@:5}"
}

static() {
    local bins
    mapfile -t bins < <(awk '$4 == "static" { print "--bin=" $1 }' packaging/programs)
    compile static build "$host" "-C target-feature=+crt-static" -p iam-session "${bins[@]}"
}

# dynamic HOW TRIPLE
dynamic() {
    local link="-L native=$libraries -C link-arg=-Wl,-z,relro,-z,now"
    compile dynamic "$1" "$2" "$link" -p iam-session --features helper --bin helper
    compile dynamic "$1" "$2" "$link" -p pam_iam
}

# Side by side: each set ends with steps that keep no more than one core busy. What is in the background ignores an
# interrupt.
trap 'trap "" TERM; kill -TERM 0; wait; exit 130' INT
static &
one=$!
if [ "${1-}" = native ]; then
    dynamic build "$host" &
else
    tests/setup/zig.sh
    PATH=$(realpath "$target/zig/bin"):$PATH dynamic zigbuild "$host.$glibc" &
fi
another=$! failed=
wait "$one" || failed=1
wait "$another" || failed=1
[ ! "$failed" ] || { echo "build.sh: the programs were not built" >&2; exit 1; }

rm -rf "$programs"
mkdir -p "$programs"
awk '!/^#/ { print $1 }' packaging/programs | while read -r name; do
    case $name in
    pam_iam.so) built=dynamic/$host/release/libpam_iam.so ;;
    helper) built=dynamic/$host/release/helper ;;
    *) built=static/$host/release/$name ;;
    esac
    install -m 0755 "$target/$built" "$programs/$name"
done
