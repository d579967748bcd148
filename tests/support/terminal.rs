//! A command that a user runs on a terminal of a login, and answers. Starts a process.

use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};

use crate::host::Host;
use crate::stream::Stream;
use crate::wait;

/// `ssh -tt user@host command`: what it shows and what is typed meet on one terminal.
pub struct Terminal {
    client: Child,
    keyboard: ChildStdin,
    screen: Stream,
}

impl Terminal {
    /// Starts it.
    pub fn start(host: &Host, user: &str, command: &str) -> Self {
        let mut client = host.ssh_client(user, &["-tt"]);
        client.arg(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut client = client.spawn().unwrap();
        let (keyboard, screen) = (client.stdin.take().unwrap(), Stream::new(client.stdout.take().unwrap()));
        Self { client, keyboard, screen }
    }

    /// What is shown before `text`, which must come.
    ///
    /// # Panics
    /// It does not.
    pub fn until(&mut self, text: &str) -> String {
        self.screen.until(text)
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        self.press(&format!("{line}\n"));
    }

    /// Types these bytes, as in `"\x03"`, which is Ctrl-C.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// What else is shown until the command ends, and its exit status.
    pub fn end(mut self) -> (String, Option<i32>) {
        let mut status = None;
        wait::until("the end of a command on a terminal", || {
            status = self.client.try_wait().unwrap();
            status.is_some()
        });
        (self.screen.rest(), status.and_then(|status| status.code()))
    }
}
