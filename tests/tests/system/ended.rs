//! `iam-session revoke`: everything ends, now.

use crate::accounts::two_accounts;
use crate::passphrase::enrolled_and_stopped;
use crate::scene::{is_deserted, left_behind, token_file};
use crate::standing::{scene, start};

const STORE: &str = "/home/alice/.local/state/iam-session";

#[test]
fn accounts_agents_and_files_are_gone_when_it_returns() {
    let scene = two_accounts();
    let (login, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let file = token_file(&login);
    login.run("iam-session env --account cms").successful();
    let told = login.run("iam-session revoke --yes").successful();
    for line in [
        "account 'cms': revoked the refresh token\naccount 'cms': removed account 'cms'\n",
        "account 'wlcg': revoked the refresh token\naccount 'wlcg': deregistered the client\n",
        "ended 2 agents\n",
        "access tokens that were handed out stay valid until they end: those of the files within 5",
    ] {
        assert!(told.stdout.contains(line), "{line}: {told:?}");
    }
    assert_eq!((scene.provider.count("revocation"), scene.provider.count("deregistration")), (2, 1));
    assert!(!scene.host.exists(&file) && !scene.host.exists(&format!("{file}.cms")));
    assert!(
        !scene.host.exists(&format!("{STORE}/wlcg.cred")) && !scene.host.exists(&format!("{STORE}/cms.cred"))
    );
    scene.host.wait_until("the end of the agents", || is_deserted(&scene.host));
    scene.host.wait_until("the rest", || left_behind(&scene.host).is_empty());
    assert_eq!(other.run("iam-session token").status, 4, "the login itself goes on");
}

#[test]
fn what_cannot_be_revoked_now_is_kept_and_told_and_the_agents_end_all_the_same() {
    let scene = two_accounts();
    let login = scene.host.login("alice");
    let file = token_file(&login);
    scene.provider.stop();
    let told = login.run("iam-session revoke --yes");
    assert_eq!(told.status, 1, "{told:?}");
    assert!(
        told.stderr.contains("warning: account 'wlcg': the refresh token stays valid at the issuer"),
        "{told:?}"
    );
    assert!(scene.host.exists(&format!("{STORE}/wlcg.cred")));
    assert!(!scene.host.exists(&file));
    scene.provider.restart();
    scene.host.login("alice").run("iam-session revoke --yes").successful();
    assert_eq!(scene.provider.count("revocation"), 2);
}

#[test]
fn it_asks_first_and_nobody_is_no_answer() {
    let scene = two_accounts();
    let login = scene.host.login("alice");
    let refused = login.run("iam-session revoke");
    assert_eq!(refused.status, 2, "{refused:?}");
    assert!(refused.stderr.ends_with("; say --yes\n"), "{refused:?}");
    let on_a_terminal = |answer: &str| {
        login.run(&format!("printf '{answer}\\n' | script -qec 'iam-session revoke' /dev/null"))
    };
    let no = on_a_terminal("no");
    assert!(no.status == 1 && no.stdout.contains("the accounts of alice: cms, wlcg;"), "{no:?}");
    assert!(no.stdout.contains("nothing was ended; type 'yes', or say --yes"), "{no:?}");
    login.run("iam-session token").successful();
    let yes = on_a_terminal("yes");
    assert!(yes.status == 0 && yes.stdout.contains("ended 1 agent"), "{yes:?}");
}

#[test]
fn what_is_locked_is_kept_for_a_later_revocation() {
    let scene = scene();
    let login = enrolled_and_stopped(&scene);
    start(&login, "--no-unlock").successful();
    let told = login.run("iam-session revoke --yes");
    assert_eq!(told.status, 1, "{told:?}");
    assert!(
        told.stderr.contains("it is kept so that it can still be revoked; run 'iam-session unlock'"),
        "{told:?}"
    );
    assert!(scene.host.exists(&format!("{STORE}/wlcg.cred")));
    assert!(is_deserted(&scene.host));
}

#[test]
fn an_agent_of_a_login_ends_at_this_request_and_at_no_other() {
    let scene = two_accounts();
    let login = scene.host.login("alice");
    let refused = login.run("iam-session stop");
    assert_eq!(refused.status, 1, "{refused:?}");
    login.run("iam-session token").successful();
}
