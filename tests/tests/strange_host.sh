#!/usr/bin/env bash
# Runs a command on a host of which all is different that a machine of the tests could inherit, in a mount namespace of
# its own, which the caller has made:
#     strange_host.sh COMMAND ARGUMENTS…
set -euo pipefail

mount -t tmpfs tmpfs /mnt
cp -a /etc /mnt/etc
mount --bind /mnt/etc /etc
mount -t tmpfs -o mode=0755 tmpfs /usr/local
cd /etc

# Accounts: a service above all users, and a user of a name that the tests have.
echo 'slurm:x:64030:64030::/:/bin/false' >>passwd
echo 'alice:x:1500:1500::/nowhere:/bin/false' >>passwd
printf '%s\n' 'slurm:x:64030:alice' 'alice:x:1500:' 'wheel:x:10:alice,bob' >>group

# Names, network, time.
echo strange >hostname
printf '%s\n' '192.0.2.1 localhost iam.example storage.example login1' >hosts
echo 'nameserver 192.0.2.1' >resolv.conf
printf '%s\n' 'passwd: nothing' 'group: nothing' 'hosts: dns' >nsswitch.conf
ln -sf /usr/share/zoneinfo/Asia/Kathmandu localtime

# What a shell does when it starts.
mkdir -p profile.d
speak='umask 077; export TZ=Asia/Kathmandu LANG=de_DE.UTF-8 https_proxy=http://192.0.2.1:1; echo welcome'
for file in profile profile.d/strange.sh bash.bashrc bashrc ssh/sshrc; do echo "$speak" >"$file"; done
echo "$speak" >environment
mkdir /usr/local/bin
printf '#!/bin/sh\necho stranger\n' | install -m 0755 /dev/stdin /usr/local/bin/id

# What may be done: nothing by PAM, all by sudo.
for file in pam.d/*; do
    [ ! -f "$file" ] || printf '%s required pam_deny.so\n' auth account password session >"$file"
done
echo 'The host is closed.' >nologin
mkdir -p security/limits.d sudoers.d
echo '* hard nproc 1' >security/limits.d/strange.conf
install -m 0440 /dev/stdin sudoers.d/strange <<<'ALL ALL=(ALL) NOPASSWD: ALL'
printf '%s\n' 'UMASK 077' 'UID_MIN 30000' >login.defs
: >fuse.conf

# A package of ours that this host has set up for itself.
mkdir -p iam-session/issuers.d iam-session/keys.d
echo 'allowed_issuers = []' >iam-session/config.toml
echo 'issuer = "https://other.example"' >iam-session/issuers.d/other.toml
echo alice >iam-session/revoked

umask 077
export TZ=Asia/Kathmandu LANG=de_DE.UTF-8 LC_ALL=de_DE.UTF-8 BASH_ENV=/etc/profile ENV=/etc/profile
export HTTPS_PROXY=http://192.0.2.1:1 https_proxy=http://192.0.2.1:1 all_proxy=http://192.0.2.1:1
exec "$@"
