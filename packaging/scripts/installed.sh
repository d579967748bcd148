# After an installation or an upgrade, rpm's and dpkg's alike. Edits no PAM file and restarts no sshd. Nothing here may
# fail an installation, and all of it may run again. No percent sign: rpmbuild would take it for a macro of its own.

# A node key where there is none: PROTOCOL.md, section 5. One that is there is never touched, so a farm that shares its
# homes lays the farm's key down first and installs then. Where keys were retired and none is left, somebody wants none.
first_node_key() (
    keys=/etc/iam-session/keys.d
    for key in "$keys"/*.key "$keys"/retired/*.key; do
        if [ -e "$key" ] || [ -h "$key" ]; then return 0; fi
    done
    umask 0377
    new=$keys/.new.$$
    time=$(date -u -Iseconds | cut -c 1-19 | tr -d :-)
    if head -c 32 /dev/urandom >"$new" && [ "$(wc -c <"$new")" -eq 32 ] &&
        id=$({ printf iam-session/v1/key-id && cat "$new"; } | sha256sum | cut -c 1-16) && [ "${#id}" -eq 16 ] &&
        mv "$new" "$keys/$time-$id.key"; then
        return 0
    fi
    rm -f "$new"
    echo "iam-session: no node key could be made in $keys; without one enrolments cannot be sealed (iam-session-admin key add)"
)
first_node_key 2>/dev/null || :

# As whom root's tool reads what a revoked user has left, and speaks to issuers: iam-session-admin(8). It owns no file,
# has no home, and nobody logs in as it. One that is there is never touched.
system_user() (
    if getent passwd iam-session >/dev/null; then return 0; fi
    nologin=/usr/sbin/nologin
    if [ ! -x "$nologin" ]; then nologin=/sbin/nologin; fi
    if groupadd -r -f iam-session && useradd -r -g iam-session -M -d /nonexistent -s "$nologin" iam-session; then
        return 0
    fi
    echo "iam-session: no system user 'iam-session' could be made; iam-session-admin revoke needs it (useradd -r)"
)
system_user 2>/dev/null || :

# The place for sockets and token files, now where systemd runs; elsewhere it comes with the next boot.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    systemctl start 'run-iam\x2dsession.mount' || :
fi

# Where SELinux has types for the key, which 'mv' does not know, and for a mount that was there before the policy. Nothing
# below a user's directory: restorecon goes by paths, and the user could have them lead to other files meanwhile.
if command -v restorecon >/dev/null 2>&1; then
    for place in /etc/iam-session /run/pam_iam; do
        if [ -d "$place" ]; then restorecon -R "$place" 2>/dev/null || :; fi
    done
    if [ -d /run/iam-session ]; then restorecon /run/iam-session /run/iam-session/* 2>/dev/null || :; fi
fi
