//! Issuers that are not as INDIGO IAM, and what the provider's file says of them: Keycloak's audiences, CILogon's
//! capability sets, Google's and GitLab's refresh tokens, registrations that are for administrators, large tokens.

use serde_json::{Value, json};
use support::{Host, Login};

use crate::scene::{Scene, json_of, token_file, words};

const PROVIDER: &str = "issuer = \"https://iam.example/\"\nca_file = \"/etc/iam-session/iam.example.pem\"\n";
const SET: &str = "wlcg.capabilityset:/dune";

/// One whose provider's file says this, too.
fn scene(lines: &str) -> Scene {
    let scene = Scene::new();
    scene.provider.set(json!({"device_interval": 1}));
    scene.host.configure_provider("wlcg", &format!("{PROVIDER}{lines}"));
    scene
}

/// An enrolment that fails before there is a code: what it says.
fn refused(scene: &Scene, arguments: &str) -> String {
    let output = scene.host.ssh("alice", &format!("iam-session enroll {arguments} wlcg </dev/null"));
    assert_ne!(output.status, 0, "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    output.stderr
}

#[test]
fn an_audience_that_the_issuer_sets_for_a_scope_is_asked_for_by_it() {
    let scene = scene("[audience_scopes]\n\"https://se.example\" = \"aud-se\"\n");
    let offered = "openid offline_access wlcg wlcg.groups storage.read:/ aud-se";
    scene.provider.set(json!({"audience_scopes": {"aud-se": "https://se.example"},
                              "scopes_supported": offered.split(' ').collect::<Vec<_>>()}));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    assert!(!words(&scene.claims(&login)["scope"]).contains(&"aud-se"));
    let token = login.run("iam-session token -s storage.read:/ --aud https://se.example").successful().stdout;
    assert_eq!(scene.provider.verify(&token)["aud"], "https://se.example");
    // The server ignores what it does not know, and says so to nobody.
    let other = login.run("iam-session token -s storage.read:/ --aud https://other.example");
    assert_eq!((other.status, other.stdout.as_str()), (5, ""), "{other:?}");
    assert!(other.stderr.contains("did not make the token for 'https://other.example'"), "{other:?}");
}

#[test]
fn a_scope_that_stands_for_others_is_granted_with_them() {
    let scene =
        scene(&format!("[scope_sets]\n\"{SET}\" = \"storage.read:/dune storage.create:/dune/scratch\"\n"));
    let offered = json!(["openid", "offline_access", "wlcg", SET, "wlcg.capabilityset:/nova"]);
    scene.provider.set(json!({"scope_sets": {SET: "storage.read:/dune storage.create:/dune/scratch/alice"},
                              "scopes_supported": offered}));
    let enrolled = scene.host.enroll_with(&scene.provider, "alice", &format!("-s {SET}"));
    assert!(enrolled["not_granted"].is_null(), "{enrolled}");
    let login = scene.host.login("alice");
    // As much of it as the site lets into the file.
    let filed = scene.claims(&login);
    assert_eq!(
        words(&filed["scope"]).into_iter().filter(|scope| scope.contains("dune")).count(),
        1,
        "{filed}"
    );
    assert!(words(&filed["scope"]).contains(&"storage.read:/dune"), "{filed}");
    let token = login.run(&format!("iam-session token -s {SET}")).successful().stdout;
    let claims = scene.provider.verify(&token);
    assert!(words(&claims["scope"]).contains(&"storage.create:/dune/scratch/alice"), "{claims}");
    login.run("iam-session token -s storage.create:/dune/scratch/alice").successful();
}

#[test]
fn offline_access_is_left_out_where_the_issuer_refuses_it() {
    let at_one_that_refuses = |lines: &str| {
        let scene = scene(lines);
        scene.provider.set(json!({"unknown_scopes": ["offline_access"], "refresh_token_unasked": true}));
        scene.host.enroll(&scene.provider, "alice");
        let login = scene.host.login("alice");
        assert!(scene.provider.accepts(&login.read(&token_file(&login))));
        scene.host.reenroll(&scene.provider, "alice", "wlcg");
        scene.provider.count("device_authorization")
    };
    assert_eq!(at_one_that_refuses("offline_access = \"no\"\n"), 2);
    // Nobody has said so: each is tried once more without.
    assert_eq!(at_one_that_refuses(""), 4);
}

#[test]
fn nobody_is_asked_for_a_token_that_opens_no_registration() {
    let scene = scene("registration = \"no\"\n");
    let said = refused(&scene, "");
    assert!(said.contains("registers no clients by itself") && said.contains("--client-id"), "{said}");
    assert_eq!(scene.provider.count("registration"), 0);
    // One that says so only when it is asked.
    scene.host.configure_provider("wlcg", PROVIDER);
    scene.provider.set(json!({"registration": "disabled"}));
    let said = refused(&scene, "");
    assert!(said.contains("Client registration is disabled") && said.contains("--client-id"), "{said}");
    assert_eq!(scene.provider.count("registration"), 1);
}

#[test]
fn a_device_endpoint_that_the_discovery_document_lacks_is_named_by_the_file() {
    let scene = scene("");
    scene.provider.set(json!({"names_device_endpoint": false}));
    let said = refused(&scene, "");
    assert!(said.contains("'device_authorization_endpoint'"), "{said}");
    let endpoint = "device_authorization_endpoint = \"https://iam.example/devicecode\"\n";
    scene.host.configure_provider("wlcg", &format!("{PROVIDER}{endpoint}"));
    scene.host.enroll(&scene.provider, "alice");
    scene.host.reenroll(&scene.provider, "alice", "wlcg");
    let once = "token --once --json --issuer wlcg --client-id public-dc-client -s storage.read:/";
    let login = scene.host.login("alice");
    login.run(&format!("iam-session {once} >token 2>events &")).successful();
    scene.host.wait_until("the code", || login.run("cat events").stdout.contains("device_code"));
}

/// The id of a public client that may ask for these scopes.
fn public_client(login: &Login, scope: &str) -> String {
    let metadata = json!({"client_name": "once", "scope": scope, "token_endpoint_auth_method": "none",
                          "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"]});
    let post = "curl -sS --cacert /etc/iam-session/iam.example.pem -H 'Content-Type: application/json' -d @-";
    let url = "https://iam.example/iam/api/client-registration";
    let answer = login.run(&format!("{post} {url} <<'END'\n{metadata}\nEND")).successful().stdout;
    let client: Value = serde_json::from_str(answer.trim()).unwrap();
    client["client_id"].as_str().unwrap().to_owned()
}

