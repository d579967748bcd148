//! Another program's token in BEARER_TOKEN_FILE, as htgettoken puts one there: it stays while it lives, and no longer.

use support::Login;

use crate::lock::lock;
use crate::scene::{Scene, json_of, token_file};

/// Puts a JWT that ends in so many seconds into the token file, the way htgettoken does; gives it.
fn put(login: &Login, seconds: u64) -> String {
    put_ending(login, &format!("$(($(date +%s) + {seconds}))"))
}

/// The same, with an `exp` as the shell makes it of these words.
fn put_ending(login: &Login, exp: &str) -> String {
    let script = format!(
        r#"payload=$(printf '{{"iss":"https://vault.example/","exp":%s}}' {exp} |
            base64 -w0 | tr '+/' '-_' | tr -d =)
        (umask 077 && echo e30.$payload.x >$BEARER_TOKEN_FILE.new) && mv $BEARER_TOKEN_FILE.new $BEARER_TOKEN_FILE
        cat $BEARER_TOKEN_FILE"#
    );
    login.run(&script).successful().stdout
}

#[test]
fn it_stays_and_status_and_log_say_so() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let theirs = put(&login, 3600);
    let line = scene.host.wait_for_log("event=foreign_token");
    assert!(line.contains("user=alice") && line.contains("expires_at="), "{line}");
    let status = login.run("iam-session status").successful();
    assert!(status.stderr.contains("another program has put a token into the token file"), "{status:?}");
    // What is minted meanwhile is served, and does not take its place; nor does the next login.
    login.run("iam-session token -s storage.read:/x").successful();
    scene.host.ssh("alice", "iam-session status").successful();
    assert_eq!(login.read(&token_file(&login)), theirs);
    assert!(json_of(&login, "iam-session status --json")["others_token_until"].is_u64());
    let told = |line: &String| line.contains("event=foreign_token");
    let session = login.env("IAM_SESSION_ID").unwrap();
    let lines = scene.host.log_lines().into_iter().filter(told).filter(|line| line.contains(&session));
    assert_eq!(lines.count(), 1);
}

#[test]
fn it_stays_where_its_end_has_a_fraction() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    // A NumericDate may have one (RFC 7519 §2).
    let theirs = put_ending(&login, "$(($(date +%s) + 3600)).75");
    assert!(scene.host.wait_for_log("event=foreign_token").contains("expires_at="));
    login.run("iam-session token -s storage.read:/x").successful();
    scene.host.ssh("alice", "iam-session status").successful();
    assert_eq!(login.read(&token_file(&login)), theirs);
}

#[test]
fn ours_comes_back_when_it_is_asked_for() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    put(&login, 3600);
    // A new one is minted at most every 10 s: until then the one that there is is printed.
    let ours = || {
        let token = login.run("iam-session token --force").successful().stdout;
        login.read(&token_file(&login)) == token
    };
    scene.host.wait_until("our token in the file", ours);
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
}

#[test]
fn it_goes_when_it_ends_and_ours_comes_back_by_itself() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let theirs = put(&login, 4);
    scene.host.wait_for_log("event=foreign_token");
    let file = token_file(&login);
    let read = || login.run(&format!("cat {file}")).stdout;
    scene.host.wait_until("the end of their token", || read() != theirs);
    // At once, and not when the agent next looks by itself.
    let ended = login.run("date +%s").stdout.trim().parse::<u64>().unwrap();
    scene.host.wait_until("our token", || read().starts_with("eyJ"));
    let back = login.run("date +%s").stdout.trim().parse::<u64>().unwrap();
    assert!(back - ended < 30 && scene.provider.accepts(&read()), "{}", back - ended);
}

#[test]
fn what_is_no_token_does_not_stay() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    login.run("echo nonsense >$BEARER_TOKEN_FILE").successful();
    login.run("iam-session status").successful();
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
}

#[test]
fn of_a_user_who_has_not_enrolled_it_stays_as_well() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let theirs = put(&login, 3600);
    login.run("iam-session status");
    assert_eq!(login.read(&token_file(&login)), theirs);
    let file = token_file(&login);
    login.close();
    scene.host.wait_until_gone(&file);
}

#[test]
fn a_lock_takes_it_away_too() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    put(&login, 3600);
    lock(&login);
    assert!(!scene.host.exists(&token_file(&login)));
}
