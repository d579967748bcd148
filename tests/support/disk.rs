//! A file system whose steps fail, kill or are lost as a test says. Starts a process; speaks to it over its pipes.

use std::io::Write;
use std::ops::RangeInclusive;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::host::Host;
use crate::provider::PYTHON;
use crate::stream::Stream;

const SERVER: &str = "/mnt/disk.py";

/// A file system over a directory of a user's, in memory (disk.py). Dropping it takes it away, and what is in it.
pub struct Disk {
    server: Child,
    control: Mutex<(ChildStdin, Stream)>,
}

/// On which side of a step somebody dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The step does not happen.
    Before,
    /// It does, and nobody learns of it.
    After,
}

impl Disk {
    /// Puts one over `directory`, which is made if it is not there and is the user's.
    ///
    /// # Panics
    /// It cannot be mounted.
    pub fn over(host: &Host, user: &str, directory: &str) -> Self {
        Self::serving(host, user, directory, "")
    }

    /// The same, where every lock is refused with this error.
    ///
    /// # Panics
    /// It cannot be mounted.
    pub fn without_locks(host: &Host, user: &str, directory: &str, errno: i32) -> Self {
        Self::serving(host, user, directory, &errno.to_string())
    }

    fn serving(host: &Host, user: &str, directory: &str, lock_error: &str) -> Self {
        host.write(SERVER, include_str!("disk.py"), 0o644);
        host.as_user(user).run(&format!("mkdir -p -m 0700 {directory}")).successful();
        let options = "fd=3,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions";
        let serve = format!(
            "exec 3<>/dev/fuse && mount --internal-only -t fuse -o {options} disk {directory} &&
             {PYTHON} {SERVER} {} 700 {lock_error}; umount --lazy {directory}",
            host.uid(user)
        );
        let mut command = host.as_root().command("/bin/bash");
        command.args(["-c", &serve]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let answers = Stream::new(server.stdout.take().unwrap());
        let control = Mutex::new((server.stdin.take().unwrap(), answers));
        let disk = Self { server, control };
        disk.heal();
        disk
    }

    /// From now on this fails on the files that the glob matches: `open` `create` `read` `write` `truncate` `fsync`
    /// `rename` `unlink`, or `opendir` `fsyncdir` of the directory itself, whose name is empty.
    pub fn fail(&self, op: &str, name: &str, errno: i32) {
        self.ask(json!({"do": "fail", "op": op, "name": name, "errno": errno}));
    }

    /// From now on this gets no answer.
    pub fn hang(&self, op: &str, name: &str) {
        self.ask(json!({"do": "fail", "op": op, "name": name, "errno": null}));
    }

    /// These of the steps that change something fail, from 1, counted from now.
    pub fn fail_at(&self, steps: RangeInclusive<usize>, errno: i32) {
        self.ask(json!({"do": "fail_at", "at": steps.start(), "last": steps.end(), "errno": errno}));
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.ask(json!({"do": "heal"}));
    }

    /// Kills whoever asks for the step of this number, from 1, counted from now.
    pub fn kill_at(&self, step: usize, death: Death) {
        let when = match death {
            Death::Before => "before",
            Death::After => "after",
        };
        self.ask(json!({"do": "kill", "at": step, "when": when}));
    }

    /// The power fails: of what was not synced nothing is left.
    pub fn crash(&self) {
        self.ask(json!({"do": "crash"}));
    }

    /// What the user has changed since this was asked for the last time, a step a line, as in `fsync .wlcg.cred.*`.
    pub fn steps(&self) -> Vec<String> {
        let steps = self.ask(json!({"do": "steps"}));
        steps.as_array().unwrap().iter().map(|step| step.as_str().unwrap().to_owned()).collect()
    }

    fn ask(&self, command: Value) -> Value {
        let mut control = self.control.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        control.0.write_all(format!("{command}\n").as_bytes()).expect("the disk's server has ended");
        serde_json::from_str(&control.1.until("\n")).unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // nsenter ends; the server reads the end of its commands.
        self.server.kill().unwrap_or_default();
        self.server.wait().map(|_| ()).unwrap_or_default();
    }
}
