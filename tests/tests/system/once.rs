//! `iam-session token --once`: a token on a host where nobody has enrolled, and nothing that stays.

use serde_json::{Value, json};
use support::{Attend, Host, ISSUER, Login, Provider, wait};

use crate::scene::{Scene, words};

const PASSWORD: &str = "alice's own, äöü & more";
/// A client that may ask for a password, and whose secret is in a file.
const PASSWORD_CLIENT: &str = "--client-id password-grant --client-secret-file secret --flow password";
const PUBLIC_CLIENT: &str = "--client-id public-dc-client";

/// A host whose logins start no agent, and whose site says these lines; alice has the clients' secret in a file.
fn scene(site: &str) -> (Scene, Login) {
    let host = Host::plan().without_agent().site(site).start();
    let provider = Provider::start(&host);
    let login = host.login("alice");
    login.run("umask 077 && echo secret >secret").successful();
    (Scene { provider, host }, login)
}

fn with_passwords() -> (Scene, Login) {
    scene("password_flow = \"yes\"")
}

/// An option that gives a password, in bash.
fn given(password: &str) -> String {
    format!("--password-fd 3 3<<<\"{password}\"")
}

/// The command, its flow begun and waiting: the event with the code.
fn waiting(scene: &Scene, login: &Login, options: &str) -> Value {
    scene.provider.set(json!({"device_interval": 1}));
    login.run(&format!("iam-session token --once {options} >token 2>events & once=$!")).successful();
    let event =
        || -> Option<Value> { serde_json::from_str(login.run("cat events").stdout.lines().next()?).ok() };
    let came = wait::succeeds(|| event().is_some());
    assert!(came, "{}", login.run("cat events").stdout);
    event().unwrap()
}

/// What is left of it where an enrolment would be, and at the issuer.
fn assert_nothing_is_stored(scene: &Scene, login: &Login) {
    let files = "find ~ /run/iam-session /run/user /tmp -user alice -type f -newer secret ! -name token ! -name events ! -name .bash_history";
    assert_eq!(login.run(&format!("{files} 2>/dev/null")).stdout, "");
    assert_eq!(scene.provider.count("registration"), 0);
    assert!(scene.host.agents_of("alice").is_empty());
}

#[test]
fn a_password_typed_on_a_terminal_gives_a_token_and_is_not_shown() {
    let (scene, login) = with_passwords();
    let terminal = scene.host.login_on_terminal("alice");
    let options = "--issuer https://iam.example -s storage.read:/cms --aud https://se.example";
    // The terminal of the tests has no echo by itself.
    let command =
        format!("stty -F /dev/tty echo && iam-session token --once {options} {PASSWORD_CLIENT} >token");
    let prompt = "Password of 'alice' at https://iam.example/: ";
    let seen = terminal.run_attended(&command, &[(prompt, Attend::Type(PASSWORD))]).successful();
    assert!(!seen.stdout.contains("äöü"), "{seen:?}");
    let echo = terminal.run("stty -F /dev/tty -a | grep -ow -- '-\\?echo'").stdout;
    assert_eq!(echo.lines().last(), Some("echo"), "it is back: {echo}");
    let claims = scene.provider.verify(&login.read("token"));
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("alice"), &json!("https://se.example")));
    assert_eq!(claims["scope"], "storage.read:/cms");
    assert_eq!(scene.provider.count("password"), 1);
    assert_nothing_is_stored(&scene, &login);
}

#[test]
fn a_question_for_a_password_that_is_interrupted_sends_none() {
    let (scene, _) = with_passwords();
    let terminal = scene.host.login_on_terminal("alice");
    let command = format!("stty -F /dev/tty echo && iam-session token --once {PASSWORD_CLIENT}");
    let seen = terminal.run_attended(&command, &[("iam.example/: ", Attend::Type("half\x03"))]);
    assert!(seen.status == 1 && seen.stdout.contains("iam-session: cancelled"), "{seen:?}");
    assert!(!seen.stdout.contains("half"), "{seen:?}");
    assert_eq!(scene.provider.count("password"), 0);
}

