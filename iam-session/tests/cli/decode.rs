use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::agent::{Agent, FIRST};
use crate::program::{Ended, failed, run, shown, with_socket, without_socket};
use crate::scratch::Scratch;

/// `{"alg":"RS256"}`, `{"scope":"openid","exp":1}` and a signature.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzY29wZSI6Im9wZW5pZCIsImV4cCI6MX0.c2lnbmF0dXJl";

/// Runs `decode` with `arguments` and this input.
fn decode(arguments: &[&str], input: &str) -> Ended {
    let arguments: Vec<&str> = std::iter::once(&"decode").chain(arguments).copied().collect();
    let mut command = without_socket(&arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without reading all of it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_person_reads_a_claim_a_line() {
    let ended = decode(&["-"], &format!("{TOKEN}\n"));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let shown = ended.stdout;
    assert!(
        shown.starts_with("A token from standard input. Not verified: anybody can write such a token.\n")
    );
    assert!(shown.contains("\n  alg    RS256\n") && shown.contains("\n  scope  openid\n"), "{shown}");
    assert!(shown.contains("\n  exp    1970-01-01T00:00:01Z, ") && shown.contains(" days ago\n"), "{shown}");
    assert!(!shown.contains("c2ln") && !shown.contains("signature"), "{shown}");
}

#[test]
fn a_program_reads_an_object_that_claims_no_verification() {
    let ended = decode(&["--json", "-"], TOKEN);
    let decoded: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        decoded,
        json!({"verified": false, "header": {"alg": "RS256"}, "claims": {"scope": "openid", "exp": 1}})
    );
}

#[test]
fn a_token_is_read_from_a_file() {
    let directory = Scratch::new();
    let path = directory.join("token");
    fs::write(&path, TOKEN).unwrap();
    let ended = decode(&[shown(&path)], "");
    assert!(ended.stdout.starts_with(&format!("The token in {}. Not verified", path.display())), "{ended:?}");
    let missing = directory.join("missing");
    let hint = "name a file, '-' for standard input, or nothing for the session's token";
    let expected = format!(
        "cannot read a token from {}: No such file or directory (os error 2); {hint}",
        missing.display()
    );
    assert_eq!(decode(&[shown(&missing)], ""), failed(1, &expected));
}

#[test]
fn without_a_file_it_is_the_sessions() {
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let answer = format!(
        "{{\"status\":\"success\",\"access_token\":\"{TOKEN}\",\"issuer\":\"i\",\"account\":\"wlcg\",\"scope\":\"openid\",\"audience\":\"\",\"expires_at\":1}}\n"
    );
    let agent = Agent::answering(&socket, &[&answer]);
    let ended = run(with_socket(&socket, &["decode"]));
    assert!(ended.stdout.starts_with("The session's token, of account 'wlcg'. Not verified"), "{ended:?}");
    assert_eq!(agent.requests(), [json!({"request": "access_token", "min_valid_period": 0})]);
}

#[test]
fn what_is_no_jwt_is_said_to_be_none_and_not_repeated() {
    for (token, why) in [
        (
            "opaque-4711",
            "A token from standard input is opaque: it is no JWT, and only its issuer can tell what it says",
        ),
        ("eyJhIjoxfQ.a.b.c.d", "A token from standard input is encrypted: only who it is for can read it"),
    ] {
        assert_eq!(decode(&["-"], token), failed(1, why));
    }
    assert!(decode(&["-"], "\n").stderr.contains("cannot read a token from standard input: there is none"));
}

#[test]
fn a_token_among_the_arguments_is_refused_unrepeated() {
    let ended = decode(&[TOKEN], "");
    assert_eq!(
        ended,
        failed(
            2,
            "that is a token and no file, and the arguments of a command are seen by everybody; \
             give it on standard input: iam-session decode -"
        )
    );
}