/// A token of such a client without an enrolment: its claims.
fn once(scene: &Scene, scope: &str, arguments: &str) -> Value {
    let login = scene.host.login("alice");
    let id = public_client(&login, scope);
    let command = format!("iam-session token --once --json --issuer wlcg --client-id {id} {arguments}");
    login.run(&format!("{command} >token 2>events & once=$!")).successful();
    let code =
        || -> Option<Value> { serde_json::from_str(login.run("cat events").stdout.lines().next()?).ok() };
    scene.host.wait_until("the code", || code().is_some());
    scene.provider.approve(code().unwrap()["user_code"].as_str().unwrap(), "alice");
    let ended = login.run("wait $once; echo $?");
    assert_eq!(ended.stdout.trim(), "0", "{}", login.run("cat events").stdout);
    let token: Value = serde_json::from_str(login.read("token").trim()).unwrap();
    scene.provider.verify(token["access_token"].as_str().unwrap())
}

#[test]
fn a_client_that_lacks_what_is_usual_is_told_apart_by_what_was_asked_for() {
    let scene = scene("");
    let login = scene.host.login("alice");
    let id = public_client(&login, "openid storage.read:/");
    let refused = login.run(&format!("iam-session token --once --issuer wlcg --client-id {id}"));
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""), "{refused:?}");
    let hint = "; 'openid storage.read:/ wlcg' was asked for: name with -s what the client may ask for\n";
    assert!(refused.stderr.ends_with(hint), "{refused:?}");
}

#[test]
fn a_token_without_an_enrolment_knows_the_scopes_that_stand_for_others() {
    let scene = scene(&format!("[scope_sets]\n\"{SET}\" = \"storage.read:/dune\"\n"));
    scene
        .provider
        .set(json!({"scope_sets": {SET: "storage.read:/dune"}, "scopes_supported": ["openid", SET]}));
    let claims = once(&scene, SET, &format!("-s {SET}"));
    assert_eq!(claims["scope"], "storage.read:/dune");
}

