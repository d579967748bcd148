#!/bin/sh
# Does with /run/user/UID what logind does with UserStopDelaySec=0: makes it at a user's first login, and removes it as
# soon as the last session has ended and nothing of the user runs. pam_exec runs it, in the place of pam_systemd.
[ "$PAM_TYPE" = open_session ] || exit 0
uid=$(id -u "$PAM_USER")
directory=/run/user/$uid
sessions=/run/logind/$uid
mkdir -p "$sessions"
exec 9>"$sessions.lock"
flock 9
# A session lives as long as the sshd that opened it.
: >"$sessions/$PPID"
mountpoint -q "$directory" && exit 0
mkdir "$directory"
mount -t tmpfs -o "mode=0700,uid=$uid,gid=$uid" tmpfs "$directory"

is_over() {
    for session in "$sessions"/*; do
        kill -0 "${session##*/}" 2>/dev/null && return 1
    done
    ! pgrep -u "$uid" >/dev/null
}

watch() {
    while flock 9 && ! is_over; do
        flock -u 9
        sleep 0.05
    done
    umount -l "$directory"
    rmdir "$directory"
    rm -r "$sessions"
}

# Without the lock that this process holds.
exec 9>&-
(exec 9>"$sessions.lock" && watch) </dev/null >/dev/null 2>&1 &
