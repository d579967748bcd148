#!/usr/bin/env bash
# What the PAM module drags into sshd: its crates, the symbols it wants from the host's libraries, how it is linked.
# `check-module.sh --update` writes the lists anew, for a change that is meant; review what it changes.
#
# The lists are of a build for this system by the toolchain that rust-toolchain.toml pins. The build for glibc 2.17 asks
# for other names of the same functions, and has a check of its own for their versions.
set -euo pipefail
cd "$(dirname "$0")/../.."
lists=tests/lists
target=${CARGO_TARGET_DIR:-target}
module=$target/release/libpam_iam.so
failed=0

complain() {
    echo "check-module: $*" >&2
    failed=1
}

for tool in nm readelf; do
    command -v "$tool" >/dev/null || { echo "check-module: $tool is missing (binutils)" >&2; exit 1; }
done

crates() { cargo tree --locked -p pam_iam -e normal --prefix none | awk 'NF { print $1 }' | sort -u; }
symbols() { nm -D --undefined-only "$module" | awk '{ sub(/@.*/, "", $2); print $2 }' | sort -u; }
exported() { nm -D --defined-only "$module" | awk '{ print $3 }' | sort | tr '\n' ' '; }

# compare WHAT LIST: standard input against the list. Not in a pipeline, whose subshell would forget the failure.
compare() {
    if [ "${update:-}" ]; then
        cat >"$2"
    elif ! changes=$(diff --unchanged-line-format= --old-line-format='-%L' --new-line-format='+%L' "$2" -); then
        complain "$1 differ from $2: $(tr '\n' ' ' <<<"$changes")"
    fi
}

[ "${1:-}" = --update ] && update=1
export LC_ALL=C
cargo build --quiet --locked --release -p pam_iam
compare crates "$lists/pam_iam.crates" < <(crates)
compare "undefined symbols" "$lists/pam_iam.symbols" < <(symbols)

hooks="pam_sm_acct_mgmt pam_sm_authenticate pam_sm_chauthtok pam_sm_close_session pam_sm_open_session pam_sm_setcred "
[ "$(exported)" = "$hooks" ] || complain "it exports other symbols than the six hooks: $(exported)"
readelf -d "$module" | grep -q 'FLAGS_1.*NODELETE' || complain "it is not linked -z nodelete"
readelf -d "$module" | grep -q 'NEEDED.*\[libpam\.so\.0\]' || complain "it does not name libpam.so.0 among its libraries"

# std's own hook for panics reads RUST_BACKTRACE, so getenv is in the list although the module replaces that hook
# before it does anything else. Nothing else in std is as forgivable: no thread, no change of the environment.
for symbol in pthread_create clone setenv unsetenv putenv signal sigaction; do
    ! symbols | grep -qx "$symbol" || complain "it wants $symbol"
done

# And our own code, compiled alone, refers to neither the environment nor threads at all.
cargo rustc --quiet --locked -p pam_iam --lib --crate-type rlib
ours='(^|[^_[:alnum:]])(getenv|secure_getenv|setenv|putenv|unsetenv|pthread_create)$|std::env::|std::thread::'
if wanted=$(nm --undefined-only --demangle "$target/debug/libpam_iam.rlib" 2>/dev/null | sed 's/^ *[Uw] //' | grep -E "$ours"); then
    complain "our own code wants, among others: $(head -3 <<<"$wanted" | tr '\n' ' ')"
fi
exit "$failed"
