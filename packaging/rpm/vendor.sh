#!/usr/bin/env bash
# The crates of others, for a source RPM that is built without a network: packaging/rpm/vendor.sh DIRECTORY/vendor.
# Cargo wants the manifest of every crate in Cargo.lock; of those for other systems it gets nothing more.
set -euo pipefail
vendor=$1
cd "$(dirname "$0")/../.."

cargo vendor --quiet --locked "$vendor"
mkdir -p "${vendor%/*}/.cargo"
cat >"${vendor%/*}/.cargo/config.toml" <<'END'
[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"
END

# Those of both architectures: a source RPM is rebuilt on any.
used=$(cargo tree --locked --workspace --all-features -e all \
    --target x86_64-unknown-linux-gnu --target aarch64-unknown-linux-gnu --prefix none --format '{p}' | awk '{ print $1 "-" substr($2, 2) }' | sort -u)
for crate in "$vendor"/*; do
    manifest=$crate/Cargo.toml
    name=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$manifest" | head -n 1)
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$manifest" | head -n 1)
    if ! grep -qxF "$name-$version" <<<"$used"; then
        find "$crate" -mindepth 1 -not -path "$manifest" -not -name .cargo-checksum.json -delete
        mkdir "$crate/src"
        : >"$crate/src/lib.rs"
        sed -i 's/"files":{[^}]*}/"files":{}/' "$crate/.cargo-checksum.json"
    fi
done
