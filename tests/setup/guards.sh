#!/usr/bin/env bash
# Rules that no lint knows. Each prints what breaks it, and all are looked at.
set -euo pipefail
cd "$(dirname "$0")/../.."

broken=0
# guard RULE PATTERN PATHS…: no line of these files may match.
guard() {
    local rule=$1 pattern=$2 status=0
    shift 2
    git grep -nE "$pattern" -- "$@" || status=$?
    # 1: none. More: git could not look, as that of EL 7, which leaves no path out.
    if [ "$status" -ne 1 ]; then
        echo "guards.sh: $rule" >&2
        broken=1
    fi
}

guard "a test that is not run is no test" '#\[ignore' '*.rs'
guard "the module turns a panic into PAM_ABORT, which needs unwinding" '^ *panic *=' '*.toml'
guard "unsafe code has its two places, which pam_iam/src/lib.rs and launch.rs open: ffi and launch/sys.rs" \
    'allow\(.*unsafe_code' '*.rs' ':!pam_iam/src/lib.rs' ':!pam_iam/src/launch.rs'
guard "std's handles of the standard streams allocate, and the forked child must not" \
    'io::std(in|out|err)\(' 'pam_iam/src/*.rs'
guard "a directory of a test is a Scratch, which goes with it" 'temp_dir\(\)' '*.rs' ':!*/scratch.rs'
if git ls-files -- '*.whl' '*.so' '*.rpm' '*.deb' '*.tar*' '*.zip' '*.png' | grep .; then
    echo "guards.sh: what is built or downloaded is not kept here" >&2
    broken=1
fi

tests/setup/circles.py || broken=1

# Every option of the PAM line is in its manual page and in the administrator's table.
page=packaging/man/pam_iam.8 table=docs/admin.md
options=$(sed -n 's/^    ("\([a-z_]*\)", ".*"),$/\1/p' pam_iam/src/options.rs)
[ -n "$options" ] || { echo "guards.sh: no options found in pam_iam/src/options.rs" >&2 && broken=1; }
for option in $options; do
    if ! grep -q "^| \`${option}[=\`]" "$table" || { [ -e "$page" ] && ! grep -qE "^\.B[IR]? $option(=|\$)" "$page"; }; then
        echo "guards.sh: option '$option' of pam_iam.so is not in $table or $page" >&2
        broken=1
    fi
done
exit "$broken"