#[test]
fn a_wrong_password_is_one_line_and_one_request() {
    let (scene, login) = with_passwords();
    let wrong = login.run(&format!("iam-session token --once {PASSWORD_CLIENT} {}", given("guess-4711")));
    assert_eq!((wrong.status, wrong.stdout.as_str()), (5, ""));
    assert_eq!(
        wrong.stderr,
        "iam-session: iam.example refused the login by password (400): invalid_grant: Bad credentials\n"
    );
    assert_eq!(scene.provider.count("password"), 1);
    let right = login.run(&format!("iam-session token --once {PASSWORD_CLIENT} {}", given(PASSWORD)));
    assert!(scene.provider.accepts(&right.successful().stdout));
}

#[test]
fn where_a_policy_is_signed_is_told_without_an_enrolment_too() {
    let (scene, login) = with_passwords();
    let aup = json!({"error": "invalid_grant", "error_description": "User alice needs to sign AUP for this organization"});
    scene
        .provider
        .fail_with(json!({"fault": "status", "status": 400, "body": aup.to_string(), "at": ["password"]}));
    let refused = login.run(&format!("iam-session token --once {PASSWORD_CLIENT} {}", given(PASSWORD)));
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""));
    assert!(refused.stderr.contains("https://iam.example/"), "{refused:?}");
    assert!(refused.stderr.contains("; sign it there, in a browser"), "{refused:?}");
}

#[test]
fn where_the_site_says_nothing_no_password_is_taken() {
    let (scene, login) = scene("");
    let refused = login.run(&format!("iam-session token --once {PASSWORD_CLIENT} {}", given(PASSWORD)));
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""));
    assert!(refused.stderr.contains("does not let its users give their password"), "{refused:?}");
    assert_eq!(scene.provider.count("discovery"), 0, "nobody is asked");
}

