//! A mint of this version that is asked as agents of an earlier version ask, which put keys into locks and added slots. The
//! lines are as such an agent wrote them.

use serde_json::{Value, json};

use crate::lock::{LOCK, lock};
use crate::scene::Scene;
use crate::sealed::{self, Thief};
use crate::secrets::node_key;
use crate::thief::{STORE, UID, read};

const RUNTIME: &str = "/run/iam-session/20001";
const KNOWN: &str = "known to the thief";

/// What the module gives an agent, and an agent each mint (PROTOCOL.md, section 1).
fn message() -> Vec<u8> {
    let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat();
    let rest = [
        vec![7; 16],
        UID.to_be_bytes().to_vec(),
        vec![0; 6],
        text("alice"),
        text("/home/alice"),
        text(RUNTIME),
    ];
    let rest = rest.concat();
    let length = u16::try_from(12 + rest.len()).unwrap();
    [&b"IAMLOGIN\0\x01"[..], &length.to_be_bytes(), &rest].concat()
}

/// The answers of a mint that has alice's key of the node.
fn answers(scene: &Scene, jobs: &[Value]) -> Vec<Value> {
    let (id, key) = sealed::user_key(&node_key(scene), UID);
    let hexadecimal = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let node = json!([{"id": hexadecimal(&id), "key": hexadecimal(&key)}]);
    let keys =
        json!({"keys": {"keys": {"node": node, "passphrase": []}, "opening": {"lock": null, "until": null}}});
    let lines: String = [keys].iter().chain(jobs).map(|job| format!("{job}\n")).collect();
    let input = [message(), lines.into_bytes()].concat();
    let alice = scene.host.as_user("alice");
    let told = alice.run_with_input("/usr/libexec/iam-session/agent mint", &input).successful().stdout;
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_mint_refuses_what_agents_of_an_earlier_version_did_with_keys_and_does_the_rest() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let path = format!("{STORE}/wlcg.cred");
    let before = read(&scene, &path);
    let token = |scope: &str| json!({"token": {"account": "wlcg", "kind": {"named": {"scope": scope, "audience": ""}}, "freshness": {"valid": 0}}});
    let add = json!({"action": "add", "slot": "passphrase", "passphrase": KNOWN});
    let jobs = [
        json!("look"),
        json!({"lock": {"passphrase": KNOWN}}),
        json!({"seal": add}),
        json!({"seal": {"action": "remove", "slot": "node"}}),
        json!({"lift": {"lock": "d0".repeat(16)}}),
        token("storage.read:/older"),
    ];
    let told = answers(&scene, &jobs);
    let older = json!({"error": "this session's agent is of an older version", "info": "log in again", "kind": "failed"});
    assert_eq!(told[0], json!({"looked": {"Ok": null}}));
    for (answer, kind) in told[1..5].iter().zip(["locked", "sealed", "sealed", "lifted"]) {
        assert_eq!(answer[kind]["Err"], older, "{answer}");
    }
    assert!(scene.provider.accepts(told[5]["token"]["Ok"]["access_token"].as_str().unwrap()), "{told:?}");
    assert_eq!(read(&scene, &path), before);
    assert!(!scene.host.exists(crate::lock::MARKER));

    // A lock is not opened for it either; what is under a passphrase is.
    lock(&login);
    let unlock = json!({"unlock": {"passphrase": LOCK, "until": null}});
    assert_eq!(answers(&scene, &[unlock])[0]["unlocked"]["Err"], older);
    login.run(&format!("rm {}", crate::lock::MARKER)).successful();
    let both = sealed::with_passphrase(&before, &sealed::user_key(&node_key(&scene), UID).1, KNOWN);
    assert_eq!(Thief::knowing(&[KNOWN], &[]).opens(std::slice::from_ref(&both)).len(), 1);
    crate::thief::plant(&login, &path, &both);
    let unlocked = answers(&scene, &[json!({"unlock": {"passphrase": KNOWN, "until": null}})]).remove(0);
    let unlocked = &unlocked["unlocked"]["Ok"];
    assert_eq!(unlocked["answer"]["accounts"], json!(["wlcg"]), "{unlocked}");
    assert_eq!(unlocked["keys"]["passphrase"].as_array().unwrap().len(), 1);
    assert_eq!(unlocked["opening"], json!({"until": null}), "which that agent reads");
}
