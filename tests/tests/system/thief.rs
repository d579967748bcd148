//! Code that runs as the user and knows each passphrase that it sends and each key that it plants: it opens no file of the
//! user's with them (promise 18).

use std::sync::atomic::{AtomicU32, Ordering};

use data_encoding::BASE64;
use serde_json::{Value, json};
use support::{ISSUER, Login};

use crate::lock::{LOCK, MARKER, lock, unlock};
use crate::scene::Scene;
use crate::sealed::{self, Thief};
use crate::secrets::node_key;
use crate::standing::{self, PASSPHRASE, given};
use crate::subject::say;

pub(crate) const STORE: &str = "/home/alice/.local/state/iam-session";
const RUNTIME: &str = "/run/iam-session/20001";
pub(crate) const UID: u32 = 20001;
/// What the thief knows.
const KNOWN: &str = "known to the thief";
const KNOWN_KEY: [u8; 32] = [0x5a; 32];

/// Sends each line to the agent and gives the answers, and all that every file held at any time meanwhile.
const WATCH: &str = "
import base64, json, os, socket, sys, threading
seen, done = {}, threading.Event()
def look():
    for place in sys.argv[1:]:
        for top, _, names in os.walk(place):
            for name in names:
                try:
                    with open(os.path.join(top, name), 'rb') as file:
                        seen.setdefault(file.read(), name)
                except OSError:
                    pass
def watch():
    while not done.is_set():
        look()
watcher = threading.Thread(target=watch)
watcher.start()
answers = []
for line in sys.stdin.read().splitlines():
    agent = socket.socket(socket.AF_UNIX)
    agent.connect(os.environ['IAM_SESSION_SOCK'])
    agent.sendall(line.encode() + b'\\n')
    answers.append(json.loads(agent.makefile().readline()))
    look()
done.set()
watcher.join()
print(json.dumps({'answers': answers, 'files': [base64.b64encode(text).decode() for text in seen]}))
";

/// What came of it.
pub(crate) struct Loot {
    pub(crate) answers: Vec<Value>,
    pub(crate) files: Vec<Vec<u8>>,
}

impl Loot {
    /// What of the provider's secrets a thief with these passphrases and the known key reads in the files.
    pub(crate) fn secrets(&self, scene: &Scene, passphrases: &[&str]) -> Vec<String> {
        let texts = Thief::knowing(passphrases, &[KNOWN_KEY]).opens(&self.files);
        let texts = texts.iter().map(|text| String::from_utf8_lossy(text)).collect::<Vec<_>>().join("\n");
        scene.provider.secrets().into_iter().filter(|secret| texts.contains(secret.as_str())).collect()
    }
}

/// Sends these lines to the session's agent.
pub(crate) fn send(scene: &Scene, login: &Login, lines: &[&str]) -> Loot {
    scene.host.write("/mnt/watch.py", WATCH, 0o644);
    scene.host.write("/mnt/lines", lines.join("\n"), 0o644);
    let python = format!("/mnt/tools/python/bin/python /mnt/watch.py {STORE} {RUNTIME} </mnt/lines");
    let told: Value = serde_json::from_str(&login.run(&python).successful().stdout).unwrap();
    let files = told["files"].as_array().unwrap().iter();
    let files: Vec<Vec<u8>> =
        files.map(|file| BASE64.decode(file.as_str().unwrap().as_bytes()).unwrap()).collect();
    assert!(files.iter().any(|file| file.starts_with(b"IAMCRED\0")), "the search finds what is there");
    Loot { answers: told["answers"].as_array().unwrap().clone(), files }
}

/// Puts a file of the thief's making into the store or the agents' directory.
pub(crate) fn plant(login: &Login, path: &str, file: &[u8]) {
    let base64 = BASE64.encode(file);
    login
        .run(&format!("(umask 077; base64 -d <<<'{base64}' >{path}.new && mv {path}.new {path})"))
        .successful();
}

