//! What an installation does besides laying files: on a node, on one with systemd, and into a directory that becomes
//! a machine later.

use support::Host;
use support::package::module_path;

use crate::machine::{Machine, Release};
use crate::rpm::{binary, query};

/// Everything below /etc that is not the package's, and which sshd runs.
fn of_others(host: &Host) -> String {
    let sums = "find /etc -path /etc/iam-session -prune -o -type f ! -name 'passwd*' ! -name 'group*' ! -name '*shadow*' ! -name .pwd.lock -exec sha256sum {} + | sort; pgrep -o -x sshd";
    host.as_root().run(sums).successful().stdout
}

#[test]
fn the_first_installation_makes_a_node_key_and_a_later_one_keeps_it() {
    let machine = Machine::new();
    machine.rpm("--install", Release::First);
    let keys = machine.keys();
    let [name, rest] = keys.trim_end().splitn(2, ' ').collect::<Vec<_>>()[..] else { panic!("{keys:?}") };
    assert_eq!(rest, "400 root 32", "{keys}");
    // As PROTOCOL.md has it, and as the module reads it: a login does not complain.
    let check = format!(
        "cd /etc/iam-session/keys.d && {{ printf iam-session/v1/key-id; cat {name}; }} | sha256sum | cut -c 1-16"
    );
    let id = machine.host.as_root().run(&check).successful().stdout;
    assert!(name.ends_with(&format!("-{}.key", id.trim_end())), "{name} {id}");
    assert_eq!(machine.host.ssh("alice", "true").status, 0);
    let lines = machine.host.log_lines();
    assert!(lines.iter().any(|line| line.contains("state=not-enrolled")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("keys.d")), "{lines:?}");
    machine.rpm("--upgrade", Release::Second);
    machine.rpm("--reinstall", Release::Second);
    assert_eq!(machine.keys(), keys);
}

/// Who is to read users' files and speak to issuers for root.
const SYSTEM_USER: &str = "getent passwd iam-session";

#[test]
fn the_system_user_has_no_home_and_no_shell_and_outlives_the_package() {
    let machine = Machine::new();
    let root = machine.host.as_root();
    assert_eq!(root.run(SYSTEM_USER).status, 2, "nobody has made it before");
    machine.rpm("--install", Release::First);
    let made = root.run(SYSTEM_USER).successful().stdout;
    let fields: Vec<&str> = made.trim_end().split(':').collect();
    let ids: [u32; 2] = [fields[2].parse().unwrap(), fields[3].parse().unwrap()];
    assert!(ids.iter().all(|id| (1..1000).contains(id)), "{made}");
    assert!(fields[5] == "/nonexistent" && fields[6].ends_with("/nologin"), "{made}");
    assert_eq!(
        root.run("getent group iam-session").successful().stdout,
        format!("iam-session:x:{}:\n", ids[1])
    );
    assert_eq!(root.run("find / -xdev -user iam-session").stdout, "");
    machine.rpm("--upgrade", Release::Second);
    machine.erase();
    assert_eq!(root.run(SYSTEM_USER).successful().stdout, made);
}

#[test]
fn two_nodes_have_two_keys() {
    let keys = [Machine::installed().keys(), Machine::installed().keys()];
    let id = |keys: &String| keys.split(['-', '.']).nth(1).map(str::to_owned).unwrap();
    assert_ne!(id(&keys[0]), id(&keys[1]));
}

#[test]
fn a_farms_key_that_was_there_first_stays_the_only_one() {
    let machine = Machine::new();
    machine.host.add_node_key();
    let keys = machine.keys();
    assert_eq!(keys.lines().count(), 1, "{keys}");
    machine.rpm("--install", Release::First);
    assert_eq!(machine.keys(), keys);
}

#[test]
fn no_pam_file_is_edited_and_sshd_goes_on() {
    let machine = Machine::new();
    let before = of_others(&machine.host);
    machine.rpm("--install", Release::First);
    machine.rpm("--upgrade", Release::Second);
    machine.erase();
    assert_eq!(of_others(&machine.host), before);
    // Nor by way of anything that the scriptlets do not do here.
    let scripts = query(&binary(), "%{POSTIN}%{POSTUN}%{PREIN}%{PREUN}%{POSTTRANS}").concat();
    let code = scripts.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<String>();
    assert!(!code.contains("pam.d") && !code.contains("sshd") && !code.contains("authselect"), "{code}");
}

/// systemd itself cannot run here: what it would be told is written down instead.
const SYSTEMCTL: &str = "#!/bin/sh\necho \"$@\" >>/mnt/systemctl\n";

