//! A real storage element, and the programs that users reach it with: none of them knows of iam-session.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

use serde_json::{Value, json};
use support::{Host, Output, Provider, Storage};

/// A host, a provider, and a storage element that takes its tokens. Alice has enrolled, with all there is.
struct Scene {
    // Before the host that they run on.
    storage: Storage,
    provider: Provider,
    host: Host,
}

impl Scene {
    fn new() -> Self {
        Self::with(json!({}))
    }

    /// One whose provider has these settings.
    fn with(settings: Value) -> Self {
        let host = Host::start();
        let provider = Provider::start(&host);
        provider.set(settings);
        host.enroll_with(&provider, "alice", "-s max");
        Self { storage: Storage::start(&host, &provider), provider, host }
    }

    /// What xrdcp needs to read the file that is there.
    fn read(&self) -> String {
        format!("xrdcp {} -", self.storage.url("/cms/x"))
    }

    /// What it needs to write one.
    fn write(&self, path: &str) -> String {
        format!("echo 'event 2' | xrdcp - {}", self.storage.url(path))
    }
}

/// A token by which alice writes below her own directory. xrdcp looks for what is there before it writes.
fn token_to_write() -> String {
    let scopes = "-s storage.read:/cms/alice -s storage.create:/cms/alice";
    format!("iam-session token {scopes} --aud {}", Storage::AUDIENCE)
}

/// The storage element let nobody in.
fn is_refused_at_the_door(output: &Output) -> bool {
    output.status != 0 && output.stderr.contains("Auth failed") && output.stdout.is_empty()
}

/// It let the user in, and not do this.
fn is_denied(output: &Output) -> bool {
    output.status != 0 && output.stderr.contains("permission denied")
}

#[test]
fn a_login_reads_without_being_told_where_the_token_is() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let url = scene.storage.url("/cms/x");
    for command in [format!("xrdcp {url} -"), format!("gfal-cat {url}")] {
        assert_eq!(login.run(&command).successful().stdout, "event 1\n", "{command}");
    }
}

#[test]
fn a_login_reads_on_when_its_first_token_has_ended() {
    let scene = Scene::with(json!({"access_token_lifetime": 9}));
    let login = scene.host.login("alice");
    let first = login.run("iam-session token").successful().stdout;
    // Not by asking the provider all the time: that keeps it from answering the renewal.
    let now = || login.run("cat $BEARER_TOKEN_FILE").stdout;
    scene.host.wait_until("a renewal", || now() != first);
    scene.host.wait_until("the end of the first token", || !scene.provider.accepts(&first));
    assert_eq!(login.run(&scene.read()).successful().stdout, "event 1\n");
}

#[test]
fn the_token_of_the_login_does_not_write() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let output = login.run(&scene.write("/cms/alice/y"));
    assert!(is_denied(&output), "{output:?}");
    assert_eq!(scene.storage.contents("/cms/alice/y"), None);
}

#[test]
fn a_token_that_was_asked_for_by_name_writes() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let token = token_to_write();
    let variable = format!("export BEARER_TOKEN=$({token})");
    login.run(&format!("{variable} && {}", scene.write("/cms/alice/y"))).successful();
    let file = format!("(umask 077 && {token} >mine) && export BEARER_TOKEN_FILE=$PWD/mine");
    login.run(&format!("unset BEARER_TOKEN && {file} && {}", scene.write("/cms/alice/z"))).successful();
    for path in ["/cms/alice/y", "/cms/alice/z"] {
        assert_eq!(scene.storage.contents(path).as_deref(), Some("event 2\n"), "{path}");
    }
}

#[test]
fn a_token_is_good_for_the_directory_and_the_storage_element_that_it_names() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let elsewhere = token_to_write().replace(Storage::AUDIENCE, "https://se.example");
    for (token, path) in [(token_to_write(), "/cms/bob/y"), (elsewhere, "/cms/alice/y")] {
        let take = format!("BEARER_TOKEN=$({token}) && export BEARER_TOKEN");
        let output = login.run(&format!("{take} && {}", scene.write(path)));
        assert!(is_denied(&output), "{token} {path}: {output:?}");
        assert_eq!(scene.storage.contents(path), None);
    }
}

#[test]
fn who_has_not_logged_in_does_not_read() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let file = login.env("BEARER_TOKEN_FILE").unwrap();
    let with_her_file = format!("BEARER_TOKEN_FILE={file} {}", scene.read());
    scene.host.as_user("alice").run(&with_her_file).successful();
    for command in [scene.read(), with_her_file.clone()] {
        let output = scene.host.as_user("bob").run(&command);
        assert!(is_refused_at_the_door(&output), "{output:?}");
    }
    login.close();
    scene.host.wait_until_gone(&file);
    let output = scene.host.as_user("alice").run(&with_her_file);
    assert!(is_refused_at_the_door(&output), "{output:?}");
}

#[test]
fn a_token_file_that_others_may_read_is_as_good_as_none() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    login.run("cp $BEARER_TOKEN_FILE copy && export BEARER_TOKEN_FILE=$PWD/copy").successful();
    for mode in ["0640", "0604"] {
        let output = login.run(&format!("chmod {mode} copy && {}", scene.read()));
        assert!(is_refused_at_the_door(&output), "{mode}: {output:?}");
    }
    login.run(&format!("chmod 0600 copy && {}", scene.read())).successful();
}