/// A lock with a key in it that the thief knows, and what agents read of it.
pub(crate) fn plant_lock(scene: &Scene, login: &Login, passphrase: &str) {
    plant(login, MARKER, &sealed::lock_with_a_key(passphrase, UID, &(*b"thekeyid", KNOWN_KEY)));
    let boot_id = scene.host.read("/proc/sys/kernel/random/boot_id");
    let open = json!({"until": {"secs": 4_000_000_000_u64, "nanos": 0}, "boot_id": boot_id.trim()});
    let locked = json!({"id": "d0".repeat(16), "keys": ["7468656b65796964"], "open": open});
    plant(login, &format!("{RUNTIME}/iam-session/locked"), locked.to_string().as_bytes());
}

pub(crate) fn read(scene: &Scene, path: &str) -> Vec<u8> {
    std::fs::read(scene.host.sandbox().path(path)).unwrap()
}

fn own_key(scene: &Scene) -> [u8; 32] {
    sealed::user_key(&node_key(scene), UID).1
}

fn scene() -> Scene {
    let scene = Scene::new();
    scene.provider.set(json!({"rotate": true, "rotate_registration_tokens": true}));
    scene.host.enroll(&scene.provider, "alice");
    let known = [&own_key(&scene)[..]].concat();
    let all = Loot { answers: vec![], files: vec![read(&scene, &format!("{STORE}/wlcg.cred"))] };
    let texts = Thief::knowing(&[], &[known.try_into().unwrap()]).opens(&all.files);
    assert!(texts.len() == 1 && scene.provider.secrets().len() >= 3, "who has the node key reads them");
    scene
}

#[test]
fn a_passphrase_that_is_sent_opens_no_record() {
    let scene = scene();
    let login = scene.host.login("alice");
    let add =
        json!({"request": "seal", "action": "add", "slot": "passphrase", "passphrase": KNOWN}).to_string();
    let loot = send(
        &scene,
        &login,
        &[
            &add,
            r#"{"request":"access_token","scope":"storage.read:/rotated"}"#,
            r#"{"request":"seal","action":"remove","slot":"passphrase"}"#,
            r#"{"request":"seal","action":"remove","slot":"node"}"#,
        ],
    );
    assert_eq!(loot.answers[1]["status"], "success", "{:?}", loot.answers);
    assert_eq!(loot.secrets(&scene, &[KNOWN]), Vec::<String>::new());
}

