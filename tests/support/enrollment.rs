//! An enrolment as a user does it: the command in a login, the approval at the provider. Starts a process.

use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::host::Host;
use crate::provider::Provider;
use crate::stream::Stream;
use crate::wait;

/// `iam-session enroll --json` or `reenroll --json`, running in a login of its own.
pub struct Enrolling {
    command: Child,
    events: Stream,
    errors: Stream,
}

impl Enrolling {
    /// Starts `iam-session enroll` with these arguments.
    pub fn start(host: &Host, user: &str, arguments: &str) -> Self {
        Self::running(host, user, &format!("enroll --json {arguments}"))
    }

    /// Starts `iam-session` with these arguments, which tell the same events.
    pub fn running(host: &Host, user: &str, arguments: &str) -> Self {
        let mut command = host.ssh_client(user, &[]);
        command.arg(format!("iam-session {arguments}"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut command = command.spawn().unwrap();
        let events = Stream::new(command.stdout.take().unwrap());
        let errors = Stream::new(command.stderr.take().unwrap());
        Self { command, events, errors }
    }

    /// The next event, which must be of this name.
    ///
    /// # Panics
    /// It is another, or the command ended.
    pub fn event(&mut self, name: &str) -> Value {
        let line = self.events.line().unwrap_or_else(|| panic!("no {name}: {}", self.errors.rest()));
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no event: {line}"));
        assert_eq!(event["event"], name, "{event}");
        event
    }

    /// The command's exit status, when it has ended.
    pub fn status(mut self) -> Option<i32> {
        let mut status = None;
        wait::until("the end of iam-session enroll", || {
            status = self.command.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

/// Enrols a user with the provider `wlcg`; gives the event `enrolled`.
pub(crate) fn enroll(host: &Host, provider: &Provider, user: &str, arguments: &str) -> Value {
    approved(host, provider, user, &format!("enroll --json {arguments} wlcg"))
}

/// Enrols a user's account again; gives the event `enrolled`.
pub(crate) fn reenroll(host: &Host, provider: &Provider, user: &str, arguments: &str) -> Value {
    approved(host, provider, user, &format!("reenroll --json {arguments}"))
}

fn approved(host: &Host, provider: &Provider, user: &str, command: &str) -> Value {
    // Nobody is at a browser here: the shortest interval, and not the five seconds of an issuer that names none.
    provider.set(json!({"device_interval": 1}));
    let mut enrolling = Enrolling::running(host, user, command);
    let code = enrolling.event("device_code");
    provider.approve(code["user_code"].as_str().unwrap(), user);
    let enrolled = enrolling.event("enrolled");
    provider.set(json!({"device_interval": null}));
    enrolled
}
