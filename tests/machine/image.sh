#!/usr/bin/env bash
# Makes in target/machine what `make machine` boots: the disk of a Debian 12, its kernel and initrd, and the key that its
# users and root log in with. Nothing of the project is on the disk. It is made once, and again when this script changes.
set -euo pipefail
cd "$(dirname "$0")/../.."

machine=${CARGO_TARGET_DIR:-target}/machine
root=$machine/root
packages=(
    systemd systemd-sysv dbus libpam-systemd linux-image-amd64 kmod iproute2 openssh-server ca-certificates curl procps
    nfs-kernel-server nfs-common tmux selinux-policy-default selinux-basics policycoreutils auditd
)

stamp=$machine/stamp
want=$(sha256sum "$0")
if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then exit 0; fi

# With a minute of nothing to see for the SELinux policy.
echo "image.sh: makes a Debian 12 in $machine, once; some minutes"
rm -rf "$machine"
mkdir -p "$machine"
trap 'rm -rf "$root"' EXIT
list=$(IFS=,; echo "${packages[*]}")
# The sandbox of apt is a user who may not be able to traverse to this directory.
mmdebstrap --quiet --variant=minbase --aptopt='APT::Sandbox::User "root"' --include="$list" bookworm "$root"

ssh-keygen -q -t ed25519 -N '' -C machine -f "$machine/key"
install -D -m 0644 "$machine/key.pub" "$root/etc/ssh/machine.pub"
# One file for all, outside the homes: a home may be an NFS mount that hangs.
cat >"$root/etc/ssh/sshd_config.d/machine.conf" <<'END'
AuthorizedKeysFile /etc/ssh/machine.pub
PermitRootLogin prohibit-password
MaxStartups 200
UseDNS no
END
for user in ann:2001 ben:2002 cay:2003; do
    chroot "$root" useradd --create-home --uid "${user#*:}" --shell /bin/bash "${user%:*}"
done
echo machine >"$root/etc/hostname"
# qemu leads 10.0.2.2 to its own loopback, where the provider listens.
printf '%s\n' '127.0.0.1 localhost machine' '10.0.2.2 iam.example' >"$root/etc/hosts"
: >"$root/etc/resolv.conf"
echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
printf '%s\n' '[Match]' 'Name=e*' '[Network]' 'Address=10.0.2.15/24' >"$root/etc/systemd/network/machine.network"
chroot "$root" systemctl --quiet enable systemd-networkd
chroot "$root" systemctl --quiet disable apt-daily.timer apt-daily-upgrade.timer nfs-server
# The journal outlives a boot.
mkdir -p "$root/var/log/journal" "$root/srv/state"
printf '%s\n' '/srv 127.0.0.1(rw,no_root_squash,no_subtree_check)' >"$root/etc/exports"

# The labels are written here, where it takes a second, and not at a first boot. That relabels where it is told to.
sed -i 's/^SELINUX=.*/SELINUX=permissive/' "$root/etc/selinux/config"
rm -f "$root/.autorelabel" "$root"/{vmlinuz,initrd.img}{,.old}
# It reaches files by /proc.
unshare --mount bash -ec "mount -t proc proc '$root/proc' && chroot '$root' setfiles -F \
    /etc/selinux/default/contexts/files/file_contexts / 2>'$machine/setfiles.log'" || {
    tail -n 3 "$machine/setfiles.log" >&2
    exit 1
}

cp "$root"/boot/vmlinuz-* "$machine/vmlinuz"
cp "$root"/boot/initrd.img-* "$machine/initrd"
truncate -s 4G "$machine/disk"
mke2fs -q -t ext4 -d "$root" "$machine/disk"
echo "$want" >"$stamp"