#[test]
fn a_token_without_an_enrolment_asks_for_an_audience_by_its_scope() {
    let scene = scene("[audience_scopes]\n\"https://se.example\" = \"aud-se\"\n");
    scene.provider.set(json!({"audience_scopes": {"aud-se": "https://se.example"},
                              "scopes_supported": ["openid", "storage.read:/", "aud-se"]}));
    let claims = once(&scene, "storage.read:/ aud-se", "-s storage.read:/ --aud https://se.example");
    assert_eq!(claims["aud"], "https://se.example");
}

#[test]
fn accounts_of_an_issuer_that_has_moved_are_replaced_and_nothing_of_theirs_goes_along() {
    let scene = Scene::enrolled();
    scene.provider.set(json!({"device_interval": 1, "also_at": "/moved"}));
    let there = "issuer = \"https://iam.example/moved/\"\nca_file = \"/etc/iam-session/iam.example.pem\"\n";
    scene.host.configure_provider("wlcg", there);
    assert!(refused(&scene, "").contains("already one of https://iam.example/"));
    let formerly = "formerly = [\"https://iam.example/\"]\n";
    scene.host.configure_provider("wlcg", &format!("{there}{formerly}"));
    let login = scene.host.login("alice");
    let status = login.run("iam-session status");
    assert!(
        status.stderr.contains("https://iam.example/ has moved to https://iam.example/moved/"),
        "{status:?}"
    );
    assert!(status.stdout.contains("next        run 'iam-session reenroll wlcg'"), "{status:?}");
    let doctor = login.run("iam-session doctor").stdout;
    assert!(doctor.contains("https://iam.example/ has moved to https://iam.example/moved/"), "{doctor}");
    let enrolled = scene.host.reenroll(&scene.provider, "alice", "wlcg");
    assert_eq!(enrolled["issuer"], "https://iam.example/moved/");
    scene.host.wait_until("the end of the old client", || scene.provider.count("deregistration") == 1);
    let token = login.run("iam-session token -s storage.read:/new").successful().stdout;
    assert!(scene.provider.accepts(&token));
    let status = login.run("iam-session status").successful();
    assert!(status.stdout.contains("all is well") && !status.stderr.contains("moved"), "{status:?}");
    let count = |what| scene.provider.count(what);
    assert_eq!((count("registration"), count("revocation"), count("stray")), (2, 1, 0));
}

#[test]
fn a_user_cannot_say_that_an_issuer_has_moved() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let file = "issuer = \"https://iam.example/moved/\"\nformerly = [\"https://iam.example/\"]\n";
    let directory = "~/.config/iam-session/issuers.d";
    login.run(&format!("mkdir -p {directory} && cat >{directory}/mine.toml <<'END'\n{file}END")).successful();
    let refused = login.run("iam-session enroll --account wlcg mine </dev/null");
    assert!(refused.stderr.contains("'formerly' is for the site to set"), "{refused:?}");
}

#[test]
fn a_token_that_storage_refuses_is_not_said_to_be_well() {
    let scene = scene("");
    scene.provider.fail_with(json!({"fault": "claims", "values": {"scope": null, "aud": []}}));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    let status = login.run("iam-session status");
    assert!(status.stderr.contains("no 'scope' and no 'aud', and storage refuses"), "{status:?}");
    assert!(
        status.stdout.contains("next        ask the issuer's administrators for WLCG tokens"),
        "{status:?}"
    );
    assert!(login.run("iam-session doctor").stdout.contains("no 'scope' and no 'aud'"));
}

#[test]
fn what_the_issuer_did_not_know_any_more_is_not_said_to_have_been_ended() {
    let scene = Scene::enrolled();
    scene.provider.delete_clients();
    let told = scene.host.login("alice").run("iam-session forget wlcg").successful().stdout;
    assert_eq!(
        told,
        "the issuer knew neither the client nor its refresh token any more\n\
         the issuer does not know the client any more\nremoved account 'wlcg'\n"
    );
}

