#!/usr/bin/env bash
# Process 1 of a sandbox (see sandbox.rs), in namespaces of its own:
#     sandbox.sh machine HOSTNAME OPTIONS TOOLS PROVIDER
#     sandbox.sh sibling HOSTNAME OPTIONS
# OPTIONS are those of the mount on /run/iam-session.
#
# Makes a machine out of the host's root directory of which nothing that is written reaches the host: /usr is an overlay,
# the rest of what a login writes to is tmpfs, and the root itself is read-only. What the host's administrator has set
# up does not come along: of /etc there is only what programs cannot do without, and nothing of /usr/local. A sibling
# starts in the mounts of a machine and covers only what two machines do not share. Then it prints the name of its pid
# namespace, and lives until its standard input ends, which is when the test does.
set -euo pipefail
umask 022
kind=$1 name=$2 options=$3

# Of /etc: libraries, certificates, interpreters, and names that are the same everywhere.
needed=(
    alternatives ca-certificates ca-certificates.conf crypto-policies debian_version gfal2.d groff inputrc ld.so.cache ld.so.conf
    java java-17-openjdk java-21-openjdk
    ld.so.conf.d magic magic.mime man_db.conf manpath.config mime.types mtab os-release perl pki protocols rpc
    services shells skel ssl system-release terminfo
)

tmpfs() { mount -t tmpfs -o "mode=$1" tmpfs "$2"; }

# What is not part of the machine is below /mnt: layers, the provider and its tools.
shared() {
    tmpfs 0755 /mnt
    mkdir -p /mnt/dev /mnt/tools /mnt/provider
    mount --bind "$1" /mnt/tools
    mount --bind "$2" /mnt/provider
    local layer=/mnt/usr file
    mkdir -p "$layer/upper" "$layer/work"
    mount -t overlay -o "lowerdir=/usr,upperdir=$layer/upper,workdir=$layer/work" overlay /usr
    tmpfs 0755 /usr/local
    mkdir /mnt/etc
    tmpfs 0755 /mnt/etc
    for file in "${needed[@]}"; do
        [ ! -e "/etc/$file" ] || cp -a "/etc/$file" /mnt/etc/
    done
    mount --move /mnt/etc /etc
    tmpfs 0755 /home
    tmpfs 0700 /root
    ip link set lo up
}

# Bind mounts and not mknod, which a container may not do.
devices() {
    tmpfs 0755 /mnt/dev
    local device
    for device in null zero full random urandom tty fuse; do
        [ -e "/dev/$device" ] || continue
        touch "/mnt/dev/$device"
        mount --bind "/dev/$device" "/mnt/dev/$device"
    done
    mkdir /mnt/dev/pts /mnt/dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts /mnt/dev/pts
    tmpfs 1777 /mnt/dev/shm
    ln -s pts/ptmx /mnt/dev/ptmx
    ln -s /proc/self/fd /mnt/dev/fd
    ln -s fd/0 /mnt/dev/stdin
    ln -s fd/1 /mnt/dev/stdout
    ln -s fd/2 /mnt/dev/stderr
    mount --move /mnt/dev /dev
}

own() {
    local directory
    for directory in run var/log; do tmpfs 0755 "/$directory"; done
    for directory in tmp var/tmp; do tmpfs 1777 "/$directory"; done
    mkdir /run/iam-session /run/sshd /run/user
    mount -t tmpfs -o "$options" tmpfs /run/iam-session
    echo "$name" >/proc/sys/kernel/hostname
}

mount -t proc -o nosuid,nodev,noexec proc /proc
[ "$kind" = sibling ] || shared "$4" "$5"
devices
own
mount -o remount,bind,ro /

readlink /proc/self/ns/pid
# Not sleep or cat: as process 1 it must reap what is orphaned, which bash does.
read -r _ || true
