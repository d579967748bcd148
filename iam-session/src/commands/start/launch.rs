//! Starts the agent as PROTOCOL.md, section 1, wants it. Starts a process.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::identity::LoginIdentity;
use crate::lifeline_message::{HintPolicy, Message};
use crate::line::{Lines, Wait};
use crate::paths::{AGENT, RuntimePaths};
use crate::protocol::Failure;
use crate::store::Keyring;

/// It says something after a fifth of a second, whatever the home directory does.
const PATIENCE: Duration = Duration::from_secs(10);
/// PROTOCOL.md, section 2.
const MAX_STATUS: usize = 64;

/// Starts an agent that stays for the process `shell`; gives the id of its session once it listens.
pub(super) fn agent(identity: &LoginIdentity, places: &RuntimePaths, shell: u32) -> Result<String, Failure> {
    let mut session_id = [0; 16];
    getrandom::fill(&mut session_id).map_err(|error| failed(&error.to_string()))?;
    let message = Message {
        session_id,
        uid: identity.uid,
        token_wait: 0,
        hints: HintPolicy::Never,
        keys: Keyring::default(),
        user: identity.user.clone(),
        home: identity.home.clone(),
        runtime: places.directory().to_owned(),
    };
    let bytes = message.to_bytes().ok_or_else(|| failed("a name is too long, or no UTF-8"))?;
    let mut child = spawn(shell).map_err(|error| failed(&error.to_string()))?;
    let lifeline = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe.into());
    // One write, which a pipe takes whole; its end is of no meaning to an agent that stays for a shell.
    let written = lifeline.and_then(|mut lifeline| lifeline.write_all(&bytes));
    let answer = written.map_err(|error| failed(&error.to_string())).and_then(|()| first_line(&mut child));
    if answer.is_err() {
        // Whatever it is doing, nobody would know of it.
        let _ = child.kill();
        let _ = child.wait();
    }
    answer.map(|()| message.session())
}

/// umask 077 is ours already, since there may be a passphrase.
fn spawn(shell: u32) -> io::Result<Child> {
    Command::new(AGENT)
        .args(["standing", &shell.to_string()])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// Any line but a failure means that it listens.
fn first_line(child: &mut Child) -> Result<(), Failure> {
    let mut status = child.stdout.take().ok_or_else(|| failed("it has no output"))?;
    fcntl(&status, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|errno| failed(errno.desc()))?;
    let line = Lines::new(MAX_STATUS).next(&mut status, Wait::at_most(PATIENCE));
    let line = line.map_err(|error| failed(&error.to_string()))?;
    let line = String::from_utf8_lossy(&line);
    match line.strip_prefix("failed ") {
        None => Ok(()),
        Some("message") => Err(failed("it is of another version than this program")),
        Some("runtime") => Err(failed("it cannot use its runtime directory")),
        Some("socket") => Err(failed("it cannot listen in its runtime directory")),
        Some(code) => Err(failed(code)),
    }
}

fn failed(why: &str) -> Failure {
    Failure::failed(format!("cannot start {AGENT}: {why}"))
        .advise("the system log may say more; is the package installed completely?")
}
