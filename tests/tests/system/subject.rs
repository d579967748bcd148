//! Whom an enrolment stands for, where the site expects somebody: decided by the mint, whatever the command line is.

use serde_json::{Value, json};
use support::{Enrolling, Helper, Host, ISSUER, Login};

use crate::scene::{Scene, json_of};

const RECORD: &str = "/home/alice/.local/state/iam-session/wlcg.cred";
const PROVIDER: &str = "issuer = \"https://iam.example/\"\nca_file = \"/etc/iam-session/iam.example.pem\"\n";

/// A host whose users must be who they are there.
fn expecting() -> Scene {
    let scene = Scene::new();
    scene.host.configure_provider("wlcg", &format!("{PROVIDER}expect_subject = \"preferred_username=%u\"\n"));
    scene.provider.set(json!({"device_interval": 1}));
    scene
}

#[test]
fn somebody_elses_approval_is_refused_and_leaves_nothing() {
    let scene = expecting();
    let mut enrolling = Enrolling::start(&scene.host, "alice", "wlcg");
    let code = enrolling.event("device_code");
    scene.provider.approve(code["user_code"].as_str().unwrap(), "bob");
    let error = enrolling.event("error");
    assert_eq!(
        error["error"],
        "https://iam.example/ says that who approved has preferred_username 'bob', not 'alice'"
    );
    assert_eq!(enrolling.status(), Some(5));
    assert!(!scene.host.exists(RECORD));
    assert_eq!((scene.provider.count("revocation"), scene.provider.count("deregistration")), (1, 1));
    let line = scene.host.wait_for_log("event=refused");
    assert!(line.contains("user=alice") && line.contains("account=wlcg") && line.contains("'bob'"), "{line}");

    let enrolled = scene.host.enroll(&scene.provider, "alice");
    assert!(enrolled["scope"].as_str().unwrap().contains("profile"), "{enrolled}");
    assert!(scene.host.exists(RECORD));
}

/// Enrols as alice and gives the error that comes of it, and the exit status.
fn refused(scene: &Scene) -> (String, Option<i32>) {
    let mut enrolling = Enrolling::start(&scene.host, "alice", "wlcg");
    let code = enrolling.event("device_code");
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    let error = enrolling.event("error")["error"].as_str().unwrap().to_owned();
    (error, enrolling.status())
}

#[test]
fn who_cannot_be_told_is_nobody() {
    let scene = expecting();
    scene.provider.set(json!({"restricted_scopes": ["profile"]}));
    let (error, status) = refused(&scene);
    assert!(error.contains("does not say the preferred_username of who approved"), "{error}");
    assert_eq!(status, Some(5));
    scene.provider.set(json!({"restricted_scopes": []}));
    scene.provider.fail_with(json!({"fault": "status", "status": 503, "at": ["userinfo"]}));
    let (error, status) = refused(&scene);
    assert!(error.contains("out of order or overloaded (503)"), "{error}");
    assert_eq!(status, Some(1));
    assert!(!scene.host.exists(RECORD));
    assert_eq!((scene.provider.count("revocation"), scene.provider.count("deregistration")), (2, 2));
}

#[test]
fn a_refresh_token_that_is_replaced_meanwhile_is_the_one_that_is_kept() {
    let scene = expecting();
    scene.provider.set(json!({"rotate": true}));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/a").successful();
    assert_eq!(scene.provider.count("reuse"), 0);
}

/// What bob was granted, in the hands of alice.
pub(crate) fn grant_of_bob(host: &Host, scene: &Scene) -> Value {
    let mut helper = Helper::start(host, "alice");
    let transport = json!({"ca_file": "/etc/iam-session/iam.example.pem"});
    let scope = "openid offline_access profile wlcg storage.read:/";
    let mut ask = |mut request: Value| {
        request["transport"] = transport.clone();
        helper.get(&request)
    };
    let endpoints = ask(json!({"request": "discover", "issuer": ISSUER}))["endpoints"].take();
    let client = json!({"client_id": "public-dc-client", "auth": "none"});
    let device = ask(json!({"request": "authorize_device", "endpoint": endpoints["device_authorization"],
                            "client": client, "scope": scope}));
    scene.provider.approve(device["user_code"].as_str().unwrap(), "bob");
    let token = ask(json!({"request": "poll_device", "endpoint": endpoints["token"], "client": client,
                           "device_code": device["device_code"]}));
    json!({"endpoints": endpoints, "client": client, "refresh_token": token["refresh_token"], "scope": scope})
}

