#!/usr/bin/env bash
# Installs the system packages that are missing:
#     packages.sh build       what programs and packages are made with; on EL nothing of it is in EPEL
#     packages.sh             that, and what most tests need
#     packages.sh storage     a storage element and its clients, which nobody needs in order to build
#     packages.sh issuers     what a Keycloak is fetched with and runs on
#     packages.sh readers     programs that read the token, besides those of the storage element
#     packages.sh bench       the peers that are measured beside us
#     packages.sh machine     what a Debian is made with and runs on
set -euo pipefail

# A file that proves a package is there (a pattern, or two with | between), and its name on Debian and on EL.
build=(
    "/usr/include/security/pam_modules.h libpam0g-dev pam-devel"
    "/usr/bin/cc gcc gcc"
    "/usr/lib*/python3*/ensurepip/__init__.py python3-venv python3"
    "/usr/lib/*/libc.a|/usr/lib64/libc.a libc6-dev glibc-static"
    "/usr/bin/rpmbuild rpm rpm-build"
    "/usr/bin/rpmsign rpm rpm-sign"
)
needed=(
    "${build[@]}"
    "/usr/bin/openssl openssl openssl"
    "/usr/bin/unshare util-linux util-linux"
    "/usr/bin/man man-db man-db"
    "/usr/bin/c++ g++ gcc-c++"
    "/usr/sbin/sshd openssh-server openssh-server"
    "/usr/bin/ssh openssh-client openssh-clients"
    "/usr/bin/tmux tmux tmux"
    "/usr/bin/sudo sudo sudo"
    "/usr/bin/tcsh tcsh tcsh"
    "/usr/bin/fish fish fish"
    "/usr/bin/pamtester pamtester pamtester"
    "/usr/bin/strace strace strace"
    "/usr/bin/valgrind valgrind valgrind"
    "/usr/sbin/ip iproute2 iproute"
    "/usr/bin/readelf binutils binutils"
    "/usr/bin/rpmlint rpmlint rpmlint"
    "/usr/bin/cpio cpio cpio"
    "/usr/bin/dpkg-deb dpkg dpkg"
    "/usr/bin/apt-get apt apt"
    "/usr/bin/gpg gpg gnupg2"
    "/usr/bin/zsh zsh zsh"
    "/usr/bin/systemd-analyze systemd systemd"
)
storage=(
    "/usr/bin/xrootd xrootd-server xrootd-server"
    "/usr/bin/xrdcp xrootd-client xrootd-client"
    "/usr/lib/*/libXrdAccSciTokens-5.so|/usr/lib64/libXrdAccSciTokens-5.so xrootd-scitokens-plugins xrootd-scitokens"
    "/usr/bin/gfal-copy gfal2-util-scripts gfal2-util-scripts"
    "/usr/lib*/*/libgfal_plugin_file.so|/usr/lib/*/*/libgfal_plugin_file.so gfal2-plugin-file gfal2-plugin-file"
    "/usr/lib*/*/libgfal_plugin_http.so|/usr/lib/*/*/libgfal_plugin_http.so gfal2-plugin-http gfal2-plugin-http"
    "/usr/lib*/*/libgfal_plugin_xrootd.so|/usr/lib/*/*/libgfal_plugin_xrootd.so gfal2-plugin-xrootd gfal2-plugin-xrootd"
    "/usr/bin/davix-put davix davix"
    "/usr/bin/curl curl curl"
)
readers=(
    "/usr/bin/mmdebstrap mmdebstrap mmdebstrap"
    "/usr/bin/rclone rclone rclone"
    "/usr/lib/python3*/*-packages/gssapi/__init__.py|/usr/lib64/python3*/site-packages/gssapi/__init__.py python3-gssapi python3-gssapi"
    "/usr/lib/python3*/*-packages/M2Crypto/__init__.py|/usr/lib64/python3*/site-packages/M2Crypto/__init__.py python3-m2crypto python3-m2crypto"
)
issuers=(
    "/usr/bin/java default-jre-headless java-17-openjdk-headless"
    "/usr/bin/mvn maven maven"
)
bench=(
    "/usr/bin/oidc-agent oidc-agent-cli oidc-agent-cli"
    "/usr/bin/curl curl curl"
    "/usr/bin/jq jq jq"
)
machine=(
    "/usr/bin/mmdebstrap mmdebstrap mmdebstrap"
    "/usr/bin/qemu-system-x86_64 qemu-system-x86 qemu-system-x86-core"
    "/usr/bin/qemu-img qemu-utils qemu-img"
    "/usr/sbin/mke2fs e2fsprogs e2fsprogs"
)
case ${1-} in
build) needed=("${build[@]}") ;;
storage) needed=("${storage[@]}") ;;
issuers) needed=("${issuers[@]}") ;;
readers) needed=("${readers[@]}") ;;
bench) needed=("${bench[@]}") ;;
machine) needed=("${machine[@]}") ;;
esac
# For another architecture than this system's: Debian has the cross compiler, its C library and an emulator.
if [ "${ARCH:-$(uname -m)}" != "$(uname -m)" ]; then
    if [ "$ARCH" != aarch64 ] || [ ! -e /etc/debian_version ]; then
        echo "packages.sh: build for $ARCH on a host of that architecture; Debian also builds for aarch64" >&2
        exit 1
    fi
    needed+=(
        "/usr/bin/aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu -"
        "/usr/aarch64-linux-gnu/lib/libc.a libc6-dev-arm64-cross -"
        "/usr/bin/qemu-aarch64-static qemu-user-static -"
    )
fi

# Whether there is a file that matches one of the patterns.
present() {
    local patterns pattern
    IFS='|' read -ra patterns <<<"$1"
    for pattern in "${patterns[@]}"; do
        if compgen -G "$pattern" >/dev/null; then return; fi
    done
    return 1
}

debian=() el=()
for row in "${needed[@]}"; do
    read -r file on_debian on_el <<<"$row"
    present "$file" || { debian+=("$on_debian"); el+=("$on_el"); }
done
[ "${#debian[@]}" -gt 0 ] || exit 0

# In seconds. Another process may be installing: a fresh Debian upgrades itself for some minutes.
patience=600
locked='Could not get lock|already locked by|transaction lock'

# patiently COMMAND…: runs it, and again while it complains of a lock that another process holds. apt's own option
# for that leaves out the lists of packages, and dnf's has no end.
patiently() {
    local messages status lock told=''
    messages=$(mktemp)
    while :; do
        status=0
        LC_ALL=C "$@" 2>"$messages" || status=$?
        if [ "$status" -eq 0 ] || ! lock=$(grep -E -m 1 "$locked" "$messages") || [ "$SECONDS" -ge "$patience" ]; then break; fi
        [ "$told" ] || echo "packages.sh: waits for another process, $((patience / 60)) minutes at most: $lock"
        told=1
        sleep 1
    done
    cat "$messages" >&2
    rm -f "$messages"
    return "$status"
}

if [ -e /etc/debian_version ]; then
    patiently apt-get update -q
    patiently env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${debian[@]}"
elif manager=$(command -v dnf || command -v yum); then
    patiently "$manager" install -qy --setopt=exit_on_lock=True "${el[@]}"
else
    echo "packages.sh: install these with this system's package manager: ${debian[*]}" >&2
    exit 1
fi