#[test]
fn a_lock_holds_no_key() {
    let scene = scene();
    let login = scene.host.login("alice");
    let lock = json!({"request": "lock", "passphrase": KNOWN}).to_string();
    let unlock = json!({"request": "unlock", "passphrase": KNOWN}).to_string();
    let for_a_time = json!({"request": "unlock", "passphrase": KNOWN, "for": 3600}).to_string();
    let token = r#"{"request":"access_token","scope":"storage.read:/rotated"}"#;
    let loot = send(
        &scene,
        &login,
        &[&lock, &for_a_time, token, r#"{"request":"lock"}"#, &unlock, token, r#"{"request":"status"}"#],
    );
    assert!(loot.files.iter().any(|file| file.starts_with(b"IAMLOCK\0")), "there was a lock");
    assert_eq!(loot.answers[2]["status"], "success", "{:?}", loot.answers);
    assert_eq!(loot.secrets(&scene, &[KNOWN]), Vec::<String>::new());
}

#[test]
fn a_planted_lock_gives_an_agent_no_key() {
    let scene = scene();
    let login = scene.host.login("alice");
    let unlock = json!({"request": "unlock", "passphrase": KNOWN}).to_string();
    let mirror = format!("{RUNTIME}/iam-session/locked");
    for locked in
        [None, Some(json!({"id": "d0".repeat(16), "keys": ["7468656b65796964"]})), Some(json!({"id": 1}))]
    {
        plant_lock(&scene, &login, KNOWN);
        if let Some(locked) = &locked {
            plant(&login, &mirror, locked.to_string().as_bytes());
        }
        let loot = send(
            &scene,
            &login,
            &[
                r#"{"request":"status"}"#,
                &unlock,
                r#"{"request":"seal","action":"add","slot":"node"}"#,
                r#"{"request":"seal","action":"renew"}"#,
                r#"{"request":"access_token","scope":"storage.read:/rotated","min_valid_period":-1}"#,
                r#"{"request":"unlock","passphrase":"wrong"}"#,
            ],
        );
        assert_eq!(loot.answers[4]["status"], "success", "{:?}", loot.answers);
        assert_eq!(loot.secrets(&scene, &[KNOWN]), Vec::<String>::new(), "{locked:?}");
    }
}

/// What is known of wlcg's client without its secrets, in a record of the thief's own: as it is sealed by an agent without a
/// node key, and then lies beside wlcg's.
fn plant_decoy(scene: &Scene, login: &Login, wlcg: &[u8]) {
    let mut text: Value = serde_json::from_slice(wlcg).unwrap();
    text["refresh_token"] = "planted".into();
    for secret in ["client_secret", "registration_access_token"] {
        text["client"][secret] = "planted".into();
    }
    let like = read(scene, &format!("{STORE}/wlcg.cred"));
    let decoy = sealed::under_a_passphrase(&like, KNOWN, &serde_json::to_vec(&text).unwrap());
    plant(login, &format!("{STORE}/decoy.cred"), &decoy);
}

/// Begins an enrolment of `account` with the client of another one.
fn begin(account: &str, client_of: &str) -> String {
    static FLOWS: AtomicU32 = AtomicU32::new(1);
    let flow = FLOWS.fetch_add(1, Ordering::Relaxed);
    json!({"request": "enroll", "flow": format!("{flow:032x}"), "account": account, "client_of": client_of, "issuer": ISSUER,
           "scope": "openid offline_access storage.stage:/more"})
    .to_string()
}

#[test]
fn a_record_that_a_passphrase_opens_learns_nothing_of_anothers_client() {
    let scene = scene();
    let login = scene.host.login("alice");
    let file = read(&scene, &format!("{STORE}/wlcg.cred"));
    plant_decoy(&scene, &login, &Thief::knowing(&[], &[own_key(&scene)]).opens(&[file])[0]);
    let unlock = json!({"request": "unlock", "passphrase": KNOWN}).to_string();
    let lines =
        [unlock, begin("new", "wlcg"), begin("decoy", "wlcg"), begin("new", "decoy"), begin("wlcg", "decoy")];
    let loot = send(&scene, &login, &lines.each_ref().map(String::as_str));
    assert_eq!(loot.answers[0]["accounts"], json!(["decoy", "wlcg"]), "{:?}", loot.answers);
    assert_eq!(loot.secrets(&scene, &[KNOWN]), Vec::<String>::new());
    for answer in &loot.answers[1..] {
        assert!(answer["unusable"].is_string(), "another client is registered instead: {answer}");
    }
}

/// As who once had a passphrase slot in a record of an earlier version knows that record's data key, whatever became of it.
#[test]
fn a_record_whose_data_key_is_known_learns_nothing_of_anothers_client() {
    let scene = scene();
    let login = scene.host.login("alice");
    let file = read(&scene, &format!("{STORE}/wlcg.cred"));
    let text = Thief::knowing(&[], &[own_key(&scene)]).opens(std::slice::from_ref(&file)).remove(0);
    let mut text: Value = serde_json::from_slice(&text).unwrap();
    text["refresh_token"] = "planted".into();
    for secret in ["client_secret", "registration_access_token"] {
        text["client"][secret] = "planted".into();
    }
    let slot = sealed::user_key(&node_key(&scene), UID);
    let text = serde_json::to_vec(&text).unwrap();
    plant(&login, &format!("{STORE}/decoy.cred"), &sealed::around_a_slot(&file, &slot, &KNOWN_KEY, &text));
    let loot = send(&scene, &login, &[&begin("new", "wlcg")]);
    assert_eq!(loot.answers[0]["is_new"], false, "the client was changed: {:?}", loot.answers);
    let mut read = String::new();
    for file in &loot.files {
        read.push_str(&String::from_utf8_lossy(&sealed::text_under(&KNOWN_KEY, file).unwrap_or_default()));
    }
    assert!(read.contains("planted"), "the thief's own was open to it");
    let secrets = scene.provider.secrets();
    let found: Vec<_> = secrets.iter().filter(|secret| read.contains(secret.as_str())).collect();
    assert_eq!(found, Vec::<&String>::new());
}

/// Whoever may write in the store can put another file there while the user is asked.
#[test]
fn a_device_code_goes_nowhere_but_where_it_came_from() {
    let scene = scene();
    let login = scene.host.login("alice");
    let (polls, slot) = (scene.provider.count("poll"), sealed::user_key(&node_key(&scene), UID));
    let text_of = |path: &str| {
        let text = Thief::knowing(&[], &[slot.1]).opens(&[read(&scene, path)]).remove(0);
        serde_json::from_slice::<Value>(&text).unwrap()
    };
    let refused = |ticket: &Value, why: &str| {
        let reply = say(&scene, &login, &json!({"request": "poll", "ticket": ticket}));
        assert!(reply["error"].as_str().is_some_and(|error| error.contains(why)), "{reply}");
        assert_eq!(scene.provider.count("poll"), polls);
    };
    let account = format!("{STORE}/wlcg.cred");
    let code = say(&scene, &login, &serde_json::from_str(&begin("new", "wlcg")).unwrap());
    let (file, mut text) = (read(&scene, &account), text_of(&account));
    text["endpoints"]["token"] = "https://iam.example/elsewhere".into();
    let text = serde_json::to_vec(&text).unwrap();
    plant(&login, &account, &sealed::around_a_slot(&file, &slot, &KNOWN_KEY, &text));
    refused(&code["ticket"], "has been ended meanwhile");
    plant(&login, &account, &file);

    let flow = "f".repeat(32);
    let alone = json!({"request": "enroll", "flow": flow, "account": "alone", "issuer": ISSUER,
                       "scope": "openid offline_access"});
    let code = say(&scene, &login, &alone);
    let pending = format!("{STORE}/{}", login.run(&format!("ls {STORE} | grep ^{flow}")).stdout.trim());
    let (file, mut text) = (read(&scene, &pending), text_of(&pending));
    // All as it was, but known to the thief, and so not to be sealed with the node's key.
    let known = sealed::under_a_passphrase(&file, KNOWN, &serde_json::to_vec(&text).unwrap());
    plant(&login, &format!("{STORE}/decoy.cred"), &known);
    say(&scene, &login, &json!({"request": "unlock", "passphrase": KNOWN}));
    plant(&login, &pending, &known);
    refused(&code["ticket"], "is not sealed as a new enrolment is");
    text["endpoints"]["revocation"] = "https://iam.example/elsewhere".into();
    let text = serde_json::to_vec(&text).unwrap();
    plant(&login, &pending, &sealed::around_a_slot(&file, &slot, &KNOWN_KEY, &text));
    refused(&code["ticket"], "has been ended meanwhile");
}

#[test]
fn nor_does_it_where_the_other_one_is_under_a_passphrase_too() {
    let scene = standing::scene();
    scene.provider.set(json!({"rotate_registration_tokens": true}));
    let login = standing::enrolled(&scene);
    let file = read(&scene, &format!("{STORE}/wlcg.cred"));
    plant_decoy(&scene, &login, &Thief::knowing(&[PASSPHRASE], &[]).opens(&[file])[0]);
    let unlock = |passphrase| json!({"request": "unlock", "passphrase": passphrase}).to_string();
    let lines = [
        unlock(KNOWN),
        begin("new", "wlcg"),
        unlock(PASSPHRASE),
        begin("new", "wlcg"),
        begin("decoy", "wlcg"),
    ];
    let before = scene.provider.secrets();
    let loot = send(&scene, &login, &lines.each_ref().map(String::as_str));
    assert_eq!(loot.answers[2]["accounts"], json!(["decoy", "wlcg"]), "{:?}", loot.answers);
    // Under the passphrase that was given last lies what is enrolled from then on, and nothing from before.
    let mut read = loot.secrets(&scene, &[KNOWN]);
    read.retain(|secret| before.contains(secret));
    assert_eq!(read, Vec::<String>::new());
    for at in [1, 3, 4] {
        assert!(loot.answers[at]["unusable"].is_string(), "{:?}", loot.answers);
    }
    // Of one and the same passphrase they share it, as before.
    login.run("rm ~/.local/state/iam-session/decoy.cred").successful();
    let shared = say(&scene, &login, &serde_json::from_str(&begin("new", "wlcg")).unwrap());
    assert_eq!(shared["is_new"], false, "{shared}");
}

/// One that an earlier version let a passphrase open besides.
#[test]
fn a_record_from_before_is_named_and_its_new_consent_has_a_client_of_its_own() {
    let scene = scene();
    let path = format!("{STORE}/wlcg.cred");
    let both = sealed::with_passphrase(&read(&scene, &path), &own_key(&scene), KNOWN);
    let login = scene.host.login("alice");
    plant(&login, &path, &both);
    login.run("iam-session token -s storage.read:/still --force").successful();
    let told = login.run("iam-session doctor").stdout;
    let named = "wlcg can be opened with a passphrase, too, since an earlier version";
    assert!(told.contains(named) && told.contains("iam-session reenroll wlcg"), "{told}");
    let shown = login.run("iam-session seal").successful().stdout;
    assert!(shown.contains("node key") && shown.contains("passphrase"), "{shown}");
    let before = send(&scene, &login, &[]);
    assert!(!before.secrets(&scene, &[KNOWN]).is_empty(), "the slot opens as it did");

    let given = scene.provider.secrets();
    scene.host.enroll_with(&scene.provider, "alice", "--account cms -s storage.read:/cms");
    assert_eq!(scene.provider.count("registration"), 2, "it shares none");
    scene.host.reenroll(&scene.provider, "alice", "wlcg");
    let after = send(&scene, &login, &[r#"{"request":"access_token","min_valid_period":-1}"#]);
    assert_eq!(after.secrets(&scene, &[KNOWN]), Vec::<String>::new());
    let texts = Thief::knowing(&[], &[own_key(&scene)]).opens(&after.files);
    for text in texts {
        let record: Value = serde_json::from_slice(&text).unwrap();
        let secret = record["client"]["client_secret"].as_str().unwrap();
        assert!(!given.iter().any(|known| known == secret), "a client of before: {record}");
    }
    assert!(!login.run("iam-session doctor").stdout.contains(named));
}

#[test]
fn a_lock_of_an_earlier_version_is_opened_by_its_passphrase_and_its_keys_are_nobodys() {
    let scene = scene();
    let login = scene.host.login("alice");
    plant(&login, MARKER, &sealed::lock_with_a_key(LOCK, UID, &(*b"thekeyid", KNOWN_KEY)));
    let wrong = login.run(&format!("iam-session unlock {}", given(PASSPHRASE)));
    assert_eq!(wrong.status, 6, "{wrong:?}");
    unlock(&login, "--for 1h");
    login.run("iam-session token -s storage.read:/new").successful();
    // Locked again it has no key in it any more.
    login.run("iam-session lock").successful();
    assert!(read(&scene, MARKER).len() < 100);
    unlock(&login, "");
    assert!(!scene.host.exists(MARKER));
    login.run("iam-session token -s storage.read:/after").successful();
    lock(&login);
    assert!(read(&scene, MARKER).len() < 100);
}