/// Speaks to the agent as a command line of the user's own making does.
pub(crate) fn say(scene: &Scene, login: &Login, request: &Value) -> Value {
    let script = "import os, socket, sys
agent = socket.socket(socket.AF_UNIX)
agent.connect(os.environ['IAM_SESSION_SOCK'])
agent.sendall(open('/mnt/request.json', 'rb').read())
print(agent.makefile().readline())";
    scene.host.write("/mnt/say.py", script, 0o644);
    scene.host.write("/mnt/request.json", format!("{request}\n"), 0o644);
    json_of(login, "/mnt/tools/python/bin/python /mnt/say.py")
}

/// The import of a grant, as a command line of the user's own making asks for it.
fn import(mut grant: Value) -> Value {
    for (field, value) in [("request", "import"), ("account", "wlcg"), ("issuer", ISSUER)] {
        grant[field] = value.into();
    }
    grant
}

#[test]
fn what_the_command_line_says_of_the_issuer_is_not_believed() {
    let scene = expecting();
    let login = scene.host.login("alice");
    let mut request = import(grant_of_bob(&scene.host, &scene));
    // Another spelling of the issuer, another server for its tokens, and no way to check that one.
    request["issuer"] = "https://IAM.example:443".into();
    request["ca_dir"] = "/var/tmp".into();
    request["endpoints"]["token"] = "https://elsewhere.example/token".into();
    request["transport"] = json!({"ca_file": "/nonexistent", "proxy": "http://127.0.0.1:9"});
    let reply = say(&scene, &login, &request);
    assert_eq!((&reply["status"], &reply["kind"]), (&json!("failure"), &json!("refused")), "{reply}");
    assert!(reply["error"].as_str().unwrap().contains("'bob', not 'alice'"), "{reply}");
    assert!(!scene.host.exists(RECORD));
    // What came from elsewhere is left to whoever has it.
    assert_eq!((scene.provider.count("revocation"), scene.provider.count("userinfo")), (0, 1));
}

#[test]
fn a_refresh_token_from_elsewhere_that_was_replaced_in_vain_is_revoked_and_told() {
    let scene = expecting();
    let login = scene.host.login("alice");
    let request = import(grant_of_bob(&scene.host, &scene));
    scene.provider.set(json!({"rotate": true}));
    let reply = say(&scene, &login, &request);
    assert_eq!(reply["kind"], "refused", "{reply}");
    assert!(
        reply["info"].as_str().unwrap().starts_with("the issuer has replaced the refresh token"),
        "{reply}"
    );
    scene.host.wait_until("the end of the new one", || scene.provider.count("revocation") == 1);
    assert_eq!(scene.provider.count("reuse"), 0);
}

#[test]
fn a_refresh_token_from_elsewhere_that_was_replaced_for_nothing_is_revoked() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let mut request = import(grant_of_bob(&scene.host, &scene));
    scene.provider.set(json!({"rotate": true}));
    request["scope"] = "storage.modify:/never".into();
    let reply = say(&scene, &login, &request);
    assert!(
        reply["error"].as_str().unwrap().ends_with("granted the refresh token none of these scopes"),
        "{reply}"
    );
    assert!(!scene.host.exists(RECORD));
    scene.host.wait_until("the end of the new one", || scene.provider.count("revocation") == 1);
}

#[test]
fn an_agent_without_a_login_is_not_believed_whose_it_is() {
    let scene = expecting();
    let login = scene.host.login("alice");
    let start = "unset IAM_SESSION_SOCK IAM_SESSION_ID BEARER_TOKEN_FILE; \
                 eval \"$(USER=bob iam-session start --passphrase-fd 3 3<<<correct-horse)\"";
    login.run(start).successful();
    let request = import(grant_of_bob(&scene.host, &scene));
    let reply = say(&scene, &login, &request);
    assert_eq!(reply["kind"], "refused", "{reply}");
    assert!(reply["error"].as_str().unwrap().contains("is 'bob'"), "{reply}");
    assert_eq!(scene.provider.count("userinfo"), 0);
}

