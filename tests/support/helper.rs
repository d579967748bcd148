//! The real helper of a sandbox, at the other end of two pipes. Starts a process.

use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};

use serde_json::Value;

use crate::host::Host;
use crate::stream::Stream;

/// Where it is installed.
const PATH: &str = "/usr/libexec/iam-session/helper";

/// A helper that a user runs (PROTOCOL.md, section 4).
pub struct Helper {
    child: Child,
    requests: ChildStdin,
    replies: Stream,
}

impl Helper {
    /// Starts it as the agent does: as the user, with a fixed environment.
    pub fn start(host: &Host, user: &str) -> Self {
        let mut command = host.as_user(user).command("/usr/bin/env");
        command.args(["-i", "PATH=/usr/bin:/bin", PATH]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (requests, replies) = (child.stdin.take().unwrap(), Stream::new(child.stdout.take().unwrap()));
        Self { child, requests, replies }
    }

    /// One request and its reply.
    pub fn ask(&mut self, request: &Value) -> Value {
        self.requests.write_all(format!("{request}\n").as_bytes()).unwrap();
        serde_json::from_str(&self.replies.until("\n")).unwrap()
    }

    /// One request that is granted.
    ///
    /// # Panics
    /// It is not.
    pub fn get(&mut self, request: &Value) -> Value {
        let mut reply = self.ask(request);
        assert!(reply["error"].is_null(), "{request}: {reply}");
        reply["ok"].take()
    }

    /// The class of the error with which a request is refused.
    ///
    /// # Panics
    /// It is granted.
    pub fn refuses(&mut self, request: &Value) -> String {
        let reply = self.ask(request);
        let class = reply["error"]["class"].as_str();
        class.unwrap_or_else(|| panic!("{request} was granted: {reply}")).to_owned()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It is nsenter that is killed; the helper sees the end of its requests.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(|_| ()).unwrap_or_default();
    }
}
