#!/usr/bin/env bash
# Adds to what packaging/install.sh has laid what is made of the sources: completions, licences, the list of components.
#     packaging/generated.sh ROOT [PROGRAMS]
# The same sources give the same bytes.
set -euo pipefail
root=$(realpath -m "$1")
cd "$(dirname "$0")/.."
programs=$(realpath "${2:-${CARGO_TARGET_DIR:-target}/programs}")
umask 022

# All features of everything, which is how the tests build: what both need is built once. A build script may look at
# these variables, and another value than the tests' would have its crate built anew, here and there in turn.
mapfile -t foreign < <(compgen -e | grep -E '^(SOURCE_DATE_EPOCH|OUT_DIR|CARGO_(MANIFEST|PKG)_.*)$')
env ${foreign[@]+"${foreign[@]/#/--unset=}"} cargo build --quiet --locked --workspace --all-features --bin generate
generate=${CARGO_TARGET_DIR:-target}/debug/generate
"$generate" completions "$root"
"$generate" licences "$root/usr/share/licenses/iam-session/THIRD-PARTY.txt"
"$generate" components "$root/usr/share/doc/iam-session/components.cdx.json" "$programs"