#[test]
fn a_client_that_cannot_be_deleted_is_said_to_stay() {
    let scene = scene("");
    scene.provider.set(json!({"client_management": false}));
    scene.host.enroll(&scene.provider, "alice");
    let told = scene.host.login("alice").run("iam-session forget wlcg");
    assert_eq!(
        (told.status, told.stdout.as_str()),
        (1, "revoked the refresh token\nremoved account 'wlcg'\n")
    );
    assert!(
        told.stderr.contains("https://iam.example/ gave no means to delete it; delete client "),
        "{told:?}"
    );
}

/// What Keycloak says of a client that is disabled, and of one that it does not know.
#[test]
fn a_client_that_is_disabled_for_a_while_needs_no_new_enrolment() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let id = json_of(&login, "iam-session list --json")["accounts"][0]["client_id"].take();
    let id = id.as_str().unwrap();
    assert!(login.run("iam-session status").stdout.contains(&format!("client      {id}")));
    let body =
        r#"{"error":"invalid_client","error_description":"Invalid client or Invalid client credentials"}"#;
    scene.provider.fail_with(json!({"fault": "status", "status": 401, "body": body, "at": ["refresh"]}));
    let refused = login.run("iam-session token -s storage.read:/a");
    assert_eq!(refused.status, 3, "{refused:?}");
    for part in ["or has disabled it", id, "iam-session reenroll wlcg"] {
        assert!(refused.stderr.contains(part), "{part} is not in {refused:?}");
    }
    let error = json_of(&login, "iam-session status --json")["accounts"][0]["last_error"].take();
    let pause = error["next_attempt_at"].as_u64().unwrap() - error["at"].as_u64().unwrap();
    assert!((7200..=9000).contains(&pause), "{error}");
    scene.provider.heal();
    let again = || login.run("iam-session token -s storage.read:/a").status == 0;
    scene.host.wait_until("a token, without the pause of the agents", again);
}

#[test]
fn a_suspended_client_is_named_whatever_the_issuer_says() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let id = json_of(&login, "iam-session list --json")["accounts"][0]["client_id"].take();
    let body = r#"{"error":"invalid_client","error_description":"Client is suspended"}"#;
    scene.provider.fail_with(json!({"fault": "status", "status": 401, "body": body, "at": ["refresh"]}));
    let refused = login.run("iam-session token -s storage.read:/a");
    assert!(refused.stderr.contains(id.as_str().unwrap()), "{refused:?}");
}

/// A token of some 6000 bytes, as a Keycloak with entitlements makes them.
fn with_large_tokens(host: Host) -> Scene {
    host.add_node_key();
    let provider = support::Provider::start(&host);
    let claims = json!({"fault": "claims", "values": {"entitlements": "e".repeat(4000)}});
    provider.fail_with(claims);
    let scene = Scene { provider, host };
    scene.host.enroll(&scene.provider, "alice");
    scene
}

#[test]
fn a_token_that_is_too_large_for_its_file_is_said_to_be_that() {
    let scene = with_large_tokens(Host::plan().start());
    let login = scene.host.login("alice");
    let status = login.run("iam-session status");
    for part in ["bytes", "4096", "max_token_file", "iam-session token"] {
        assert!(status.stdout.contains(part), "{part} is not in {status:?}");
    }
    assert!(!scene.host.exists(&token_file(&login)));
    // Each look finds it again.
    login.run("iam-session use wlcg; iam-session use wlcg");
    scene.host.login("alice").run("iam-session status");
    let logged = scene.host.log_lines();
    let logged: Vec<_> = logged.iter().filter(|line| line.contains("and a token file at most")).collect();
    assert_eq!(logged.len(), 1, "{logged:?}");
    let token = login.run("iam-session token").successful().stdout;
    assert!(token.len() > 4096 && scene.provider.accepts(&token));
}

#[test]
fn a_site_may_have_larger_token_files() {
    let scene = with_large_tokens(Host::plan().site("max_token_file = 16384").start());
    let login = scene.host.login("alice");
    let file = login.read(&token_file(&login));
    assert!(file.len() > 4096 && scene.provider.accepts(&file), "{}", file.len());
}
