use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::agent::{Agent, FIRST};
use crate::program::{Ended, run, shown, with_socket};
use crate::scratch::Scratch;

/// Seconds since the epoch, `minutes` from now and half a minute, so that the whole minutes hold for a while.
#[allow(clippy::disallowed_methods)]
fn in_minutes(minutes: u64) -> u64 {
    let at = SystemTime::now() + Duration::from_secs(minutes * 60 + 30);
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn answer(token_expires_at: Option<u64>, trouble: Value) -> Value {
    json!({
        "status": "success", "session": "0123456789abcdef0123456789abcdef", "version": "0.1.0", "pid": 4711,
        "user": "alice", "token_file": "/run/user/1000/bt_u1000-iam", "trouble": trouble,
        "default_account": "wlcg",
        "accounts": [{"name": "wlcg", "issuer": "https://i.example/", "scope": "openid storage.read:/",
                      "session_scope": "openid", "token_expires_at": token_expires_at}],
    })
}

fn status(arguments: &[&str], environment: &[(&str, &str)], answer: &Value) -> (Ended, String) {
    let directory = Scratch::new();
    let socket = directory.join(FIRST);
    let agent = Agent::answering(&socket, &[&format!("{answer}\n")]);
    let mut command = with_socket(&socket, arguments);
    command.env("BEARER_TOKEN_FILE", "/run/user/1000/bt_u1000-iam").envs(environment.iter().copied());
    let ended = run(command);
    assert_eq!(agent.requests(), [json!({"request": "status"})]);
    (ended, shown(&socket).to_owned())
}

#[test]
fn bare_and_named_it_tells_the_same() {
    let answer = answer(Some(in_minutes(47)), Value::Null);
    for arguments in [&[][..], &["status"]] {
        let (ended, _) = status(arguments, &[], &answer);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let lines: Vec<&str> = ended.stdout.lines().collect();
        assert_eq!(lines[0], "session     0123456789abcdef0123456789abcdef");
        assert!(lines.contains(&"account     wlcg (its token is in the file)"));
        assert!(
            lines.iter().any(|line| line.starts_with("token       47 min left, until 2")),
            "{}",
            ended.stdout
        );
        assert_eq!(lines.last(), Some(&"next        nothing: all is well"));
    }
}

#[test]
fn without_a_token_the_exit_code_is_that_of_the_trouble() {
    let trouble = json!({"error": "i.example is out of reach", "info": "wait", "kind": "unreachable"});
    let (ended, _) = status(&["status"], &[], &answer(None, trouble.clone()));
    assert_eq!(ended.code, Some(7));
    assert!(
        ended.stdout.ends_with("trouble     i.example is out of reach\nnext        wait\n"),
        "{}",
        ended.stdout
    );
    let (ended, _) = status(&["status"], &[], &answer(Some(in_minutes(5)), trouble));
    assert_eq!(ended.code, Some(0));
}

#[test]
fn json_adds_the_socket_the_warnings_and_the_next_thing() {
    let (ended, socket) =
        status(&["status", "--json"], &[("BEARER_TOKEN", "x")], &answer(Some(in_minutes(5)), Value::Null));
    let object: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(object["session"], "0123456789abcdef0123456789abcdef");
    assert_eq!(object["accounts"][0]["scope"], "openid storage.read:/");
    assert_eq!((&object["socket"], &object["next"]), (&json!(socket), &json!("nothing: all is well")));
    assert_eq!(
        object["warnings"],
        json!([
            "BEARER_TOKEN is set, is not renewed, and is read before the token file; run 'unset BEARER_TOKEN'"
        ])
    );
    assert_eq!((ended.stdout.matches('\n').count(), ended.stderr.as_str()), (1, ""));
}

#[test]
fn warnings_are_on_standard_error() {
    let (ended, _) =
        status(&[], &[("BEARER_TOKEN_FILE", "/tmp/bt_u1000")], &answer(Some(in_minutes(5)), Value::Null));
    assert_eq!(
        ended.stderr,
        "iam-session: warning: BEARER_TOKEN_FILE is /tmp/bt_u1000, which is not kept fresh; \
         run 'export BEARER_TOKEN_FILE=/run/user/1000/bt_u1000-iam'\n"
    );
}

#[test]
fn a_mistake_in_the_users_configuration_is_told() {
    let home = Scratch::new();
    std::fs::create_dir_all(home.join(".config/iam-session")).unwrap();
    let file = home.join(".config/iam-session/config.toml");
    std::fs::write(&file, "\nsession_scopes = \"openid\"\n").unwrap();
    let directory = home.join("");
    let (ended, _) = status(&[], &[("HOME", shown(&directory))], &answer(Some(in_minutes(5)), Value::Null));
    assert_eq!(
        ended.stderr,
        format!(
            "iam-session: warning: {}:2: unknown key 'session_scopes'; accepted: session_scope, default_account, linger, linger_max, roles, export, programs\n",
            file.display()
        )
    );
}
