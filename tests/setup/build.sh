#!/usr/bin/env bash
# Builds the programs as they are shipped and puts them into target/programs (packaging/programs says how each is linked).
#     build.sh               what is dynamic needs glibc 2.17, whatever this system has: zig links it
#     build.sh native        with this system's own compiler and glibc, for a package that is rebuilt where it is to run
#     ARCH=aarch64 build.sh  for another architecture, into target/programs-aarch64: Debian's cross compiler links what
#                            is static, with glibc
# What is static has musl, where rustup can bring it: of an idle agent a third less is its own than with a static glibc.
set -euo pipefail
cd "$(dirname "$0")/../.."

. packaging/architecture.sh
target=${CARGO_TARGET_DIR:-target}
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
# sha2 would ask the processor first whether it can do SHA-256 itself: in a virtual machine that takes longer than the few
# short texts that a program hashes.
flags=' --cfg=sha2_256_backend="soft"'
for crates in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/ "$PWD/vendor/"; do
    [ ! -d "$crates" ] || flags+=" --remap-path-prefix=$crates=/crates/"
done

# zig looks for libraries where it is told to and nowhere else; of this system's it is to see libpam alone.
libraries=$(realpath -m "$target/libpam")
libpam=$(find /usr/lib /usr/lib64 -maxdepth 2 -name libpam.so | head -n 1)
cross=
if [ "$arch" = "$(uname -m)" ]; then
    mkdir -p "$libraries"
    ln -sf "$libpam" "$libraries/"
else
    cross=$arch-linux-gnu-
    libraries+=-$arch
    mkdir -p "$libraries"
    rustup --quiet target add "$triple"
    # A linker wants the names and versions of libpam's symbols, which are the same everywhere.
    exported=$(nm -D --defined-only --with-symbol-versions "$libpam" | awk '$2 == "T" { print $3 }')
    sed 's/@.*/() {}/; s/^/void /' <<<"$exported" >"$libraries/libpam.c"
    awk -F '@+' '{ names[$2] = names[$2] " " $1 ";" } END { for (v in names) print v " {" names[v] " };" }' \
        <<<"$exported" >"$libraries/libpam.map"
    "${cross}gcc" -w -shared -nostdlib -fno-builtin -Wl,-soname,libpam.so.0 -Wl,--version-script="$libraries/libpam.map" \
        -o "$libraries/libpam.so" "$libraries/libpam.c"
fi

# compile WHERE HOW TARGET FLAGS ARGUMENTS…: flags for a named target reach the programs only, not build scripts and
# procedural macros; a directory of its own for each set of them, or each build would undo the other's.
compile() {
    local where=$target/$1 how=$2 variable
    variable=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"${3%%.*}")
    # Either of these, where it is set, would have cargo leave ours out.
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS "${variable}_RUSTFLAGS=$4$flags" ${linker:+"${variable}_LINKER=$linker"} \
        cargo "$how" --quiet --locked --release --target-dir "$where" --target "$3" "${@:5}"
}

# What glibc does first asks an x86_64 processor for its caches, some seventy times. In a virtual machine each answer is the
# hypervisor's, and a program takes half a millisecond longer to start. musl does not ask.
static_triple=$triple
if [ "$triple" = x86_64-unknown-linux-gnu ] && [ "${1-}" != native ]; then
    static_triple=x86_64-unknown-linux-musl
    rustup --quiet target add "$static_triple"
fi

static() {
    local bins linker=
    [ "$arch" = x86_64 ] || linker=$PWD/tests/setup/static-pie.sh
    mapfile -t bins < <(awk '$4 == "static" { print "--bin=" $1 }' packaging/programs)
    CROSS=$cross compile static build "$static_triple" "-C target-feature=+crt-static" -p iam-session "${bins[@]}"
}

# dynamic HOW TARGET
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
    dynamic build "$triple" &
else
    tests/setup/zig.sh
    PATH=$(realpath "$target/zig/bin"):$PATH dynamic zigbuild "$triple.$glibc" &
fi
another=$! failed=
wait "$one" || failed=1
wait "$another" || failed=1
[ ! "$failed" ] || { echo "build.sh: the programs were not built" >&2; exit 1; }

rm -rf "$programs"
mkdir -p "$programs"
awk '!/^#/ { print $1 }' packaging/programs | while read -r name; do
    case $name in
    pam_iam.so) built=dynamic/$triple/release/libpam_iam.so ;;
    helper) built=dynamic/$triple/release/helper ;;
    *) built=static/$static_triple/release/$name ;;
    esac
    install -m 0755 "$target/$built" "$programs/$name"
done
