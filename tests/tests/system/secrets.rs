//! What a program of the user's own may try: no request, file or process gives it a refresh token, a client secret or a
//! key (promise 18).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::{ISSUER, Process};

use crate::scene::{Scene, token_file};
use crate::subject::say;
use crate::thief::{plant_lock, send};

/// The agent's own list of requests.
const PROTOCOL: &str = include_str!("../../../iam-session/src/protocol.rs");
/// What was given to an agent, and must not come back.
const CANARY: &str = "canary-5f0c2e";

/// After it there is nobody to ask: it is tried last.
const END: &str = r#"{"request":"stop","mode":"any"}"#;

/// Each request of the protocol, in as many forms as there are to try. A new one is to be added here. Locked, and then
/// opened for a time, before the rest is tried.
const REQUESTS: [(&str, &[&str]); 14] = [
    (
        "lock",
        &[
            r#"{"request":"lock"}"#,
            r#"{"request":"lock","passphrase":"canary-5f0c2e-passphrase"}"#,
            r#"{"request":"lock"}"#,
        ],
    ),
    (
        "unlock",
        &[
            r#"{"request":"unlock","passphrase":"canary-5f0c2e-wrong"}"#,
            r#"{"request":"unlock","passphrase":"canary-5f0c2e-passphrase","for":3600}"#,
        ],
    ),
    (
        "seal",
        &[
            r#"{"request":"seal","action":"list","secrets":true}"#,
            r#"{"request":"seal","action":"renew","passphrase":"canary-5f0c2e-slot"}"#,
            r#"{"request":"seal","action":"list","account":"../wlcg"}"#,
        ],
    ),
    (
        "access_token",
        &[
            r#"{"request":"access_token"}"#,
            r#"{"request":"access_token","account":"wlcg","min_valid_period":-1}"#,
            r#"{"request":"access_token","scope":"offline_access openid","audience":"https://se.example"}"#,
            r#"{"request":"access_token","scope":"storage.read:/new","refresh_token":true,"client_secret":true}"#,
        ],
    ),
    ("status", &[r#"{"request":"status"}"#, r#"{"request":"status","account":"wlcg","secrets":true}"#]),
    (
        "enroll",
        &[
            r#"{"request":"enroll","account":"other","issuer":"https://iam.example/","endpoints":{"token":"https://iam.example/token"},"client":{"client_id":"c","client_secret":"canary-5f0c2e-client","auth":"client_secret_basic","registration_client_uri":"https://iam.example/r","registration_access_token":"canary-5f0c2e-registration"},"refresh_token":"canary-5f0c2e-refresh","scope":"openid"}"#,
        ],
    ),
    (
        "authorize",
        &[
            r#"{"request":"authorize","account":"wlcg","client_of":"wlcg","scope":"openid offline_access","client_secret":true}"#,
            r#"{"request":"authorize","account":"../wlcg","client_of":"wlcg","scope":"openid"}"#,
        ],
    ),
    (
        "poll",
        &[
            r#"{"request":"poll","account":"wlcg","client_of":"wlcg","scope":"openid","device_code":"canary-5f0c2e-device"}"#,
        ],
    ),
    ("use", &[r#"{"request":"use","account":"wlcg"}"#, r#"{"request":"use","account":"../wlcg"}"#]),
    ("keep", &[r#"{"request":"keep","account":"wlcg"}"#, r#"{"request":"keep","account":"../wlcg"}"#]),
    ("rename", &[r#"{"request":"rename","account":"wlcg","to":"../x"}"#]),
    (
        "end_account",
        &[
            r#"{"request":"end_account","account":"../wlcg","mode":"remove"}"#,
            r#"{"request":"end_account","account":"../wlcg","mode":"revoke"}"#,
            r#"{"request":"end_account","account":"../wlcg","mode":"forget"}"#,
            r#"{"request":"end_account","account":"other","mode":"forget"}"#,
        ],
    ),
    ("stay", &[r#"{"request":"stay","pid":1}"#]),
    ("stop", &[r#"{"request":"stop"}"#]),
];
/// What no agent knows, or none does any more.
const GUESSES: [&str; 7] = [
    r#"{"request":"seal","action":"add","slot":"passphrase","passphrase":"canary-5f0c2e-slot"}"#,
    r#"{"request":"seal","action":"remove","slot":"node"}"#,
    r#"{"request":"lift","lock":"00"}"#,
    r#"{"request":"refresh_token","account":"wlcg"}"#,
    r#"{"request":"export","account":"wlcg"}"#,
    r#"{"request":"keys"}"#,
    r#"{"request":"account","account":"wlcg","passphrase":""}"#,
];

/// The variants of `enum Request`, as they are written on the socket.
fn requests_of_the_protocol() -> BTreeSet<String> {
    let (_, body) = PROTOCOL.split_once("pub enum Request {\n").unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let variants = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = variants.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    let name = |line: &str| line.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
    names.map(name).map(|name| snake_case(&name)).collect()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// The passphrases among what is sent.
const PASSPHRASES: [&str; 3] = ["canary-5f0c2e-passphrase", "canary-5f0c2e-wrong", "canary-5f0c2e-slot"];

/// As somebody would find it: as it is, in hexadecimal and in base64.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hexadecimal = data_encoding::HEXLOWER.encode(secret);
    let base64 = data_encoding::BASE64.encode(secret);
    let base64 = base64.trim_end_matches('=');
    // The last digits depend on what follows.
    vec![secret.to_vec(), hexadecimal.into_bytes(), base64.as_bytes()[..base64.len() - 1].to_vec()]
}

fn assert_absent(secrets: &[Vec<u8>], from: &str, text: &[u8]) {
    for form in secrets.iter().flat_map(|secret| forms(secret)) {
        let found = text.windows(form.len()).any(|window| window == form);
        assert!(!found, "{from} has {}", String::from_utf8_lossy(&form));
    }
}

#[test]
fn the_requests_that_are_tried_are_all_there_are() {
    let tried = REQUESTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(requests_of_the_protocol(), tried);
    for (name, lines) in REQUESTS {
        assert!(lines.iter().all(|line| line.contains(&format!(r#""request":"{name}""#))), "{name}");
    }
}

/// The answers but for what one is there to give: to who asked for a device flow, the code to poll with, which is no good
/// before the user approves. It is in no log, file or process for all that.
fn without_device_codes(answers: &str) -> String {
    let mut given = 0;
    let rest = answers.trim().lines().map(|line| {
        let mut answer: Value = serde_json::from_str(line).unwrap();
        let is_code = answer["outcome"] == "code";
        if is_code {
            assert!(answer.as_object_mut().unwrap().remove("device_code").is_some(), "{line}");
            given += 1;
        }
        answer.to_string() + "\n"
    });
    let rest = rest.collect();
    assert_eq!(given, 1, "one device flow was asked for: {answers}");
    rest
}

#[test]
fn no_request_file_or_process_gives_a_secret_away() {
    let scene = Scene::new();
    scene.provider.set(json!({"rotate": true}));
    scene.host.enroll(&scene.provider, "alice");
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/x").successful();
    let tried = REQUESTS.iter().flat_map(|(_, lines)| lines.iter()).chain(&GUESSES);
    let lines: Vec<&str> = tried.copied().collect();
    let loot = send(&scene, &login, &lines);
    assert_eq!(loot.secrets(&scene, &PASSPHRASES), Vec::<String>::new(), "no file opened at any time");
    let answers = loot.answers.iter().map(|answer| format!("{answer}\n")).collect::<String>();
    // The same once more, with a lock and its mirror that are the thief's.
    plant_lock(&scene, &login, PASSPHRASES[0]);
    let loot = send(&scene, &login, &lines);
    assert_eq!(loot.secrets(&scene, &PASSPHRASES), Vec::<String>::new(), "nor did what was planted help");

    let given = scene.provider.secrets();
    assert!(given.len() >= 4, "a client, and refresh tokens: {given:?}");
    let mut secrets: Vec<Vec<u8>> = given.into_iter().map(String::into_bytes).collect();
    secrets.push(CANARY.into());
    secrets.push(node_key(&scene));
    assert_absent(&secrets, "an answer", without_device_codes(&answers).as_bytes());
    assert_absent(&secrets, "the log", scene.host.log_lines().join("\n").as_bytes());

    // Every file of hers, and what /proc shows of each process that is hers.
    let files =
        "find ~ $(dirname $BEARER_TOKEN_FILE) /tmp /var/tmp -type f -user alice -print0 | xargs -0 cat --";
    let processes = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline";
    let read = format!("({files}; {processes}) 2>/dev/null | base64 -w0");
    let all = data_encoding::BASE64.decode(login.run(&read).stdout.trim().as_bytes()).unwrap();
    let token = login.read(&token_file(&login));
    assert!(
        all.windows(token.len()).any(|window| window == token.as_bytes()),
        "the search finds what is there"
    );
    assert_absent(&secrets, "a file or a process", &all);

    let ours = |process: &Process| {
        process.executable.as_ref().is_some_and(|program| program.starts_with("/usr/libexec/iam-session"))
    };
    let ours: Vec<Process> = scene.host.processes_of("alice").into_iter().filter(ours).collect();
    assert!(ours.len() >= 3, "an agent, its mint and a helper: {ours:?}");
    for process in ours {
        for file in ["mem", "maps", "environ", "auxv", "stack", "fd/0", "fd/1", "fd/3"] {
            let open = login.run(&format!(": </proc/{}/{file}", process.pid));
            assert_ne!(open.status, 0, "{file} of {process:?}");
        }
    }

    assert_eq!(send(&scene, &login, &[END]).answers, [json!({"status": "success"})]);
}

pub(crate) fn node_key(scene: &Scene) -> Vec<u8> {
    let hexadecimal =
        scene.host.as_root().run("cat /etc/iam-session/keys.d/*.key | od -An -v -tx1 | tr -d ' \\n'");
    data_encoding::HEXLOWER.decode(hexadecimal.successful().stdout.as_bytes()).unwrap()
}

/// A record of the same client, with a server of its own: what the real one says of the client must not get there, nor
/// what that one says into the real record.
#[test]
fn a_record_of_the_same_client_with_another_server_learns_nothing_of_it_and_spoils_nothing() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    // In clear in the record's header.
    let text = r"grep -ao '[0-9A-Za-z_-]\{16,\}' .local/state/iam-session/wlcg.cred | head -n 1";
    let client_id = login.run(text).successful().stdout;
    let enroll = json!({"request": "enroll", "account": "planted", "issuer": ISSUER,
        "endpoints": {"token": "https://127.0.0.1:9/token"}, "refresh_token": "planted", "scope": "openid",
        "client": {"client_id": client_id.trim(), "client_secret": "planted", "auth": "client_secret_basic",
                   "registration_client_uri": "https://127.0.0.1:9/client", "registration_access_token": "planted"}});
    assert_eq!(say(&scene, &login, &enroll)["status"], "success");
    for client_of in ["wlcg", "planted"] {
        let authorize = json!({"request": "authorize", "account": "new", "client_of": client_of,
                               "scope": "openid offline_access storage.stage:/never"});
        let reply = say(&scene, &login, &authorize);
        assert!(reply.to_string().contains("not the same server"), "{client_of}: {reply}");
    }
    assert_eq!(scene.provider.count("client"), 0);
    login.run("iam-session token --account wlcg -s storage.read:/still").successful();
}