#[test]
fn a_token_file_holds_4096_bytes_at_most() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let copy = "cp $BEARER_TOKEN_FILE copy && export BEARER_TOKEN_FILE=$PWD/copy";
    // White space around a token is no part of it.
    let fill = "yes '' | head -c $((4096 - $(wc -c <copy))) >>copy";
    login.run(&format!("{copy} && {fill} && {}", scene.read())).successful();
    let output = login.run(&format!("echo >>copy && {}", scene.read()));
    assert!(is_refused_at_the_door(&output), "{output:?}");
}

#[test]
fn by_http_the_token_goes_into_a_header() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let read = format!("davix-get {}", scene.storage.web_url("/cms/x"));
    let output = login.run(&read);
    assert!(output.status != 0 && output.stderr.contains("403"), "{output:?}");
    let header = r#"-H "Authorization: Bearer $(iam-session token)""#;
    assert_eq!(login.run(&format!("{read} {header}")).successful().stdout, "event 1\n");

    let url = scene.storage.web_url("/cms/alice/y");
    let write = |token: &str| {
        format!(r#"echo 'event 2' >y; davix-put -H "Authorization: Bearer $({token})" y {url}"#)
    };
    let output = login.run(&write("iam-session token"));
    assert!(output.status != 0 && output.stderr.contains("403"), "{output:?}");
    login.run(&write("iam-session token -s storage.create:/cms/alice")).successful();
    assert_eq!(scene.storage.contents("/cms/alice/y").as_deref(), Some("event 2\n"));
}

#[test]
fn a_header_need_not_be_seen_by_others() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let url = scene.storage.web_url("/cms/x").replace("davs:", "https:");
    // printf is the shell's own: the token is in no process's arguments.
    let header = r#"@<(printf 'Authorization: Bearer %s' "$(iam-session token)")"#;
    assert_eq!(login.run(&format!("curl -sS -H {header} {url}")).successful().stdout, "event 1\n");
}

#[test]
fn by_http_gfal_finds_the_token_in_its_environment_alone() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let read = format!("gfal-cat {}", scene.storage.web_url("/cms/x"));
    let output = login.run(&read);
    assert!(output.status != 0 && output.stderr.contains("403"), "{output:?}");
    for with in ["BEARER_TOKEN=$(iam-session token)", "iam-session run --"] {
        assert_eq!(login.run(&format!("{with} {read}")).successful().stdout, "event 1\n", "{with}");
    }

    let url = scene.storage.web_url("/cms/alice/y");
    let run = token_to_write().replace("iam-session token", "iam-session run");
    login.run(&format!("echo 'event 2' >y; {run} -- gfal-copy y {url}")).successful();
    assert_eq!(scene.storage.contents("/cms/alice/y").as_deref(), Some("event 2\n"));
}

/// What a program in Python does.
const DISCOVER: &str = r#"/mnt/tools/python/bin/python -c '
from scitokens import SciToken
print(SciToken.discover(audience="https://wlcg.cern.ch/jwt/v1/any")["sub"])
'"#;

#[test]
fn the_scitokens_library_discovers_it() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    login.run("export SSL_CERT_FILE=/etc/iam-session/iam.example.pem").successful();
    assert_eq!(login.run(DISCOVER).successful().stdout, "alice\n");
}

/// `iam-session doctor` about a file of the storage element.
fn doctor(scene: &Scene, path: &str) -> String {
    format!("iam-session doctor {}", scene.storage.url(path))
}

#[test]
fn the_doctor_is_let_in_where_the_token_is() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let told = login.run(&doctor(&scene, "/cms/x")).successful().stdout;
    for line in [
        "ok       storage: the token's audience is https://wlcg.cern.ch/jwt/v1/any",
        "ok       storage: the token's scopes 'openid storage.read:/ wlcg' include storage.read:/cms/x",
        "ok       storage: roots://storage.example lets you see /cms/x",
        "nothing is wrong",
    ] {
        assert!(told.contains(line), "{line:?} is not in:\n{told}");
    }
}

#[test]
fn the_doctor_repeats_what_the_server_says_and_what_to_try() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let by = |arguments: &str, path: &str| {
        let token = format!("BEARER_TOKEN=$(iam-session token {arguments})");
        let output = login.run(&format!("{token} {}", doctor(&scene, path)));
        assert_eq!(output.status, 1, "{output:?}");
        output.stdout
    };
    let elsewhere = by("-s storage.read:/atlas", "/cms/x");
    assert!(
        elsewhere.contains(
            "note     storage: the token's scopes 'storage.read:/atlas' do not include storage.read:/cms/x"
        ),
        "{elsewhere}"
    );
    assert!(
        elsewhere.contains("WRONG    storage: roots://storage.example says: ")
            && elsewhere.contains("-s storage.read:/cms/x"),
        "{elsewhere}"
    );
    let another = by("--aud https://other.example", "/cms/x");
    assert!(another.contains("note     storage: the token is for https://other.example"), "{another}");
    assert!(another.contains("says: ") && another.contains("--aud https://storage.example"), "{another}");
    let missing = by("-s storage.read:/", "/cms/nothing");
    assert!(missing.contains("it let you in; the path is another"), "{missing}");
}

#[test]
fn the_doctor_says_when_no_storage_element_is_there() {
    let scene = Scene::new();
    let login = scene.host.login("alice");
    let output = login.run("iam-session doctor roots://storage.example:1095//cms/x");
    assert_eq!(output.status, 1);
    assert!(output.stdout.contains("WRONG    storage: roots://storage.example:1095 "), "{}", output.stdout);
    let usage = login.run("iam-session doctor davs://storage.example/cms/x");
    assert!(usage.status == 2 && usage.stderr.contains("only roots:// and root://"), "{usage:?}");
}
