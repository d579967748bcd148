//! Many logins leave nothing behind (promise 8, a tenth of its ten thousand cycles).

use crate::scene::{Scene, is_deserted, left_behind};

const CYCLES: usize = 1000;

/// Notes how many descriptors and children, zombies among them, the process has that runs the stack.
const LOOK: &str = r#"#!/bin/sh
echo "$(ls /proc/$PPID/fd | wc -l) $(wc -w </proc/$PPID/task/$PPID/children)" >>/mnt/looks
"#;

#[test]
fn a_thousand_cycles_leave_no_process_descriptor_file_or_zombie() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    host.wait_until("the end of the enrolment's login", || host.processes_of("alice").is_empty());
    let stack = "auth required pam_exec.so /mnt/look\naccount required pam_permit.so\n\
                 session required pam_permit.so\n-session optional pam_iam.so services=cycles\n";
    host.write("/etc/pam.d/cycles", stack, 0o644);
    host.write("/mnt/look", LOOK, 0o755);
    host.write("/mnt/looks", "", 0o666);
    // Enough for one login at a time, and for no leak at all.
    let cycles = "open_session close_session ".repeat(CYCLES);
    let limited =
        format!("prlimit --nofile=64:64 pamtester -v cycles alice authenticate {cycles} authenticate");
    let all = host.processes().len();
    let output = host.as_root().run(&limited).successful();
    assert_eq!(output.stdout.matches("successfully opened a session").count(), CYCLES);
    println!("a cycle: {:?}", output.elapsed / u32::try_from(CYCLES).unwrap());
    let looks = host.read("/mnt/looks");
    let looks: Vec<&str> = looks.lines().collect();
    // The stack itself may open something once, as the socket of the log.
    assert!(
        matches!(looks[..], [before, after] if descriptors(after) <= descriptors(before) + 1),
        "{looks:?}"
    );
    assert!(looks.iter().all(|look| look.ends_with(" 1")), "children besides the one that looks: {looks:?}");
    host.wait_until("the end of the agents", || is_deserted(host) && host.processes_of("alice").is_empty());
    assert_eq!(left_behind(host), "");
    // Each login removes some records of the dead: a few are left, and the next logins remove these, too.
    let records = || host.as_root().run("ls -A /run/pam_iam").stdout.lines().count();
    assert!(records() <= CYCLES / 10, "{}", records());
    host.wait_until("none but the last login's own record", || {
        host.as_root().run("pamtester cycles alice open_session").successful();
        records() == 1
    });
    host.wait_until("the end of that agent", || is_deserted(host));
    let zombies = "grep -l '^State:.Z' /proc/[0-9]*/status";
    host.wait_until("the last orphan to be reaped", || host.as_root().run(zombies).stdout.is_empty());
    // Of the enrolment's login, root's part may have been there still when they were counted.
    assert!(host.processes().len() <= all, "{:?}", host.processes());
    assert_eq!(scene.provider.count("refresh"), 1, "each found the token of the enrolment");
    let failures: Vec<_> = host.log_lines().into_iter().filter(|line| line.contains("no session")).collect();
    assert!(failures.is_empty(), "{failures:?}");
}

fn descriptors(look: &str) -> u32 {
    look.split(' ').next().unwrap().parse().unwrap()
}
