#!/usr/bin/env bash
# Makes the packages of what is in target/programs, for the tests: all of them in target/package; a second release, which
# the first can be upgraded to, in target/package/next; and in target/package/root what the first one's payload holds.
# And in target/installed what the machines of the tests install.
set -euo pipefail
# The tests look for the names of EL 7, whatever the caller builds for.
unset DIST
cd "$(dirname "$0")/../.."
packages=${CARGO_TARGET_DIR:-target}/package

tests/setup/installed.sh
rm -rf "$packages"
tests/setup/beside.sh "packaging/rpm/build.sh >/dev/null" "packaging/deb/build.sh >/dev/null" \
    "PACKAGES=$packages/next RELEASE=2 packaging/rpm/build.sh binary >/dev/null"
mkdir "$packages/root"
rpm2cpio "$packages"/iam-session-[0-9]*."$(uname -m)".rpm | (cd "$packages/root" && cpio --quiet -idm)
