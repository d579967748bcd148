//! Several accounts of one user: whose token is where, and what they are called.

use serde_json::json;
use support::Login;

use crate::scene::{Scene, json_of, token_file, words};

const STORE: &str = "/home/alice/.local/state/iam-session";

/// Alice has two accounts of one issuer. `cms`, the younger one, was granted less.
pub(crate) fn two_accounts() -> Scene {
    with_cms(Scene::enrolled())
}

pub(crate) fn with_cms(scene: Scene) -> Scene {
    scene.host.enroll_with(&scene.provider, "alice", "--account cms -s storage.read:/cms");
    scene
}

/// Whose token is in the file: theirs differ in their scope.
fn owner(scene: &Scene, login: &Login) -> &'static str {
    let claims = scene.claims(login);
    if words(&claims["scope"]).contains(&"storage.read:/cms") { "cms" } else { "wlcg" }
}

#[test]
fn two_accounts_of_one_issuer_share_one_client_which_goes_with_the_last() {
    let scene = two_accounts();
    assert_eq!((scene.provider.count("registration"), scene.provider.count("client")), (1, 0));
    let login = scene.host.login("alice");
    assert_eq!(json_of(&login, "iam-session token --account cms --json")["account"], "cms");
    let told = login.run("iam-session forget cms").successful().stdout;
    assert_eq!(told, "revoked the refresh token\nremoved account 'cms'\n");
    assert_eq!(scene.provider.count("deregistration"), 0);
    login.run("iam-session token -s storage.read:/left").successful();
    let told = login.run("iam-session forget wlcg").successful().stdout;
    assert_eq!(told, "revoked the refresh token\nderegistered the client\nremoved account 'wlcg'\n");
    assert_eq!(scene.provider.count("deregistration"), 1);
}

#[test]
fn the_list_says_what_there_is_and_whose_token_is_in_the_file() {
    let scene = two_accounts();
    let login = scene.host.login("alice");
    let text = login.run("iam-session list").successful().stdout;
    assert!(text.starts_with("cms\n  issuer     https://iam.example/\n  client     "), "{text}");
    assert!(text.contains("\n\nwlcg (its token is in the file)\n"), "{text}");
    let listing = json_of(&login, "iam-session list --json");
    assert_eq!(listing["default_account"], "wlcg");
    let names: Vec<_> = listing["accounts"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["cms", "wlcg"]);
    login.run("iam-session forget cms").successful();
    login.run("iam-session forget wlcg").successful();
    let none = login.run("iam-session list");
    assert_eq!((none.status, none.stdout.as_str()), (3, ""));
    assert_eq!(none.stderr, "iam-session: you have no account; run 'iam-session enroll'\n");
}

#[test]
fn the_account_in_use_is_in_the_file_at_once_and_at_the_next_login() {
    let scene = two_accounts();
    let (login, other) = (scene.host.login("alice"), scene.host.login("alice"));
    assert_eq!(owner(&scene, &login), "wlcg", "the one that was there first");
    login.run("iam-session use cms").successful();
    assert_eq!((owner(&scene, &login), owner(&scene, &other)), ("cms", "cms"));
    login.close();
    other.close();
    scene.host.wait_until("the end of the agents", || scene.host.agents_of("alice").is_empty());
    let login = scene.host.login("alice");
    assert_eq!(owner(&scene, &login), "cms");
    // Forgotten, it is no choice any more.
    login.run("iam-session forget cms").successful();
    assert_eq!(owner(&scene, &login), "wlcg");
    assert!(!scene.host.exists(&format!("{STORE}/default")));
}

#[test]
fn what_cannot_be_had_now_leaves_no_other_accounts_token_in_the_file() {
    let scene = two_accounts();
    let login = scene.host.login("alice");
    let file = token_file(&login);
    scene.provider.fail_with(json!({"fault": "status", "status": 503, "at": ["refresh"]}));
    login.run("rm -f .local/state/iam-session/cms.token $(dirname $IAM_SESSION_SOCK)/cache/*").successful();
    let told = login.run("iam-session use cms");
    assert_eq!(told.status, 7, "{told:?}");
    assert!(told.stderr.contains("warning: there is no token in the file yet: "), "{told:?}");
    assert!(!scene.host.exists(&file));
    scene.provider.heal();
    scene.host.wait_until("the token", || scene.host.exists(&file));
    assert_eq!(owner(&scene, &login), "cms");
}

#[test]
fn nor_does_an_account_whose_record_does_not_open() {
    let scene = two_accounts();
    let login = scene.host.login("alice");
    let file = token_file(&login);
    login.run("echo rubbish >.local/state/iam-session/cms.cred").successful();
    let told = login.run("iam-session use cms");
    assert_eq!(told.status, 1, "{told:?}");
    assert!(!scene.host.exists(&file), "what is there would be wlcg's");
    login.run("iam-session use wlcg").successful();
    assert_eq!(owner(&scene, &login), "wlcg");
}