#[test]
fn a_code_that_is_approved_gives_one_object_and_leaves_nothing() {
    let (scene, login) = scene("");
    let options = format!("{PUBLIC_CLIENT} -s 'storage.read:/cms openid' --aud 'https://a https://b' --json");
    let event = waiting(&scene, &login, &options);
    assert_eq!(event["event"], "device_code");
    assert_eq!(login.read("token"), "", "standard output is the token's alone");
    scene.provider.approve(event["user_code"].as_str().unwrap(), "alice");
    login.run("wait $once").successful();
    let token: Value = serde_json::from_str(&login.read("token")).unwrap();
    assert_eq!(
        (&token["issuer"], &token["audience"], token.get("account")),
        (&json!("https://iam.example/"), &json!("https://a https://b"), None)
    );
    assert_eq!(words(&token["scope"]), ["openid", "storage.read:/cms"]);
    let claims = scene.provider.verify(token["access_token"].as_str().unwrap());
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("alice"), &json!(["https://a", "https://b"])));
    let (told, true_end) = (token["expires_at"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert!(told.abs_diff(true_end) <= 5, "{told} {true_end}");
    assert_nothing_is_stored(&scene, &login);
}

#[test]
fn where_the_site_has_a_client_nobody_needs_to_name_one() {
    let (scene, login) =
        scene("[roles.look]\nscope = \"storage.read:/cms\"\naudience = \"https://se.example\"");
    let none = login.run("iam-session token --once --issuer wlcg");
    assert_eq!((none.status, none.stdout.as_str()), (2, ""));
    let told =
        "iam-session: which client?; the site has none for https://iam.example/: name one with --client-id\n";
    assert_eq!(none.stderr, told);
    let provider = format!("issuer = \"{ISSUER}\"\nca_file = \"/etc/iam-session/iam.example.pem\"\n");
    let site = format!("{provider}client_id = \"public-dc-client\"\nnotice = \"Use it well.\"\n");
    scene.host.configure_provider("site", &site);
    let notice = waiting(&scene, &login, "--issuer site --role look --json");
    assert_eq!((&notice["event"], &notice["text"]), (&json!("notice"), &json!("Use it well.")));
    let code = || serde_json::from_str::<Value>(login.run("cat events").stdout.lines().nth(1)?).ok();
    scene.host.wait_until("the code", || code().is_some());
    scene.provider.approve(code().unwrap()["user_code"].as_str().unwrap(), "alice");
    login.run("wait $once").successful();
    let token: Value = serde_json::from_str(&login.read("token")).unwrap();
    let claims = scene.provider.verify(token["access_token"].as_str().unwrap());
    assert_eq!(
        (&claims["scope"], &claims["aud"]),
        (&json!("storage.read:/cms"), &json!("https://se.example"))
    );
    assert_nothing_is_stored(&scene, &login);
}

#[test]
fn a_person_sees_what_to_do_beside_the_token() {
    let (scene, login) = scene("");
    scene.provider.set(json!({"device_interval": 1}));
    let client = "--client-id device-code-client --client-secret-file <(cat secret)";
    login.run(&format!("iam-session token --once {client} >token 2>told & once=$!")).successful();
    let code = || {
        let told = login.run("cat told").stdout;
        let line = told.lines().find_map(|line| line.strip_prefix("The code is"))?.trim().to_owned();
        Some(line).filter(|_| told.contains("Waiting for your approval"))
    };
    scene.host.wait_until("the code", || code().is_some());
    let told = login.read("told");
    assert!(told.contains("nothing is stored") && told.contains("https://iam.example/device"), "{told}");
    scene.provider.approve(&code().unwrap(), "alice");
    login.run("wait $once").successful();
    let claims = scene.provider.verify(&login.read("token"));
    assert_eq!(words(&claims["scope"]), ["openid", "storage.read:/", "wlcg"], "as in a token file");
}

#[test]
fn the_process_that_waits_is_closed_to_its_own_user() {
    let (scene, login) = scene("");
    waiting(&scene, &login, &format!("{PUBLIC_CLIENT} --json"));
    for look in ["cat /proc/$once/environ", "head -c 1 /proc/$once/mem", "ls /proc/$once/fd"] {
        let look = login.run(look);
        assert!(look.status != 0 && look.stderr.contains("Permission denied"), "{look:?}");
    }
    login.run("kill $once; wait $once; [ $? = 1 ]").successful();
    assert!(login.read("events").contains("cancelled; nothing was stored"));
    assert_eq!(login.read("token"), "");
}

#[test]
fn a_scope_that_policy_takes_away_is_named_and_no_token_is_printed() {
    let (scene, login) = with_passwords();
    scene.provider.set(json!({"denied_scopes": ["storage.create:/"]}));
    let scopes = "-s storage.create:/ -s storage.read:/";
    let refused =
        login.run(&format!("iam-session token --once {PASSWORD_CLIENT} {scopes} {}", given(PASSWORD)));
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""));
    assert!(refused.stderr.contains("https://iam.example/ did not grant 'storage.create:/'"), "{refused:?}");
}

#[test]
fn what_the_issuer_refuses_says_what_to_look_at() {
    let (_scene, login) = with_passwords();
    for (options, told) in [
        ("--client-id nobody", "does not know this client"),
        (PUBLIC_CLIENT, "Unauthorized grant type"),
        ("--client-id password-grant --client-secret-file /etc/hostname", "look at --client-id"),
        ("--client-id password-grant --client-secret-file secret -s storage.modify:/", "storage.modify:/"),
    ] {
        let flow = format!("--flow password {}", given(PASSWORD));
        let refused = login.run(&format!("iam-session token --once {options} {flow}"));
        assert_eq!((refused.status, refused.stdout.as_str()), (5, ""), "{options}: {refused:?}");
        assert!(
            refused.stderr.contains(told) && refused.stderr.lines().count() == 1,
            "{options}: {refused:?}"
        );
    }
    let gone = login.run("iam-session token --once --client-id nobody");
    assert!(gone.status == 5 && gone.stderr.contains("look at --client-id"), "{gone:?}");
}

#[test]
fn an_issuer_that_the_site_does_not_allow_is_not_asked() {
    let (scene, login) = scene("allowed_issuers = [\"https://other.example/\"]");
    let refused = login.run(&format!("iam-session token --once --issuer wlcg {PUBLIC_CLIENT}"));
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""));
    assert!(refused.stderr.contains("https://iam.example/"), "{refused:?}");
    assert_eq!(scene.provider.count("discovery"), 0);
}
