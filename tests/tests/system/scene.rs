//! What most of these tests begin with.

use serde_json::{Value, json};
use support::{Host, Login, Plan, Provider};

/// A host with its provider.
pub(crate) struct Scene {
    // First, so that it goes before the host it runs on.
    pub(crate) provider: Provider,
    pub(crate) host: Host,
}

impl Scene {
    /// Nobody has enrolled.
    pub(crate) fn new() -> Self {
        Self::of(Host::plan())
    }

    pub(crate) fn of(plan: Plan) -> Self {
        let host = plan.start();
        host.add_node_key();
        let provider = Provider::start(&host);
        Self { provider, host }
    }

    /// Alice has enrolled, with what the provider offers by default.
    pub(crate) fn enrolled() -> Self {
        Self::enrolled_with("")
    }

    pub(crate) fn enrolled_with(arguments: &str) -> Self {
        let scene = Self::new();
        scene.host.enroll_with(&scene.provider, "alice", arguments);
        scene
    }

    /// As [`enrolled`](Self::enrolled), where access tokens live for so many seconds.
    pub(crate) fn enrolled_with_lifetime(seconds: u64) -> Self {
        let scene = Self::new();
        scene.provider.set(json!({"access_token_lifetime": seconds}));
        scene.host.enroll(&scene.provider, "alice");
        scene
    }

    /// The claims of the token in a login's file, where a loaded machine may put it a moment after the login.
    pub(crate) fn claims(&self, login: &Login) -> Value {
        self.host.wait_until("the token file", || self.host.exists(&token_file(login)));
        self.provider.verify(&login.read(&token_file(login)))
    }
}

pub(crate) fn token_file(login: &Login) -> String {
    login.env("BEARER_TOKEN_FILE").expect("BEARER_TOKEN_FILE is not set")
}

/// A JSON object that a command in a login prints.
pub(crate) fn json_of(login: &Login, command: &str) -> Value {
    serde_json::from_str(&login.run(command).successful().stdout).unwrap()
}

/// The scopes of a token's claims, or of a field.
pub(crate) fn words(value: &Value) -> Vec<&str> {
    value.as_str().unwrap().split(' ').collect()
}

/// Whether no agent of alice's lives.
pub(crate) fn is_deserted(host: &Host) -> bool {
    host.agents_of("alice").is_empty()
}

/// The module's line of each session so far.
pub(crate) fn opened(host: &Host) -> Vec<String> {
    let lines = host.log_lines().into_iter();
    lines.filter(|line| line.contains("pam_iam") && line.contains("event=session_opened")).collect()
}

/// Files below alice's runtime directory. The agents' directory and the cache's stay until the next boot.
pub(crate) fn left_behind(host: &Host) -> String {
    host.as_root().run("find /run/iam-session/20001 ! -type d").stdout
}
