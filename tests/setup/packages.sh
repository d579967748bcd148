#!/usr/bin/env bash
# Installs the system packages that building and testing need, where they are missing.
set -euo pipefail

# A file (or a pattern) that proves a package is there, and the package's name on Debian and on EL.
needed=(
    "/usr/include/security/pam_modules.h libpam0g-dev pam-devel"
    "/usr/bin/openssl openssl openssl"
    "/usr/bin/unshare util-linux util-linux"
    "/usr/bin/man man-db man-db"
    "/usr/bin/cc gcc gcc"
    "/usr/sbin/sshd openssh-server openssh-server"
    "/usr/bin/ssh openssh-client openssh-clients"
    "/usr/bin/tmux tmux tmux"
    "/usr/bin/tcsh tcsh tcsh"
    "/usr/bin/fish fish fish"
    "/usr/bin/pamtester pamtester pamtester"
    "/usr/sbin/ip iproute2 iproute"
    "/usr/lib*/python3*/ensurepip/__init__.py python3-venv python3"
    "/usr/bin/readelf binutils binutils"
)

debian=() el=()
for row in "${needed[@]}"; do
    read -r file on_debian on_el <<<"$row"
    compgen -G "$file" >/dev/null || { debian+=("$on_debian"); el+=("$on_el"); }
done
[ "${#debian[@]}" -gt 0 ] || exit 0

if command -v apt-get >/dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${debian[@]}"
elif command -v dnf >/dev/null; then
    dnf install -qy "${el[@]}"
else
    echo "packages.sh: install these with this system's package manager: ${debian[*]}" >&2
    exit 1
fi