#[test]
fn where_systemd_runs_the_mount_is_started_and_never_stopped() {
    let machine = Machine::new();
    machine.host.write("/usr/bin/systemctl", SYSTEMCTL, 0o755);
    machine.host.as_root().run("mkdir -p /run/systemd/system").successful();
    let told = || machine.host.as_root().run("cat /mnt/systemctl; rm -f /mnt/systemctl").stdout;
    machine.rpm("--install", Release::First);
    assert_eq!(told(), "daemon-reload\nstart run-iam\\x2dsession.mount\n");
    machine.rpm("--upgrade", Release::Second);
    assert_eq!(told(), "daemon-reload\nstart run-iam\\x2dsession.mount\n");
    machine.erase();
    assert_eq!(told(), "daemon-reload\n");
}

/// What a scriptlet runs, and what these need: a directory that is not a machine yet has little more.
const MINIMAL: &str = r#"
    for program in sh grep head wc cut tr date cat rm mv sha256sum umount; do
        path=$(command -v $program)
        cp --parents --dereference $path $(ldd $path | grep -o '/[^ ]*') /mnt/image
    done
    [ -e /mnt/image/bin/sh ] || ln -s usr/bin /mnt/image/bin
    mkdir -p /mnt/image/dev /mnt/image/var/lib/rpm
    : >/mnt/image/dev/urandom && mount --bind /dev/urandom /mnt/image/dev/urandom
"#;

#[test]
fn it_installs_and_goes_in_a_directory_without_systemd() {
    let machine = Machine::new();
    let root = machine.host.as_root();
    root.run(&format!("mkdir /mnt/image; {MINIMAL}")).successful();
    let rpm = |arguments: &str| machine.quietly(&format!("--root /mnt/image {arguments}"));
    let keys = || root.run("stat -c '%n %a %s' /mnt/image/etc/iam-session/keys.d/*").stdout;
    rpm("--install /mnt/packages/1.rpm");
    let first = keys();
    assert!(first.ends_with(".key 400 32\n") && first.lines().count() == 1, "{first}");
    rpm("--verify iam-session");
    rpm("--upgrade /mnt/packages/2.rpm");
    rpm("--upgrade --oldpackage /mnt/packages/1.rpm");
    // A key that was put aside is not made up for.
    let aside = "/mnt/image/etc/iam-session/keys.d/retired";
    root.run(&format!("mkdir {aside} && mv {aside}/../*.key {aside}")).successful();
    rpm("--upgrade /mnt/packages/2.rpm");
    assert_eq!(root.run(&format!("ls {aside}/..")).stdout, "retired\n");
    root.run(&format!("mv {aside}/*.key {aside}/.. && rmdir {aside}")).successful();
    rpm("--erase iam-session");
    assert_eq!(keys(), first);
    let left =
        root.run("find /mnt/image -path '*iam*' -not -path '*/etc/*' -not -path '*/var/lib/rpm/*'").stdout;
    assert_eq!(left, "");
    // Not the machine that this ran on.
    assert_eq!(machine.keys(), "");
}

#[test]
fn without_randomness_nothing_but_the_key_is_missing() {
    let machine = Machine::new();
    let root = machine.host.as_root();
    root.run(&format!("mkdir /mnt/image; {MINIMAL}")).successful();
    root.run("umount /mnt/image/dev/urandom && rm /mnt/image/dev/urandom").successful();
    let output = machine.quietly("--root /mnt/image --install /mnt/packages/1.rpm");
    assert!(output.stdout.contains("no node key could be made in /etc/iam-session/keys.d"), "{output:?}");
    assert_eq!(root.run("ls -A /mnt/image/etc/iam-session/keys.d").stdout, "");
}

#[test]
fn the_debian_package_installs_makes_a_key_and_goes_without_it() {
    let machine = Machine::new();
    let root = machine.host.as_root();
    root.run(&format!("rm {} && mkdir -p /mnt/dpkg/{{info,updates}}", module_path().display())).successful();
    let deb = support::package::package("", "iam-session_", ".deb");
    machine.host.write("/mnt/packages/1.deb", std::fs::read(deb).unwrap(), 0o644);
    root.run("touch /mnt/dpkg/status").successful();
    let dpkg = |arguments: &str| {
        let command = format!("dpkg --admindir=/mnt/dpkg --log=/dev/null --force-depends {arguments}");
        root.run(&command).successful();
    };
    dpkg("--install /mnt/packages/1.deb");
    root.run(SYSTEM_USER).successful();
    let keys = machine.keys();
    assert!(keys.ends_with(" 400 root 32\n") && keys.lines().count() == 1, "{keys}");
    assert!(module_path().to_str().is_some_and(|path| machine.host.exists(path)));
    assert_eq!(root.run("dpkg --admindir=/mnt/dpkg --verify iam-session").successful().stdout, "");
    machine.host.ssh("alice", "true").successful();
    machine.host.wait_for_log("state=not-enrolled");
    dpkg("--purge iam-session");
    assert_eq!(machine.keys(), keys);
    machine.host.ssh("alice", "true").successful();
}
