//! The real helper at the other end of two pipes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::issuer::FakeIssuer;

/// Secrets that tests send; none of them may come back in an error or on standard error.
pub(crate) const REFRESH_TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJqdGkiOiJDQU5BUlktUlQifQ.";
pub(crate) const CLIENT_SECRET: &str = "canary-client-secret-of-the-test";
pub(crate) const DEVICE_CODE: &str = "canary-device-code-of-the-test";
pub(crate) const REGISTRATION_TOKEN: &str = "canary-registration-token-of-the-test";

pub(crate) struct Helper {
    child: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Helper {
    pub(crate) fn start() -> Self {
        Self::with_environment(&[])
    }

    pub(crate) fn with_environment(environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_helper"))
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (requests, replies) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, requests, replies: BufReader::new(replies) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One request, one reply.
    pub(crate) fn ask(&mut self, request: &Value) -> Value {
        self.ask_raw(&request.to_string())
    }

    pub(crate) fn ask_raw(&mut self, line: &str) -> Value {
        self.requests.write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut reply = String::new();
        self.replies.read_line(&mut reply).unwrap();
        let reply: Value = serde_json::from_str(&reply).unwrap();
        if let Some(error) = reply.get("error") {
            assert_clean(&error.to_string());
        }
        reply
    }

    /// The error of a request that must fail.
    pub(crate) fn fails(&mut self, request: &Value) -> Failure {
        let reply = self.ask(request);
        let error = reply.get("error").unwrap_or_else(|| panic!("an error was expected: {reply}"));
        Failure {
            class: error["class"].as_str().unwrap().to_owned(),
            message: error["message"].as_str().unwrap().to_owned(),
            retry_after: error["retry_after"].as_u64(),
        }
    }

    /// Closes the pipe and checks how the program ends.
    pub(crate) fn finish(mut self) {
        drop(self.requests);
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success());
        assert_eq!(said, "");
    }
}

pub(crate) struct Failure {
    pub(crate) class: String,
    pub(crate) message: String,
    pub(crate) retry_after: Option<u64>,
}

fn assert_clean(text: &str) {
    for secret in [REFRESH_TOKEN, CLIENT_SECRET, DEVICE_CODE, REGISTRATION_TOKEN] {
        assert!(!text.contains(secret), "{text}");
        assert!(!text.contains(&secret[..12]), "{text}");
    }
    assert!(!text.contains("\\u001b") && !text.contains("eyJ"), "{text}");
}

pub(crate) fn client() -> Value {
    json!({"client_id": "client-1", "client_secret": CLIENT_SECRET, "auth": "client_secret_basic"})
}

pub(crate) fn discover(issuer: &FakeIssuer) -> Value {
    json!({"request": "discover", "issuer": issuer.url("/"), "transport": {"ca_file": issuer.ca_file()}})
}

pub(crate) fn refresh(issuer: &FakeIssuer) -> Value {
    json!({"request": "refresh", "endpoint": issuer.url("/token"), "client": client(), "scope": "openid",
           "refresh_token": REFRESH_TOKEN, "transport": {"ca_file": issuer.ca_file()}})
}

pub(crate) fn authorize_device(issuer: &FakeIssuer) -> Value {
    json!({"request": "authorize_device", "endpoint": issuer.url("/devicecode"), "client": client(),
           "scope": "openid", "takes_verifier": true, "transport": {"ca_file": issuer.ca_file()}})
}

pub(crate) fn poll_device(issuer: &FakeIssuer) -> Value {
    json!({"request": "poll_device", "endpoint": issuer.url("/token"), "client": client(),
           "device_code": DEVICE_CODE, "transport": {"ca_file": issuer.ca_file()}})
}

pub(crate) fn revoke(issuer: &FakeIssuer, client: Value) -> Value {
    json!({"request": "revoke", "endpoint": issuer.url("/revoke"), "client": client,
           "refresh_token": REFRESH_TOKEN, "transport": {"ca_file": issuer.ca_file()}})
}

pub(crate) fn deregister(issuer: &FakeIssuer) -> Value {
    json!({"request": "deregister", "registration_client_uri": issuer.url("/register/1"),
           "registration_access_token": REGISTRATION_TOKEN, "transport": {"ca_file": issuer.ca_file()}})
}

pub(crate) fn widen_client(issuer: &FakeIssuer) -> Value {
    let mut client = client();
    client["registration_client_uri"] = issuer.url("/register/1").into();
    client["registration_access_token"] = REGISTRATION_TOKEN.into();
    json!({"request": "widen_client", "client": client, "scope": "openid storage.create:/",
           "transport": {"ca_file": issuer.ca_file()}})
}
