//! A user who is to have no token any more: on this host, and at the issuer.

use serde_json::json;
use support::{Host, Output};

use crate::lock;
use crate::scene::{Scene, is_deserted, left_behind, token_file};
use crate::sealed;
use crate::secrets::node_key;
use crate::thief::{self, STORE, UID};

const RECORD: &str = "/home/alice/.local/state/iam-session/wlcg.cred";
const REVOKED: &str = "/etc/iam-session/revoked";

fn admin(host: &Host, arguments: &str) -> Output {
    host.as_root().run(&format!("iam-session-admin {arguments}"))
}

#[test]
fn a_revoked_user_loses_what_lives_and_gets_nothing_until_unrevoked() {
    let scene = Scene::enrolled();
    scene.host.write(REVOKED, "# gone\nbob # in March", 0o640);
    let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let jti = scene.claims(&one)["jti"].as_str().unwrap().to_owned();
    let told = admin(&scene.host, "revoke alice").successful().stdout;
    assert!(told.contains("ended 2 agents of alice\n"), "{told}");
    assert!(told.contains(&format!("  jti {jti}  ")) && told.contains("stays good at the issuers"), "{told}");
    assert!(is_deserted(&scene.host) && !scene.host.exists(&token_file(&other)));
    assert_eq!(left_behind(&scene.host), "");
    assert_eq!(scene.host.read(REVOKED), "# gone\nbob # in March\nalice\n20001 # alice\n");
    assert_eq!(
        scene
            .host
            .as_root()
            .run(&format!("stat -c '%a %U' {REVOKED}; ls -A /etc/iam-session"))
            .stdout
            .lines()
            .next(),
        Some("644 root"),
        "agents read it as their users"
    );
    assert_eq!(scene.host.login("alice").env("BEARER_TOKEN_FILE"), None);
    // Nothing was asked of the issuer, and nothing is lost.
    assert_eq!((scene.provider.count("revocation"), scene.host.exists(RECORD)), (0, true));
    assert!(admin(&scene.host, "revoke alice").successful().stdout.contains("was listed in"));
    admin(&scene.host, "unrevoke 20001").successful();
    assert_eq!(scene.host.read(REVOKED), "# gone\nbob # in March\n");
    let again = scene.host.login("alice");
    assert!(scene.provider.accepts(&again.read(&token_file(&again))));
}

#[test]
fn at_the_issuer_the_enrolment_ends_too() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let told = admin(&scene.host, "revoke alice --at-issuer").successful().stdout;
    let ended = "account 'wlcg': revoked at the issuer\naccount 'wlcg': its client deleted at the issuer\n";
    assert!(
        told.contains(ended) && told.ends_with("is left as it is; what was ended opens nothing any more\n"),
        "{told}"
    );
    assert_eq!((scene.provider.count("revocation"), scene.provider.count("deregistration")), (1, 1));
    assert!(is_deserted(&scene.host) && scene.host.exists(RECORD), "root writes nothing into a user's store");
    assert_eq!(login.run("iam-session token").status, 4);
    assert_eq!(left_behind(&scene.host), "");
    let told = admin(&scene.host, "revoke alice --at-issuer").successful().stdout;
    assert!(told.contains("account 'wlcg': the issuer does not know the grant, or not any more\n"), "{told}");
    scene.host.as_user("alice").run("rm .local/state/iam-session/*").successful();
    let told = admin(&scene.host, "revoke alice --at-issuer").successful().stdout;
    assert!(told.contains("alice has no enrolment on this host\n"), "{told}");
}

#[test]
fn without_any_login_the_issuer_is_asked_with_keys_that_the_user_never_sees() {
    let scene = Scene::enrolled();
    scene.host.wait_until("an empty host", || is_deserted(&scene.host));
    admin(&scene.host, "revoke 20001 --at-issuer").successful();
    assert_eq!((scene.provider.count("revocation"), scene.provider.count("deregistration")), (1, 1));
    scene.host.wait_for_log("action=\"of alice, account 'wlcg': revoked at the issuer");
}

#[test]
fn a_user_who_has_locked_the_host_loses_the_enrolment_all_the_same() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    lock::lock(&login);
    let told = admin(&scene.host, "revoke alice --at-issuer").successful().stdout;
    assert!(told.contains("account 'wlcg': revoked at the issuer\n"), "{told}");
    assert_eq!((scene.provider.count("revocation"), scene.provider.count("deregistration")), (1, 1));
    assert!(is_deserted(&scene.host));
    assert_eq!(left_behind(&scene.host), "", "no token was made usable for that");
}

