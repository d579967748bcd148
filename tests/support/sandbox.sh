#!/usr/bin/env bash
# Process 1 of a sandbox (see sandbox.rs), in namespaces of its own: sandbox.sh TOOLS PROVIDER HOSTNAME
#
# Makes a machine out of the host's root directory of which nothing that is written reaches the host: /usr and /etc
# are overlays, the rest of what a login writes to is tmpfs, and the root itself is read-only. Then it prints its
# process id as the host counts it, and lives until its standard input ends, which is when the test does.
set -euo pipefail
tools=$1 provider=$2 name=$3

# Read before /proc is that of the new pid namespace.
read -r pid _ </proc/self/stat
mount -t proc -o nosuid,nodev,noexec proc /proc

tmpfs() { mount -t tmpfs -o "mode=$1" tmpfs "$2"; }

# What is not part of the machine: layers, the provider and its tools.
tmpfs 0755 /mnt
mkdir -p /mnt/dev /mnt/tools /mnt/provider
mount --bind "$tools" /mnt/tools
mount --bind "$provider" /mnt/provider
for directory in usr etc; do
    mkdir -p "/mnt/layers/$directory/upper" "/mnt/layers/$directory/work"
    mount -t overlay -o "lowerdir=/$directory,upperdir=/mnt/layers/$directory/upper,workdir=/mnt/layers/$directory/work" \
        overlay "/$directory"
done

# Bind mounts and not mknod, which a container may not do.
tmpfs 0755 /mnt/dev
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

for directory in run home var/log; do tmpfs 0755 "/$directory"; done
tmpfs 0700 /root
for directory in tmp var/tmp; do tmpfs 1777 "/$directory"; done
# A mount of its own, as packaging/ has it: what users write there must not fill /run.
mkdir /run/iam-session /run/sshd /run/user
tmpfs 0711 /run/iam-session
mount -o remount,bind,ro /

echo "$name" >/proc/sys/kernel/hostname
ip link set lo up

echo "$pid"
# Not sleep or cat: as process 1 it must reap what is orphaned, which bash does.
read -r _ || true
