//! What installs the system packages, on a machine with a package manager of its own and one package to be had; and what
//! runs commands side by side.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use support::{Background, Host, wait};

const SCRIPT: &str = include_str!("../setup/packages.sh");
const LISTS: &str = "/var/lib/apt/lists/lock";
const DPKG: &str = "/var/lib/dpkg/lock-frontend";
const WAITS: &str = "packages.sh: waits for another process, 10 minutes at most: ";

/// One program that packages.sh wants is missing, and is in the only source of packages.
const MACHINE: &str = r#"
    [ -x /usr/bin/apt-get ] || { echo "apt-get is missing: install apt"; exit 1; }
    for place in lib/apt lib/dpkg cache/apt; do mount -t tmpfs -o mode=0755 tmpfs "/var/$place"; done
    mkdir -p /var/lib/dpkg/{info,updates} /var/lib/apt/lists/partial /var/cache/apt/archives/partial
    mkdir -p /etc/apt/apt.conf.d /etc/apt/preferences.d /mnt/repository /mnt/package/{DEBIAN,usr/bin}
    touch /var/lib/dpkg/status /etc/debian_version
    rm /usr/bin/pamtester
    printf '#!/bin/sh\n' | install -m 0755 /dev/stdin /mnt/package/usr/bin/pamtester
    printf '%s\n' 'Package: pamtester' 'Version: 1' 'Architecture: all' 'Maintainer: nobody' 'Description: here' \
        >/mnt/package/DEBIAN/control
    cd /mnt/repository
    dpkg-deb --build /mnt/package pamtester.deb
    { cat /mnt/package/DEBIAN/control; echo 'Filename: ./pamtester.deb'; stat -c 'Size: %s' pamtester.deb
        echo "SHA256: $(sha256sum pamtester.deb | cut -d ' ' -f 1)"; } >Packages
    echo 'deb [trusted=yes] file:/mnt/repository ./' >/etc/apt/sources.list
"#;

/// As apt and dpkg take theirs.
const HOLD: &str = "import fcntl, sys
lock = open(sys.argv[1], 'w')
fcntl.lockf(lock, fcntl.LOCK_EX)
print('held', flush=True)
sys.stdin.read()";

fn hold(host: &Host, lock: &str) -> Background {
    let mut python = host.as_root().command("/mnt/tools/python/bin/python");
    python.args(["-c", HOLD, lock]);
    let mut holder = Background::start(python);
    assert_eq!(holder.line(), "held");
    holder
}

/// Lets the lock go once the script has said that it waits for it.
fn let_go_when_waited_for(script: &mut Background, lock: &str, holder: Background) -> String {
    let mut said = String::new();
    loop {
        let line = script.line();
        said += &format!("{line}\n");
        if line.starts_with(WAITS) {
            assert!(line.contains(lock), "{line}");
            holder.finish();
            return said;
        }
    }
}

#[test]
fn the_set_up_waits_for_another_package_manager_and_says_so_once() {
    let host = Host::plan().uninstalled().start();
    host.as_root().run(&format!("set -e; {MACHINE}")).successful();
    host.write("/mnt/packages.sh", SCRIPT, 0o755);
    let (lists, dpkg) = (hold(&host, LISTS), hold(&host, DPKG));
    let mut script = Background::start(host.as_root().command("/mnt/packages.sh"));
    let mut said = let_go_when_waited_for(&mut script, LISTS, lists);
    said += &let_go_when_waited_for(&mut script, DPKG, dpkg);
    said += &script.finish();
    assert_eq!(said.matches(WAITS).count(), 2, "{said}");
    host.as_root().run("pamtester && dpkg --status pamtester").successful();
}

#[test]
fn packages_are_made_without_what_only_tests_need() {
    let host = Host::plan().uninstalled().start();
    host.write("/mnt/packages.sh", SCRIPT, 0o755);
    host.write("/usr/bin/dnf", "#!/bin/sh\necho \"$@\"\n", 0o755);
    host.as_root()
        .run("rm -f /etc/debian_version /usr/bin/rpmbuild /usr/bin/pamtester /usr/bin/tmux")
        .successful();
    let told = host.as_root().run("/mnt/packages.sh build").successful().stdout;
    assert_eq!(told, "install -qy --setopt=exit_on_lock=True rpm-build\n");
    let rpm =
        Command::new("make").args(["-C", concat!(env!("CARGO_MANIFEST_DIR"), "/.."), "-n", "rpm"]).output();
    let rpm = String::from_utf8(rpm.unwrap().stdout).unwrap();
    let sets: Vec<_> = rpm.lines().filter(|line| line.contains("packages.sh")).collect();
    assert_eq!(sets, ["tests/setup/packages.sh build"]);
}

#[test]
fn an_interrupt_ends_all_that_runs_side_by_side() {
    // As in a terminal's foreground: the signal goes to a whole process group, which has the first one's number, and is
    // not ignored, as it is where a shell runs the tests in the background.
    let default = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])";
    let mut beside = Command::new("/usr/bin/python3");
    beside.args(["-c", default, concat!(env!("CARGO_MANIFEST_DIR"), "/setup/beside.sh")]);
    beside.args(["sleep 90 & echo $PPID; wait", "sleep 90"]).process_group(0);
    let mut beside = Background::start(beside);
    let group = beside.line();
    let signal =
        |name: &str| Command::new("bash").args(["-c", &format!("kill -{name} -- -{group}")]).status();
    assert!(signal("INT").unwrap().success());
    beside.wait();
    wait::until("the end of the whole group", || !signal("0").unwrap().success());
}
