//! Enrolment as a user meets it: questions on a terminal, events for a program, clients of every kind.

use serde_json::json;
use support::{Enrolling, Helper, ISSUER, Terminal};

use crate::scene::{Scene, json_of, token_file, words};

const PROVIDER: &str = "issuer = \"https://iam.example/\"\nca_file = \"/etc/iam-session/iam.example.pem\"\n";

fn scene() -> Scene {
    let scene = Scene::new();
    scene.provider.set(json!({"device_interval": 1}));
    scene
}

/// Waits for the code on a terminal, and approves it as alice.
fn approve(scene: &Scene, terminal: &mut Terminal) -> String {
    let before = terminal.until("The code is          ");
    let code = terminal.until("\r\n");
    scene.provider.approve(&code, "alice");
    before
}

#[test]
fn a_terminal_is_asked_for_the_issuer_and_the_scopes_and_shows_the_code() {
    let scene = scene();
    scene.host.configure_provider("egi", "issuer = \"https://egi.example/\"\nname = \"EGI\"\n");
    scene.host.configure_provider("wlcg", &format!("{PROVIDER}notice = \"Use it well.\"\n"));
    let mut terminal = Terminal::start(&scene.host, "alice", "iam-session enroll");
    let list = terminal.until("Type its number, 1 to 2, or its name:");
    assert!(
        list.contains("  1  egi  https://egi.example/  EGI\r\n  2  wlcg  https://iam.example/\r\n"),
        "{list}"
    );
    terminal.type_line("2");
    let question = terminal.until("Press Enter, or type max, or scopes separated by spaces:");
    assert!(question.contains("Use it well.\r\n"), "{question}");
    assert!(
        question.contains("  Enter  offline_access openid storage.read:/ wlcg wlcg.groups\r\n"),
        "{question}"
    );
    assert!(question.contains("compute.create"), "{question}");
    terminal.type_line("storage.read:/ storage.create:/alice nonsense");
    let before = approve(&scene, &mut terminal);
    assert!(before.contains("On any device, open  https://iam.example/device?user_code="), "{before}");
    let (rest, status) = terminal.end();
    assert!(
        rest.contains("granted      offline_access openid storage.create:/alice storage.read:/\r\n"),
        "{rest}"
    );
    assert!(
        rest.contains("scope 'nonsense' was not granted: the issuer does not give it to a new client"),
        "{rest}"
    );
    assert_eq!(status, Some(5), "{rest}");
    let login = scene.host.login("alice");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
}

#[test]
fn enter_is_enough() {
    let scene = scene();
    let mut terminal = Terminal::start(&scene.host, "alice", "iam-session enroll wlcg");
    terminal.until("Press Enter, or type max, or scopes separated by spaces:");
    terminal.type_line("");
    approve(&scene, &mut terminal);
    let (rest, status) = terminal.end();
    assert!(
        rest.contains("granted      offline_access openid storage.read:/ wlcg wlcg.groups\r\n"),
        "{rest}"
    );
    assert_eq!(status, Some(0), "{rest}");
}

#[test]
fn an_issuer_like_keycloak_takes_the_registration_and_wants_a_proof() {
    let scene = scene();
    scene.provider.set(json!({"scopes_of_no_client": ["openid"], "demands_pkce": true}));
    scene.host.configure_provider("wlcg", &format!("{PROVIDER}expect_subject = \"preferred_username=%u\"\n"));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    // The same client again, through the agent.
    scene.host.reenroll(&scene.provider, "alice", "wlcg");
    assert_eq!(scene.provider.count("registration"), 2, "refused with openid, taken without");
}

#[test]
fn ctrl_c_at_a_question_leaves_nothing() {
    let scene = scene();
    let mut terminal = Terminal::start(&scene.host, "alice", "iam-session enroll wlcg");
    terminal.until("separated by spaces:");
    terminal.press("\x03");
    let (rest, status) = terminal.end();
    assert!(rest.contains("iam-session: cancelled; nothing was stored\r\n"), "{rest}");
    assert_eq!((status, scene.provider.count("registration")), (Some(1), 0));
}

