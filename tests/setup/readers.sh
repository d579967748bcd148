#!/usr/bin/env bash
# Puts the readers of the token that come from PyPI into target/tools/readers, pinned. Debian's Python has what PyPI does
# not build: gssapi and M2Crypto. The daemons of HTCondor are in no Debian 12: they run in a tree of a later one.
set -euo pipefail
cd "$(dirname "$0")/../.."

wheels=(rucio-clients==41.5.1 pelicanfs==1.5.0 servicex==3.3.1 scitokens==1.9.7 igwn-auth-utils==1.4.0 xrootd==6.2.1
    fsspec-xrootd==0.5.5 htcondor==25.14.1)
# Without what they would pull in for parts of them that do not run here; the rest of that is below.
alone=(DIRAC==9.1.22 DIRACCommon==9.1.22 htgettoken==2.2 fts3==3.14.2 wmcore==2.4.5.9)
needed=(diraccfg importlib_metadata importlib_resources cachetools pytz Authlib psutil paramiko dominate pexpect prompt-toolkit future)
directory=${CARGO_TARGET_DIR:-target}/tools/readers
suite=trixie
want=$(printf '%s\n' "${wheels[@]}" "${alone[@]}" "${needed[@]}" "$suite")
if [ "$(cat "$directory/stamp" 2>/dev/null)" = "$want" ]; then exit 0; fi

rm -rf "$directory"
/usr/bin/python3 -m venv --system-site-packages "$directory"
pip=("$directory/bin/python" -m pip install --quiet --disable-pip-version-check)
"${pip[@]}" --only-binary xrootd "${wheels[@]}" "${needed[@]}"
"${pip[@]}" --no-deps "${alone[@]}"
# The sandbox of apt is a user who may not be able to traverse to this directory.
mmdebstrap --quiet --variant=extract --aptopt='APT::Sandbox::User "root"' --include=base-files,condor \
    --dpkgopt='path-exclude=/usr/share/*' "$suite" "$directory/condor"
printf '%s\n' "$want" >"$directory/stamp"
