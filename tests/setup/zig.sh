#!/usr/bin/env bash
# Puts zig and cargo-zigbuild into target/zig, once: pinned Python wheels. zig links against the glibc of an old system
# without having one at hand.
set -euo pipefail
cd "$(dirname "$0")/../.."

wheels=(ziglang==0.15.2 cargo-zigbuild==0.24.0)
zig=${CARGO_TARGET_DIR:-target}/zig
if [ "$(cat "$zig/stamp" 2>/dev/null)" = "${wheels[*]}" ]; then exit 0; fi

rm -rf "$zig"
/usr/bin/python3 -m venv "$zig"
"$zig/bin/pip" install --quiet --disable-pip-version-check --only-binary ':all:' "${wheels[@]}"
printf '%s\n' "${wheels[*]}" >"$zig/stamp"