#[test]
fn a_program_gets_every_step_as_an_object_and_is_asked_nothing() {
    let scene = scene();
    let lines = format!("{PROVIDER}scope = \"wlcg storage.read:/\"\nnotice = \"Use it well.\"\n");
    scene.host.configure_provider("wlcg", &lines);
    let mut enrolling = Enrolling::start(&scene.host, "alice", "wlcg");
    assert_eq!(enrolling.event("notice")["text"], "Use it well.");
    let code = enrolling.event("device_code");
    assert_eq!(code["verification_uri"], "https://iam.example/device");
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    let enrolled = enrolling.event("enrolled");
    assert_eq!((&enrolled["account"], &enrolled["issuer"]), (&json!("wlcg"), &json!(ISSUER)));
    assert_eq!(enrolled["scope"], "offline_access openid storage.read:/ wlcg");
    assert_eq!(enrolling.status(), Some(0));
    // On a terminal, too: whoever wants objects reads no questions.
    scene.host.configure_provider("egi", "issuer = \"https://egi.example/\"\n");
    let (shown, status) = Terminal::start(&scene.host, "alice", "iam-session enroll --json").end();
    assert!(shown.contains("{\"event\":\"error\",\"error\":\"which issuer?\""), "{shown}");
    assert_eq!(status, Some(2), "{shown}");
}

#[test]
fn an_issuer_that_wants_a_token_first_has_the_terminal_asked_for_it() {
    let scene = scene();
    scene.provider.set(json!({"initial_access_token": "open-sesame"}));
    let mut terminal = Terminal::start(&scene.host, "alice", "iam-session enroll wlcg -s storage.read:/");
    terminal.until("Initial access token (not shown; Enter for none): ");
    terminal.type_line("open-barley");
    terminal.until("Initial access token (not shown; Enter for none): ");
    terminal.type_line("open-sesame");
    let shown = approve(&scene, &mut terminal);
    let (rest, status) = terminal.end();
    assert_eq!(status, Some(0), "{rest}");
    assert!(!shown.contains("barley") && !shown.contains("sesame"), "{shown}");

    for (keys, said) in
        [("\x03", "cancelled; nothing was stored"), ("\n", "does not register clients for everybody")]
    {
        let mut terminal = Terminal::start(&scene.host, "bob", "iam-session enroll wlcg -s storage.read:/");
        terminal.until("Initial access token (not shown; Enter for none): ");
        terminal.press(keys);
        let (rest, status) = terminal.end();
        assert!(rest.contains(said) && status != Some(0), "{rest}");
    }
}

#[test]
fn the_clients_of_others_are_used_and_outlive_the_account() {
    let scene = scene();
    scene.host.configure_provider("site", &format!("{PROVIDER}client_id = \"public-dc-client\"\n"));
    scene.host.write("/home/alice/secret", "secret\n", 0o644);
    for arguments in ["site", "wlcg --client-id device-code-client --client-secret-file ~/secret"] {
        let mut enrolling = Enrolling::start(&scene.host, "alice", &format!("{arguments} --account one"));
        let code = enrolling.event("device_code");
        scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
        enrolling.event("enrolled");
        assert_eq!(enrolling.status(), Some(0), "{arguments}");
        let login = scene.host.login("alice");
        login.run("iam-session token -s storage.read:/a").successful();
        login.run("iam-session forget one").successful();
    }
    assert_eq!((scene.provider.count("registration"), scene.provider.count("deregistration")), (0, 0));
    assert_eq!(scene.provider.count("revocation"), 2);
    let refused = scene.host.ssh("alice", "iam-session enroll site -s storage.modify:/");
    assert_eq!(refused.status, 5, "{refused:?}");
    assert!(refused.stderr.contains("client 'public-dc-client' may lack a scope"), "{refused:?}");
}

/// A refresh token of alice's that some other program has obtained with its own client.
fn obtained_elsewhere(scene: &Scene) -> String {
    let mut helper = Helper::start(&scene.host, "alice");
    let mut ask = |mut request: serde_json::Value| {
        request["transport"] = json!({"ca_file": "/etc/iam-session/iam.example.pem"});
        helper.get(&request)
    };
    let client = json!({"client_id": "public-dc-client", "auth": "none"});
    let device = ask(json!({"request": "authorize_device", "endpoint": "https://iam.example/devicecode",
                            "client": client, "scope": "openid offline_access storage.read:/ wlcg"}));
    scene.provider.approve(device["user_code"].as_str().unwrap(), "alice");
    let token =
        ask(json!({"request": "poll_device", "endpoint": "https://iam.example/token", "client": client,
                           "device_code": device["device_code"]}));
    token["refresh_token"].as_str().unwrap().to_owned()
}