#[test]
fn while_the_issuer_is_down_the_user_is_revoked_here_and_it_can_be_asked_later() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.provider.stop();
    let told = admin(&scene.host, "revoke alice --at-issuer");
    assert_eq!(told.status, 1, "{told:?}");
    assert!(told.stderr.contains("not reached: account 'wlcg' of https://iam.example/, client "), "{told:?}");
    assert!(is_deserted(&scene.host));
    assert_eq!(login.run("iam-session token").status, 4);
    scene.provider.restart();
    admin(&scene.host, "revoke alice --at-issuer").successful();
    assert_eq!((scene.provider.count("revocation"), scene.provider.count("deregistration")), (1, 1));
}

/// As after a change of the client that was killed: the issuer has given it another registration token.
#[test]
fn a_client_that_lives_is_not_said_to_be_deleted() {
    let scene = Scene::enrolled();
    let stale = json!({"error": "invalid_token"}).to_string();
    scene
        .provider
        .fail_with(json!({"fault": "status", "status": 401, "body": stale, "at": ["deregistration"]}));
    let told = admin(&scene.host, "revoke alice --at-issuer");
    assert_eq!(told.status, 1, "{told:?}");
    assert!(told.stdout.contains("account 'wlcg': revoked at the issuer\n"), "{told:?}");
    assert!(told.stderr.contains("account 'wlcg': its client stays at the issuer: "), "{told:?}");
}

#[test]
fn a_record_that_no_key_of_this_host_opens_is_named() {
    let scene = Scene::enrolled();
    scene.host.as_root().run("rm /etc/iam-session/keys.d/*.key").successful();
    scene.host.add_node_key_of("20260202T000000");
    let told = admin(&scene.host, "revoke alice --at-issuer");
    assert_eq!(told.status, 1, "{told:?}");
    assert!(told.stderr.contains("not reached: account 'wlcg' of https://iam.example/, client "), "{told:?}");
    assert!(told.stderr.contains("no node key of this host opens it"), "{told:?}");
    assert_eq!(scene.provider.count("revocation"), 0);
}

/// As after a rotation that was killed: the newest refresh token is in no record, and goes with its client.
#[test]
fn an_older_record_is_enough_to_end_what_came_after_it() {
    let scene = Scene::enrolled();
    scene.provider.set(json!({"rotate": true}));
    let login = scene.host.login("alice");
    let root = scene.host.as_root();
    root.run(&format!("cp -p {RECORD} /run/older")).successful();
    login.run("iam-session token -s storage.read:/rotated").successful();
    root.run(&format!("cp -p {RECORD} /run/newer && cp -p /run/older {RECORD}")).successful();
    admin(&scene.host, "revoke alice --at-issuer").successful();
    assert_eq!(scene.provider.count("deregistration"), 1);
    root.run(&format!(
        "cp -p /run/newer {RECORD} && rm -f {RECORD}.token && iam-session-admin unrevoke alice"
    ))
    .successful();
    let refused = scene.host.login("alice").run("iam-session token -s storage.read:/again");
    assert_eq!(refused.status, 3, "{refused:?}");
}

/// What a record says is the user's word: root's own files say whom root asks.
#[test]
fn an_issuer_that_only_the_user_names_is_not_asked() {
    let scene = Scene::enrolled();
    scene.host.as_root().run("rm /etc/iam-session/issuers.d/*.toml").successful();
    let told = admin(&scene.host, "revoke alice --at-issuer");
    assert_eq!((told.status, scene.provider.count("revocation")), (1, 0), "{told:?}");
    assert!(told.stderr.contains("no file of the site's names this issuer"), "{told:?}");
}

/// Who knows the user's key can make a record with servers of its own in it.
#[test]
fn servers_that_a_record_names_are_not_asked() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let evil = "https://127.0.0.1:9/";
    let like = thief::read(&scene, &format!("{STORE}/wlcg.cred"));
    let planted = json!({"issuer": "https://iam.example/",
        "endpoints": {"token": evil, "revocation": evil, "registration": evil}, "refresh_token": "planted",
        "scope": "openid", "client": {"client_id": "planted", "client_secret": "x", "registration_client_uri": evil,
        "registration_access_token": "x"}, "transport": {"proxy": "http://127.0.0.1:9"}, "enrolled_at": 1});
    let slot = sealed::user_key(&node_key(&scene), UID);
    let planted = sealed::around_a_slot(&like, &slot, &[7; 32], planted.to_string().as_bytes());
    thief::plant(&login, &format!("{STORE}/planted.cred"), &planted);
    let told = admin(&scene.host, "revoke alice --at-issuer");
    assert_eq!(told.status, 1, "{told:?}");
    // The issuer itself was asked, and knows no such client.
    let unknown = "account 'planted': the issuer does not know the grant, or not any more\n";
    assert!(told.stdout.contains(unknown) && !told.stderr.contains("127.0.0.1"), "{told:?}");
    assert!(
        told.stderr
            .contains("account 'planted': its client stays at the issuer: the record names another server"),
        "{told:?}"
    );
    assert!(told.stdout.contains("account 'wlcg': its client deleted at the issuer\n"), "{told:?}");
}

