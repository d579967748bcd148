//! What ends a machine, and a clock that is wrong.

use support::{Login, Output, wait};

use serde_json::json;

use crate::Row;
use crate::scene::{Scene, then_always, token_file};

pub(crate) const ROWS: &[Row] = &[
    ("reboot", "a reboot ends a session with all of it, and the next login has a token", reboot),
    ("rotation", "a reboot while a refresh token is changing hands costs nobody the enrolment", rotation),
    ("power", "a refresh token that came just before a power cut is in the store", power),
    ("clock-ahead", "on a clock a day ahead users have good tokens, and are told of the clock", clock_ahead),
    (
        "clock-behind",
        "on a clock a day behind users have good tokens, and are told of the clock",
        clock_behind,
    ),
];

fn reboot(scene: &Scene<'_>) {
    let login = scene.login_with_token("ann");
    let file = token_file(&login);
    scene.guest.reboot();
    assert!(!scene.guest.exists(&file), "{file} is there after a reboot");
    scene.guest.does("findmnt /run/iam-session");
    scene.login_with_token("ann").close();
}

fn rotation(scene: &Scene<'_>) {
    scene.provider.set(json!({"rotate": true}));
    let reuse = scene.provider.count("reuse");
    let held = scene.provider.count("held");
    let login = scene.login_with_token("ann");
    scene.provider.fail_with(json!({"fault": "held", "at": ["refresh"], "times": 1}));
    login.run("iam-session token -s storage.read:/rotation >/dev/null 2>&1 &");
    wait::until("the request", || scene.provider.count("held") > held);
    scene.guest.reboot_while("of User ann", || scene.provider.heal());
    named_token(&scene.login_with_token("ann"), "rotated").successful();
    assert_eq!(scene.provider.count("reuse"), reuse, "an old refresh token was presented");
}

fn power(scene: &Scene<'_>) {
    scene.provider.set(json!({"rotate": true}));
    let reuse = scene.provider.count("reuse");
    for round in ["one", "two", "three"] {
        named_token(&scene.login_with_token("ann"), round).successful();
        scene.guest.cut_power();
    }
    named_token(&scene.login_with_token("ann"), "last").successful();
    assert_eq!(scene.provider.count("reuse"), reuse, "an old refresh token was presented");
}

/// A token that no cache has, so that the issuer is asked.
fn named_token(login: &Login, name: &str) -> Output {
    login.run(&format!("iam-session token -s storage.read:/{name}"))
}

fn clock_ahead(scene: &Scene<'_>) {
    with_wrong_clock(scene, 86_400, |login| {
        let status = login.run("iam-session status").stdout;
        assert!(!(status.contains(" ago") && status.contains("all is well")), "{status}");
    });
}

fn clock_behind(scene: &Scene<'_>) {
    with_wrong_clock(scene, -86_400, |_| ());
}

fn with_wrong_clock(scene: &Scene<'_>, seconds: i32, look: impl Fn(&Login)) {
    let set = |seconds: i32| {
        scene.guest.does(&format!("date -s @$(( $(date +%s) + {seconds} ))"));
    };
    set(seconds);
    let in_login = || {
        let login = scene.guest.login("ann");
        let token = named_token(&login, "clock").successful().stdout;
        assert!(scene.provider.accepts(&token), "no good token: {token}");
        let doctor = login.run("iam-session doctor");
        let told = doctor.stdout.lines().any(|line| line.contains("WRONG") && line.contains("clock"));
        assert!(told, "doctor says nothing of the clock: {doctor:?}");
        look(&login);
        login.close();
    };
    then_always(in_login, || set(-seconds));
    scene.wait_for_end_of_logins("ann");
    scene.login_with_token("ann").close();
}
