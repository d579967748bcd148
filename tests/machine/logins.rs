//! Logins and logouts, where logind takes /run/user/UID away ten seconds after the last one.

use std::thread;

use serde_json::json;
use support::{Output, wait};

use crate::Row;
use crate::scene::{Scene, token_file};

pub(crate) const ROWS: &[Row] = &[
    ("logout", "after a logout agent and token file are gone, and ten seconds later /run/user/UID", logout),
    ("serial", "30 logins one after the other each have a good token", serial),
    ("parallel", "three times ten logins at once each have a good token", parallel),
    (
        "dead",
        "a dead refresh token is presented once in three logins, between which /run/user/UID goes",
        dead,
    ),
    ("busy", "an issuer that says when to come back is left alone till then, whatever logins come", busy),
    (
        "hint",
        "who has not enrolled is told on a terminal once a day; a hint that came too late is not used up",
        hint,
    ),
    (
        "hint-command",
        "as pam_iam(8) says, and not as a user wants it: a login that shows nothing takes that hint",
        hint_of_command,
    ),
];

fn logout(scene: &Scene<'_>) {
    let login = scene.login_with_token("ann");
    let file = token_file(&login);
    assert!(file.starts_with("/run/user/2001/"), "{file}");
    scene.guest.does("pgrep -u ann -x agent");
    login.close();
    scene.guest.wait_until("the end of the agent", "! pgrep -u ann -x agent");
    assert!(!scene.guest.exists(&file), "{file} is there, and no agent is");
    scene.wait_for_end_of_logins("ann");
    let log = scene.log();
    for event in ["session_opened", "agent_started", "session_closed", "agent_ended"] {
        assert!(log.contains(&format!("event={event} user=ann")), "no {event} in the journal: {log}");
    }
}

/// What is in the file once a login can run a command: the line has token_wait=2s, and an emulated machine may take longer.
const READ: &str = "until cat \"$BEARER_TOKEN_FILE\" 2>/dev/null; do :; done";

fn serial(scene: &Scene<'_>) {
    let before = scene.provider.count("refresh");
    for number in 1..=30 {
        let read = scene.guest.ssh("ann", READ).successful();
        assert!(scene.provider.accepts(&read.stdout), "login {number} of 30: {read:?}");
    }
    let refreshes = scene.refreshes_since(before);
    assert!(refreshes <= 1, "{refreshes} refreshes for 30 logins within the life of one token");
}

fn parallel(scene: &Scene<'_>) {
    let before = scene.provider.count("refresh");
    for _ in 0..3 {
        let clients = (0..10)
            .map(|_| scene.guest.client("ann", &[]))
            .map(|mut client| thread::spawn(move || Output::of(client.arg(READ), b"").successful().stdout));
        for login in clients.collect::<Vec<_>>() {
            assert!(scene.provider.accepts(&login.join().unwrap()), "a token that is not good");
        }
        scene.wait_for_end_of_logins("ann");
    }
    let refreshes = scene.refreshes_since(before);
    assert!(refreshes <= 3, "{refreshes} refreshes for 30 logins within the life of one token");
}

/// From now on ann's tokens end at once, and nobody is logged in.
fn with_ended_token(scene: &Scene<'_>) {
    scene.provider.set(json!({"access_token_lifetime": 1}));
    scene.enrol_again("ann");
}

/// Three logins of ann that each wait until their status has this, and how often they asked the provider.
fn refreshes_of_three_logins(scene: &Scene<'_>, status: &str) -> u64 {
    let before = scene.provider.count("refresh");
    for _ in 0..3 {
        let login = scene.guest.login("ann");
        wait::until(status, || login.run("iam-session status").stdout.contains(status));
        login.close();
        scene.wait_for_end_of_logins("ann");
    }
    scene.provider.count("refresh") - before
}

fn dead(scene: &Scene<'_>) {
    with_ended_token(scene);
    scene.provider.revoke_user("ann");
    let presented = refreshes_of_three_logins(scene, "reenroll");
    scene.provider.set(json!({"access_token_lifetime": 3600}));
    scene.enrol_again("ann");
    assert_eq!(presented, 1, "how often the dead refresh token was presented");
}

fn busy(scene: &Scene<'_>) {
    with_ended_token(scene);
    scene
        .provider
        .fail_with(json!({"fault": "status", "status": 503, "retry_after": 3000, "at": ["refresh"]}));
    let asked = refreshes_of_three_logins(scene, "next attempt");
    scene.provider.heal();
    scene.provider.set(json!({"access_token_lifetime": 3600}));
    scene.enrol_again("ann");
    assert_eq!(asked, 1, "how often an issuer was asked that said 'Retry-After: 3000'");
}

const STAMP: &str = "/run/iam-session/2002/iam-session/hint";

/// Whether ben is told at a login that he has on a terminal; all of it has ended then.
fn is_ben_told(scene: &Scene<'_>) -> bool {
    let seen = Output::of(&mut scene.guest.client("ben", &["-tt"]), b"exit\n").successful().stdout;
    scene.wait_for_end_of_logins("ben");
    seen.contains("iam-session enroll")
}

/// Whether the module still listened to the agent at ben's last login: in an emulated machine it often does not.
fn was_in_time(scene: &Scene<'_>) -> bool {
    let opened =
        scene.guest.does("journalctl -b -q -o cat | grep 'event=session_opened user=ben' | tail -n 1");
    !opened.contains("state=late")
}

fn hint(scene: &Scene<'_>) {
    scene.guest.does(&format!("rm -f {STAMP}"));
    for _ in 0..2 {
        let is_due = !scene.guest.exists(STAMP);
        let is_told = is_ben_told(scene);
        assert_eq!(is_told, is_due && was_in_time(scene), "due: {is_due}");
        assert_eq!(scene.guest.exists(STAMP), is_told || !is_due, "told: {is_told}, due: {is_due}");
    }
}

fn hint_of_command(scene: &Scene<'_>) {
    scene.guest.does(&format!("rm -f {STAMP}"));
    scene.guest.ssh("ben", "true").successful();
    scene.wait_for_end_of_logins("ben");
    assert_eq!(scene.guest.exists(STAMP), was_in_time(scene), "pam_iam(8) says that this login counts");
}