#[test]
fn a_refresh_token_from_elsewhere_is_enrolled_as_it_was_granted() {
    let scene = scene();
    scene.provider.set(json!({"rotate": true}));
    let login = scene.host.login("alice");
    scene.host.write("/home/alice/refresh-token", obtained_elsewhere(&scene), 0o644);
    let import =
        "iam-session enroll wlcg --json --client-id public-dc-client --refresh-token-fd 3 3<~/refresh-token";
    let enrolled = json_of(&login, import);
    assert_eq!(enrolled["scope"], "offline_access openid storage.read:/ wlcg");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    let claims = scene.claims(&login);
    assert_eq!(words(&claims["scope"]), ["openid", "storage.read:/", "wlcg"]);
    login.run("iam-session token -s storage.read:/a").successful();
    assert_eq!(scene.provider.count("reuse"), 0, "what replaced it is what is kept");

    let again = login.run(import);
    assert_eq!(again.status, 5, "the one that was given is dead: {again:?}");
    assert!(again.stderr.contains("check that the refresh token is good"), "{again:?}");
    login.run("iam-session status").successful();
}

#[test]
fn of_a_refresh_token_from_elsewhere_no_more_is_kept_than_is_known_and_wanted() {
    let scene = scene();
    let login = scene.host.login("alice");
    scene.host.write("/home/alice/refresh-token", obtained_elsewhere(&scene), 0o644);
    let import = |arguments: &str| {
        let named = "iam-session enroll wlcg --json --client-id public-dc-client";
        login.run(&format!("{named} --refresh-token-fd 3 {arguments} 3<~/refresh-token"))
    };
    let unstated =
        || scene.provider.fail_with(json!({"fault": "unstated_scope", "at": ["refresh"], "times": 1}));
    unstated();
    let refused = import("");
    assert_eq!(refused.status, 5, "{refused:?}");
    assert!(
        refused.stderr.contains("does not say what the refresh token was granted; name its scopes with -s")
    );
    let refused = import("-s compute.create");
    assert_eq!(refused.status, 5, "{refused:?}");
    assert!(refused.stderr.contains("granted the refresh token none of these scopes"), "{refused:?}");
    unstated();
    let named = import("-s 'openid storage.read:/a'").successful();
    assert!(named.stdout.contains("\"scope\":\"openid storage.read:/a\""), "{named:?}");
    let narrowed = import("-s 'openid storage.read:/b'").successful();
    assert!(narrowed.stdout.contains("\"scope\":\"openid storage.read:/b\""), "{narrowed:?}");
    let refused = login.run("iam-session token -s storage.read:/a");
    assert_eq!(refused.status, 5, "{refused:?}");
}

#[test]
fn a_member_of_a_providers_group_is_invited_at_login_and_asked_for_no_name() {
    let scene = scene();
    scene.host.configure_provider("other", "issuer = \"https://other.example/\"\n");
    scene.host.configure_provider("wlcg", &format!("{PROVIDER}groups = [\"alice\"]\n"));
    let alice = scene.host.login_that_shows("alice", "iam-session enroll");
    let bob = scene.host.login_on_terminal("bob");
    assert!(!bob.greeting().contains("iam-session"), "{:?}", bob.greeting());
    let list = json_of(&alice, "iam-session providers --json");
    assert_eq!((&list["default_provider"], &list["default_because"]), (&json!("wlcg"), &json!("groups")));
    let mut enrolling = Enrolling::start(&scene.host, "alice", "");
    enrolling.event("device_code");
    let refused = scene.host.ssh("bob", "iam-session enroll");
    assert_eq!(refused.status, 2, "{refused:?}");
    assert!(refused.stderr.contains("which issuer?"), "{refused:?}");
}

#[test]
fn a_name_service_that_hangs_costs_the_default_provider_and_no_login() {
    let scene = scene();
    scene.host.configure_provider("other", "issuer = \"https://other.example/\"\n");
    scene.host.configure_provider("wlcg", &format!("{PROVIDER}groups = [\"alice\"]\n"));
    scene.host.write("/usr/bin/getent", "#!/bin/sh\nexec sleep 1000\n", 0o755);
    let login = scene.host.login_on_terminal("alice");
    assert!(!login.greeting().contains("iam-session"), "{:?}", login.greeting());
    let enrol = scene.host.ssh("alice", "iam-session enroll");
    assert_eq!(enrol.status, 2, "{enrol:?}");
    assert!(enrol.stderr.contains("cannot look up the groups of the providers"), "{enrol:?}");
    let asleep = || scene.host.processes_of("alice").iter().any(|process| process.command.contains("sleep"));
    scene.host.wait_until("the end of what was given up", || !asleep());
    let number = scene.host.uid("alice");
    scene.host.configure_provider("wlcg", &format!("{PROVIDER}groups = [\"{number}\"]\n"));
    assert!(
        json_of(&login, "iam-session providers --json")["default_provider"] == "wlcg",
        "a number needs nobody"
    );
}
