#!/usr/bin/env bash
# Puts Debian's SELinux policy into target/policy, once: its modules in CIL, and matchpathcon(8). Nothing is installed:
# the package would give this system a policy.
set -euo pipefail
cd "$(dirname "$0")/../.."

policy=$(realpath -m "${CARGO_TARGET_DIR:-target}/policy")
# Tests that want it run at once.
exec 9>"$policy.lock"
flock 9
if [ -e "$policy/stamp" ]; then exit 0; fi

rm -rf "$policy"
mkdir -p "$policy/root" "$policy/modules"
cd "$policy"
wanted=(selinux-policy-default policycoreutils selinux-utils secilc libsepol2)
# Lists may be missing, or older than the archive.
apt-get download -qq "${wanted[@]}" 2>/dev/null || { apt-get update -qq; apt-get download -qq "${wanted[@]}"; }
for package in *.deb; do dpkg-deb -x "$package" root; done
libraries=lib/$(uname -m)-linux-gnu
export LD_LIBRARY_PATH=$policy/root/usr/$libraries:$policy/root/$libraries
for module in root/usr/share/selinux/default/*.pp.bz2; do
    name=${module##*/}
    bunzip2 <"$module" >module.pp
    root/usr/libexec/selinux/hll/pp module.pp "modules/${name%.pp.bz2}.cil"
done
rm -f ./*.deb module.pp
touch stamp