#[test]
fn without_the_system_user_the_rest_is_done_and_the_remedy_named() {
    let scene = Scene::enrolled();
    let _login = scene.host.login("alice");
    scene.host.as_root().run("sed -i '/^iam-session:/d' /etc/passwd").successful();
    let told = admin(&scene.host, "revoke alice --at-issuer");
    assert_eq!((told.status, scene.provider.count("revocation")), (1, 0), "{told:?}");
    assert!(told.stderr.contains("there is no system user 'iam-session'"), "{told:?}");
    assert!(told.stderr.contains("useradd -r"), "{told:?}");
    let check = admin(&scene.host, "check").stdout;
    assert!(check.contains("there is no system user 'iam-session'"), "{check}");
    assert!(is_deserted(&scene.host) && scene.host.read(REVOKED).starts_with("alice\n"));
}

#[test]
fn a_user_whom_nobody_knows_any_more_can_still_be_listed() {
    let host = Host::start();
    let told = admin(&host, "revoke carol");
    assert_eq!((told.status, host.read(REVOKED).as_str()), (1, "carol\n"), "{told:?}");
    assert!(told.stderr.contains("no such user is known"), "{told:?}");
    assert_eq!(admin(&host, "revoke root").status, 1);
    host.as_root().run(&format!("chmod 666 {REVOKED}")).successful();
    let told = admin(&host, "revoke bob");
    assert!(told.stderr.contains("is not a regular file of root's that root alone can write"), "{told:?}");
    assert_eq!(host.read(REVOKED), "carol\n");
}

/// A name service that answers once and fails then is no reason to say that there was no agent.
#[test]
fn a_name_service_that_goes_away_meanwhile_saves_no_agent() {
    let scene = Scene::enrolled();
    let _login = scene.host.login("alice");
    let once = "#!/bin/sh\n[ ! -e /run/asked ] && : >/run/asked && exec /run/getent \"$@\"\nexit 2\n";
    scene.host.write("/run/once", once, 0o755);
    let root = scene.host.as_root();
    root.run("cp /usr/bin/getent /run/getent && mount --bind /run/once /usr/bin/getent").successful();
    let told = admin(&scene.host, "revoke alice");
    root.run("umount /usr/bin/getent").successful();
    assert!(told.stdout.contains("ended 1 agent of alice"), "{told:?}");
    assert!(scene.host.agents_of("alice").is_empty());
}

/// And one that never answers none, as long as root's own record has the name.
#[test]
fn a_user_whom_the_name_service_has_forgotten_loses_the_agents_by_name() {
    let scene = Scene::enrolled();
    let _login = scene.host.login("alice");
    scene.host.write("/run/never", "#!/bin/sh\nexit 2\n", 0o755);
    let root = scene.host.as_root();
    root.run("mount --bind /run/never /usr/bin/getent").successful();
    let told = admin(&scene.host, "revoke alice");
    let carol = admin(&scene.host, "kill carol");
    root.run("umount /usr/bin/getent").successful();
    assert!(told.stdout.contains("ended 1 agent of alice"), "{told:?}");
    assert!(told.stderr.contains("no such user is known"), "{told:?}");
    assert!(scene.host.agents_of("alice").is_empty());
    assert!(carol.stderr.contains("there is no user 'carol'"), "{carol:?}");
}

#[test]
fn a_revocation_whose_words_nobody_can_read_is_a_whole_one() {
    let scene = Scene::enrolled();
    let _login = scene.host.login("alice");
    let told = admin(&scene.host, "revoke alice --at-issuer >/dev/full");
    assert_eq!(told.status, 1, "{told:?}");
    assert!(is_deserted(&scene.host));
    assert_eq!((scene.provider.count("revocation"), scene.provider.count("deregistration")), (1, 1));
    assert_eq!(scene.host.read(REVOKED), "alice\n20001 # alice\n");
}

#[test]
fn of_those_who_are_revoked_at_once_nobody_is_forgotten() {
    let host = Host::start();
    let root = host.as_root();
    root.run("for uid in $(seq 70001 70024); do iam-session-admin revoke $uid & done; wait");
    let listed = root.run("sort -u /etc/iam-session/revoked | grep -c '^700'").stdout;
    assert_eq!(listed, "24\n");
}
