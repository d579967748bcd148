# After a removal, rpm's (0: no version is left) and dpkg's. Node keys stay: what they opened is in the users' homes.
case ${1-} in
0 | remove | purge) ;;
*) exit 0 ;;
esac

# While somebody's agent lives the mount is busy, and stays until the next boot: sessions end with their logins, and not
# with the package.
if grep -qs ' /run/iam-session tmpfs ' /proc/mounts; then
    umount /run/iam-session 2>/dev/null || :
fi
if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi
