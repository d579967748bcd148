//! What /etc says of a machine: who is there, what it is called, what a login does. Writes files in a sandbox, all of
//! them in the place of the host's own.

use crate::sandbox::Sandbox;

/// Root, and those as whom servers run. Users come after them.
const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
sshd:x:74:74:sshd:/run/sshd:/usr/sbin/nologin
xrootd:x:75:75:xrootd:/run/xrootd:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/:/usr/sbin/nologin
";
const GROUP: &str = "\
root:x:0:
tty:x:5:
sshd:x:74:
xrootd:x:75:
nogroup:x:65534:
";
const SHADOW: &str = "\
root:*:20000:0:99999:7:::
sshd:!:20000::::::
xrootd:!:20000::::::
nobody:!:20000::::::
";
const LOGIN_DEFS: &str = "\
UMASK 022
UID_MIN 1000
UID_MAX 60000
ENCRYPT_METHOD SHA512
";
const SUDOERS: &str = "\
Defaults secure_path=/usr/sbin:/usr/bin:/sbin:/bin
root ALL=(ALL:ALL) ALL
#includedir /etc/sudoers.d
";
const PROFILE: &str = "\
for file in /etc/profile.d/*.sh; do
    [ ! -r \"$file\" ] || . \"$file\"
done
unset file
";
/// Of every service that has a file; what has none is denied by `other`.
const SERVICE: &str = "\
auth sufficient pam_rootok.so
auth required pam_unix.so
account required pam_unix.so
password required pam_unix.so
session required pam_unix.so
";
const SERVICES: [&str; 7] = ["login", "runuser", "runuser-l", "su", "su-l", "sudo", "sudo-i"];
const OTHER: &str = "\
auth required pam_deny.so
account required pam_deny.so
password required pam_deny.so
session required pam_deny.so
";

pub(crate) fn write(sandbox: &Sandbox, hostname: &str) {
    let files = [
        ("passwd", PASSWD, 0o644),
        ("group", GROUP, 0o644),
        ("shadow", SHADOW, 0o600),
        // Names come from files alone.
        ("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n", 0o644),
        ("hosts", "127.0.0.1 localhost\n", 0o644),
        ("hostname", &format!("{hostname}\n"), 0o644),
        ("resolv.conf", "", 0o644),
        ("login.defs", LOGIN_DEFS, 0o644),
        ("profile", PROFILE, 0o644),
        ("sudoers", SUDOERS, 0o440),
        ("pam.d/other", OTHER, 0o644),
    ];
    for (name, contents, mode) in files {
        sandbox.write(&format!("/etc/{name}"), contents, mode);
    }
    for service in SERVICES {
        sandbox.write(&format!("/etc/pam.d/{service}"), SERVICE, 0o644);
    }
    for directory in ["profile.d", "security", "ssh", "sudoers.d"] {
        std::fs::create_dir(sandbox.path(&format!("/etc/{directory}"))).unwrap();
    }
}