#[test]
fn the_users_own_configuration_counts_more_and_its_line_is_named() {
    let scene = two_accounts();
    let login = scene.host.login("alice");
    let configure =
        "mkdir -p .config/iam-session && echo 'default_account = \"wlcg\"' >.config/iam-session/config.toml";
    login.run(configure).successful();
    let refused = login.run("iam-session use cms");
    assert_eq!(refused.status, 5, "{refused:?}");
    assert_eq!(
        refused.stderr,
        "iam-session: /home/alice/.config/iam-session/config.toml:1 says default_account = \"wlcg\", which counts \
         more; change that line to \"cms\", or take it out\n"
    );
    assert_eq!(owner(&scene, &login), "wlcg");
    login.run("iam-session use wlcg").successful();
}

#[test]
fn an_issuer_names_its_account_while_it_has_only_one() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    for issuer in ["https://iam.example", "https://iam.example/"] {
        let token = json_of(&login, &format!("iam-session token --account {issuer} --json"));
        assert_eq!(token["account"], "wlcg");
    }
    login.run("iam-session use https://iam.example").successful();
    let scene = with_cms(scene);
    for command in ["token --account", "use", "env --account", "reenroll"] {
        let refused = login.run(&format!("iam-session {command} https://iam.example"));
        assert_eq!((refused.status, refused.stdout.as_str()), (2, ""), "{refused:?}");
        let why =
            "iam-session: several of your accounts are of https://iam.example: cms, wlcg; name one of them\n";
        assert_eq!(refused.stderr, why);
    }
    let unknown = login.run("iam-session token --account https://other.example/");
    assert_eq!(unknown.status, 3, "{unknown:?}");
    drop(scene);
}

#[test]
fn a_renamed_account_goes_on_as_before_and_its_record_is_the_same() {
    let scene = two_accounts();
    let login = scene.host.login("alice");
    login.run("iam-session use cms").successful();
    let record = login.run("sha256sum <.local/state/iam-session/cms.cred").stdout;
    let refreshes = scene.provider.count("refresh");
    let told = login.run("iam-session rename cms cms.new").successful();
    assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("account 'cms' is now 'cms.new'\n", ""));
    assert_eq!(login.run("sha256sum <.local/state/iam-session/cms.new.cred").stdout, record);
    assert_eq!(json_of(&login, "iam-session list --json")["default_account"], "cms.new");
    assert_eq!(owner(&scene, &login), "cms");
    assert_eq!(login.run("iam-session token --account cms").status, 3);
    login.run("iam-session token --account cms.new").successful();
    assert_eq!(scene.provider.count("refresh"), refreshes, "its tokens are the same");
}

#[test]
fn a_name_that_is_taken_missing_or_a_path_renames_nothing() {
    let scene = two_accounts();
    let login = scene.host.login("alice");
    let before = login.run("ls .local/state/iam-session").stdout;
    for (arguments, status, why) in [
        ("cms wlcg", 2, "there is an account 'wlcg' already"),
        ("none new", 3, "there is no account 'none'"),
        ("cms ../cms", 2, "'../cms' is no account name"),
        ("../iam-session/cms x", 2, "'../iam-session/cms' is no account name"),
        ("cms .x", 2, "'.x' is no account name"),
    ] {
        let refused = login.run(&format!("iam-session rename {arguments}"));
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.stderr.starts_with(&format!("iam-session: {why}")), "{refused:?}");
    }
    assert_eq!(login.run("ls .local/state/iam-session").stdout, before);
}

/// The command line checks names; the agent must not rely on that.
#[test]
fn the_agent_takes_no_name_that_is_a_path() {
    let scene = two_accounts();
    let login = scene.host.login("alice");
    let before = login.run("find . | sort; find $(dirname $IAM_SESSION_SOCK)/.. | sort").stdout;
    let program = "import json, os, socket\n\
        s = socket.socket(socket.AF_UNIX); s.connect(os.environ['IAM_SESSION_SOCK']); f = s.makefile('rw')\n\
        for request in ['use', 'keep', 'rename', 'remove', 'revoke', 'forget']:\n\
        \x20   for name in ['../x', '/home/alice/x', '.x', '']:\n\
        \x20       f.write(json.dumps({'request': request, 'account': name, 'to': 'y'}) + '\\n'); f.flush()\n\
        \x20       print(json.loads(f.readline())['kind'])\n";
    scene.host.write("/var/tmp/names.py", program, 0o644);
    let answers = login.run("/mnt/tools/python/bin/python /var/tmp/names.py").successful().stdout;
    assert_eq!(answers, "usage\n".repeat(24));
    assert_eq!(login.run("find . | sort; find $(dirname $IAM_SESSION_SOCK)/.. | sort").stdout, before);
}
