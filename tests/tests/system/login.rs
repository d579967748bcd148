//! A login has a token, and its end leaves nothing.

use std::collections::BTreeSet;

use support::Host;

use crate::scene::{Scene, left_behind, token_file};

const VARIABLES: [&str; 3] = ["BEARER_TOKEN_FILE", "IAM_SESSION_ID", "IAM_SESSION_SOCK"];

#[test]
fn a_login_finds_a_token_that_the_provider_signed() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let file = token_file(&login);
    assert_eq!(login.run(&format!("stat -c '%a %U' {file}")).stdout, "600 alice\n");
    assert_eq!(login.read(&file).lines().count(), 1);
    assert_eq!(scene.claims(&login)["sub"], "alice");
}

#[test]
fn a_storage_library_finds_the_token_by_itself() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let read = "SSL_CERT_FILE=/etc/iam-session/iam.example.pem /mnt/tools/python/bin/python -c '
import scitokens
any = \"https://wlcg.cern.ch/jwt/v1/any\"
token = scitokens.SciToken.discover(audience=any)
enforcer = scitokens.Enforcer(\"https://iam.example/\", audience=any)
[enforcer.add_validator(claim, lambda value: True) for claim in (\"client_id\", \"wlcg.ver\")]
print(enforcer.test(token, \"storage.read\", \"/data/x\"), enforcer.test(token, \"storage.create\", \"/data/x\"))'";
    assert_eq!(login.run(read).successful().stdout, "True False\n");
}

/// Names of the environment's variables, of a command or of a shell on a terminal.
fn variables(host: &Host, terminal: bool) -> BTreeSet<String> {
    let names = "compgen -e";
    let output = match terminal {
        true => host.login_on_terminal("alice").run(names),
        false => host.ssh("alice", &format!("bash -c '{names}'")),
    };
    output.successful().stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_login_has_three_variables_more_on_a_terminal_and_without_one() {
    let with = Host::start();
    let without = Host::plan().without_agent().start();
    for terminal in [true, false] {
        let before = variables(&without, terminal);
        let more: Vec<_> = variables(&with, terminal).difference(&before).cloned().collect();
        assert_eq!(more, VARIABLES, "on a terminal: {terminal}");
    }
}

#[test]
fn the_variables_name_what_is_there() {
    let host = Host::start();
    let login = host.login("alice");
    let id = login.env("IAM_SESSION_ID").unwrap();
    assert_eq!(token_file(&login), "/run/iam-session/20001/bt_u20001-iam");
    let socket = login.env("IAM_SESSION_SOCK").unwrap();
    assert_eq!(socket, format!("/run/iam-session/20001/iam-session/{id}.sock"));
    assert_eq!(login.run(&format!("stat -c '%F %a %U' {socket}")).stdout, "socket 600 alice\n");
}

#[test]
fn the_runtime_directory_of_logind_is_used_where_there_is_one() {
    let scene = Scene::of(Host::plan().with_logind_runtime("alice"));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    assert_eq!(token_file(&login), "/run/user/20001/bt_u20001-iam");
    assert_eq!(scene.claims(&login)["sub"], "alice");
}

#[test]
fn a_logout_leaves_nothing() {
    let scene = Scene::enrolled();
    scene
        .host
        .wait_until("the end of the enrolment's own login", || scene.host.agents_of("alice").is_empty());
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/a").successful();
    let file = token_file(&login);
    login.close();
    scene.host.wait_until_gone(&file);
    scene.host.wait_until("the end of alice's processes", || scene.host.processes_of("alice").is_empty());
    assert_eq!(left_behind(&scene.host), "");
}

#[test]
fn while_another_login_lives_the_token_stays() {
    let scene = Scene::enrolled();
    let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
    let socket = one.env("IAM_SESSION_SOCK").unwrap();
    one.close();
    scene.host.wait_until_gone(&socket);
    assert!(scene.provider.accepts(&other.read(&token_file(&other))));
    other.run("iam-session token").successful();
}

#[test]
fn the_login_that_enrols_has_the_token_when_the_command_returns() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let file = token_file(&login);
    assert_eq!(login.run(&format!("test -e {file}")).status, 1);
    scene.host.enroll(&scene.provider, "alice");
    // Enrolled in another login of the same user: the file is the same.
    assert!(scene.provider.accepts(&login.read(&file)));
}

#[test]
fn a_later_login_costs_the_issuer_nothing() {
    let scene = Scene::enrolled();
    let refreshes = scene.provider.count("refresh");
    for _ in 0..5 {
        let login = scene.host.login("alice");
        assert!(scene.provider.accepts(&login.read(&token_file(&login))));
        login.close();
    }
    assert_eq!(scene.provider.count("refresh"), refreshes);
}

#[test]
fn users_have_nothing_of_each_other() {
    let scene = Scene::enrolled();
    scene.host.enroll(&scene.provider, "bob");
    let (alice, bob) = (scene.host.login("alice"), scene.host.login("bob"));
    assert_eq!(scene.claims(&alice)["sub"], "alice");
    assert_eq!(scene.claims(&bob)["sub"], "bob");
    assert_ne!(bob.run(&format!("cat {}", token_file(&alice))).status, 0);
}
