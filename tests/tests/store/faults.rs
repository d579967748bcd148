//! A write that fails, at each step and in each way: the old record is whole, the user is told, and what recovers needs
//! nobody (promise 15).

use serde_json::json;
use support::{Enrolling, Output};

use crate::stage::{STORE, Stage, generation};

/// As file systems refuse: full, over quota, read-only, broken, a server that has forgotten us, not allowed.
const ERRNOS: [(i32, &str); 6] = [
    (28, "No space left on device"),
    // musl says no more.
    (EDQUOT, "Quota exceeded"),
    (30, "Read-only file system"),
    (EIO, "I/O error"),
    (ESTALE, "Stale file handle"),
    (13, "Permission denied"),
];
const EDQUOT: i32 = 122;
const EIO: i32 = 5;
const ESTALE: i32 = 116;
const EINVAL: i32 = 22;
/// No test takes so many steps.
const EVER: usize = 100_000;

/// One line for the user that names the file and the reason.
fn is_told(what: &str, output: &Output, text: &str) {
    let told = &output.stderr;
    assert_eq!((output.stdout.as_str(), told.lines().count()), ("", 1), "{what}: {output:?}");
    assert!(told.contains(STORE) && told.contains(text), "{what}: {output:?}");
}

/// A step of a rotation, alone or with all that come after it.
fn fail(stage: &Stage, what: &str, steps: std::ops::RangeInclusive<usize>, (errno, text): (i32, &str)) {
    let (before, refreshes) = (stage.record(), stage.scene.provider.count("refresh"));
    let logged = stage.scene.host.log_lines().len();
    stage.disk.fail_at(steps, errno);
    let output = stage.rotate();
    let asked = stage.scene.provider.count("refresh") > refreshes;
    if asked {
        // The issuer has given the old one up: the new one is served, and kept where it can be.
        assert!(stage.scene.provider.accepts(&output.stdout), "{what}: {output:?}");
    } else {
        is_told(what, &output, text);
        assert_eq!(stage.record(), before, "{what}");
    }
    let told = || stage.scene.host.log_lines()[logged..].iter().any(|line| line.contains(text));
    stage.scene.host.wait_until(&format!("a line in the log: {what}"), told);
    let next = stage.rotate_again();
    assert_eq!(next.status, 0, "{what}: {next:?}");
    assert!(generation(&stage.record()) > generation(&before), "{what}");
    assert_eq!(stage.scene.provider.count("reuse"), 0, "{what}");
    stage.disk.steps();
}

#[test]
fn whatever_step_of_a_rotation_fails_the_record_is_whole_and_nothing_is_lost() {
    let mut stage = Stage::new();
    let steps = stage.steps_of_a_rotation();
    for (number, step) in steps.iter().enumerate().map(|(at, step)| (at + 1, step)) {
        // An agent writes so many lines to the log and no more; each step has one of its own.
        stage.log_in_again();
        for error in ERRNOS {
            // Once would be no failure: the kernel looks again for what a server has forgotten.
            if error.0 != ESTALE {
                fail(&stage, &format!("{number} {step}: {}", error.1), number..=number, error);
            }
            fail(&stage, &format!("from {number} {step} on: {}", error.1), number..=EVER, error);
        }
    }
    assert_eq!(stage.names(), ".lock\nwlcg.cred\nwlcg.token\n");
}

#[test]
fn a_store_that_cannot_be_read_or_locked_is_told_and_left_as_it_is() {
    let stage = Stage::new();
    for (op, name) in [("open", "wlcg.cred"), ("read", "wlcg.cred"), ("open", ".lock")] {
        for (errno, text) in ERRNOS {
            let (before, what) = (stage.record(), format!("{op} {name}: {text}"));
            stage.disk.fail(op, name, errno);
            is_told(&what, &stage.rotate(), text);
            assert_eq!(stage.record(), before, "{what}");
            assert_eq!(stage.rotate_again().status, 0, "{what}");
        }
    }
    assert_eq!(stage.scene.provider.count("reuse"), 0);
}

#[test]
fn a_session_token_that_cannot_be_sealed_costs_nothing_else() {
    let stage = Stage::new();
    stage.disk.fail("create", ".wlcg.token.*", EIO);
    let renewed = stage.login.run("iam-session token --min-valid 3599").successful();
    assert!(stage.scene.provider.accepts(&renewed.stdout));
    stage.rotate().successful();
    assert_eq!(stage.scene.provider.count("reuse"), 0);
}

#[test]
fn a_file_system_that_syncs_no_directories_is_good_enough() {
    let stage = Stage::new();
    let logged = stage.scene.host.log_lines().len();
    stage.disk.fail("fsyncdir", "", EINVAL);
    stage.rotate().successful();
    stage.rotate().successful();
    let lines = stage.scene.host.log_lines();
    assert!(!lines[logged..].iter().any(|line| line.contains("could not be kept")), "{lines:?}");
}

#[test]
fn an_account_that_cannot_be_removed_is_whole_and_the_user_is_told() {
    let stage = Stage::new();
    // Revoked first, and so of no use; but what it was sealed in is the user's to look at, and to remove.
    for (op, name) in [("unlink", "wlcg.token"), ("unlink", "wlcg.cred")] {
        let before = stage.record();
        stage.disk.fail(op, name, EIO);
        let output = stage.login.run("iam-session forget wlcg");
        assert!(output.status != 0 && format!("{output:?}").contains("I/O error"), "{name} {output:?}");
        assert_eq!(stage.record(), before, "{name}");
        stage.disk.heal();
    }
    stage.login.run("iam-session forget wlcg").successful();
    assert_eq!(stage.names(), ".lock\n");
}

/// Enrols alice once more, by a client that was there before, with these steps failing; gives the exit status.
fn enroll_again(stage: &Stage, steps: std::ops::RangeInclusive<usize>) -> Option<i32> {
    stage.scene.provider.set(json!({"device_interval": 1}));
    let mut enrolling = Enrolling::start(&stage.scene.host, "alice", "wlcg --client-id public-dc-client");
    let code = enrolling.event("device_code");
    stage.disk.steps();
    stage.disk.fail_at(steps, EIO);
    stage.scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    let status = enrolling.status();
    stage.disk.heal();
    status
}

#[test]
fn an_enrolment_that_cannot_be_sealed_is_undone_and_the_one_before_is_whole() {
    let stage = Stage::new();
    assert_eq!(enroll_again(&stage, EVER..=EVER), Some(0));
    let steps = stage.disk.steps();
    let sealed = steps.iter().position(|step| step.starts_with("rename .wlcg.cred")).unwrap() + 1;
    stage
        .scene
        .host
        .wait_until("the end of the former client", || stage.scene.provider.count("deregistration") == 1);
    let revoked = || stage.scene.provider.count("revocation");
    for number in 1..=sealed {
        let (before, grants) = (stage.record(), revoked());
        let status = enroll_again(&stage, number..=EVER);
        assert!(status.is_some_and(|status| status != 0), "{}", steps[number - 1]);
        assert_eq!(stage.record(), before, "{}", steps[number - 1]);
        assert_eq!(revoked(), grants + 1, "{}: what was granted", steps[number - 1]);
        stage.rotate_again().successful();
    }
    // From the rename on it is there, and so nothing at the issuer may be undone.
    let before = stage.record();
    assert_eq!(enroll_again(&stage, sealed + 1..=sealed + 1), Some(0), "{}", steps[sealed]);
    assert_ne!(stage.record(), before);
    stage.rotate_again().successful();
    assert_eq!(stage.scene.provider.count("reuse"), 0);
}