/// What SSSD and winbind call users of a domain, besides alice and bob, who are users of this host.
const DOMAIN_USERS: [&str; 6] =
    ["carol@ad.example", "carol@child.ad.example", "alice@ad.example", "AD\\dave", "ALICE", "ERIN"];

/// A host with users of a domain, whose provider's file has these lines.
fn with_domain_users(lines: &str) -> Scene {
    let scene = Scene::new();
    DOMAIN_USERS.iter().for_each(|user| scene.host.add_user(user));
    scene.host.configure_provider("wlcg", &format!("{PROVIDER}{lines}"));
    scene.provider.set(json!({"device_interval": 1}));
    scene
}

/// Whom the issuer takes `user` for: enrols as that one; or why not, before a code was shown.
fn enrol_as(scene: &Scene, user: &str, approving: Option<&str>) -> String {
    let mut enrolling = Enrolling::start(&scene.host, user, "wlcg");
    let Some(approving) = approving else {
        return enrolling.event("error")["error"].as_str().unwrap().to_owned();
    };
    let code = enrolling.event("device_code");
    scene.provider.approve(code["user_code"].as_str().unwrap(), approving);
    enrolling.event("enrolled")["account"].as_str().unwrap().to_owned()
}

#[test]
fn users_of_a_listed_domain_go_by_their_names_there() {
    let scene = with_domain_users(
        "expect_subject = \"preferred_username=%Ln\"\nsubject_domains = [\"AD.example\", \"AD\"]\n",
    );
    for (user, is) in [("carol@ad.example", "carol"), ("AD\\dave", "dave"), ("ERIN", "erin"), ("bob", "bob")]
    {
        assert_eq!(enrol_as(&scene, user, Some(is)), "wlcg", "{user}");
    }
}

#[test]
fn nobody_passes_for_another_user_by_a_name_that_looks_alike() {
    let scene = with_domain_users(
        "expect_subject = \"preferred_username=%Ln\"\nsubject_domains = [\"ad.example\"]\n",
    );
    for user in ["alice@ad.example", "ALICE"] {
        let why = format!("'{user}' is compared as 'alice', who is another user of this host");
        assert_eq!(enrol_as(&scene, user, None), why);
    }
    for user in ["carol@child.ad.example", "AD\\dave"] {
        let refused = enrol_as(&scene, user, None);
        assert!(refused.contains("is not one of subject_domains"), "{refused}");
    }
    assert_eq!(scene.provider.count("registration"), 0, "it is told before anything is asked for");
    assert_eq!(enrol_as(&scene, "alice", Some("alice")), "wlcg");
}

#[test]
fn a_name_with_its_domain_is_compared_with_it() {
    let scene = with_domain_users("expect_subject = \"preferred_username=%f\"\n");
    for user in ["carol@ad.example", "carol@child.ad.example"] {
        assert_eq!(enrol_as(&scene, user, Some(user)), "wlcg", "{user}");
    }
    assert!(enrol_as(&scene, "alice", None).contains("the login name 'alice' has no domain"));
}

#[test]
fn a_name_is_compared_as_the_name_service_spells_it() {
    let scene = expecting();
    // As SSSD answers for a domain without letter case, whatever was typed; files alone cannot do that.
    let uid = scene.host.uid("alice");
    let line = format!("alice:x:{uid}:{uid}:alice:/home/alice:/bin/bash");
    let real = "/usr/bin/getent.real";
    scene.host.as_root().run(&format!("cp /usr/bin/getent {real}")).successful();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in 'passwd -- Alice') echo '{line}' ;; *) exec {real} \"$@\" ;; esac\n"
    );
    scene.host.write("/usr/bin/getent", script, 0o755);
    scene
        .host
        .as_root()
        .run(&format!("echo 'Alice:x:{uid}:{uid}:alice:/home/alice:/bin/bash' >>/etc/passwd"))
        .successful();
    scene.host.as_root().run("echo 'Alice:*:20000:0:99999:7:::' >>/etc/shadow").successful();
    assert_eq!(enrol_as(&scene, "Alice", Some("alice")), "wlcg");
}
