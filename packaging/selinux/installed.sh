# Loads the module, also when it is there in another version; without SELinux there is nothing to load into.
if command -v semodule >/dev/null 2>&1 && [ -d /etc/selinux/targeted ]; then
    semodule -n -s targeted -X 200 -i /usr/share/selinux/packages/iam-session.cil || :
    if selinuxenabled 2>/dev/null; then
        load_policy || :
        for place in /etc/iam-session/keys.d /run/pam_iam; do
            if [ -d "$place" ]; then restorecon -R "$place" || :; fi
        done
        # Nothing below a user's directory: the user could have its paths lead to other files meanwhile.
        if [ -d /run/iam-session ]; then restorecon /run/iam-session /run/iam-session/* 2>/dev/null || :; fi
    fi
fi
if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi
