#!/usr/bin/env bash
# Lays into target/installed what the machines of the tests install: the programs in target/programs and the files that
# the repository has for the package. That it is what the package holds is a test (tests/tests/package/contents.rs).
set -euo pipefail
cd "$(dirname "$0")/../.."
installed=${CARGO_TARGET_DIR:-target}/installed

rm -rf "$installed"
packaging/install.sh "$installed" /usr/lib64/security
