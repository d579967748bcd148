//! A login node: a sandbox with sshd, accounts, the installed programs and a log. Writes files, starts processes.

use std::process::{Child, Command};
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::Value;

use crate::account::Account;
use crate::actor::Actor;
use crate::log::Log;
use crate::login::{Channel, Login};
use crate::output::{self, Output};
use crate::pam::Stack;
use crate::plan::Plan;
use crate::process::{self, Process};
use crate::provider::Provider;
use crate::sandbox::Sandbox;
use crate::sshd::Way;
use crate::{enrollment, node_key, sshd, wait};

/// Where the agent is installed.
pub(crate) const AGENT: &str = "/usr/libexec/iam-session/agent";

/// A login node that is up. Dropping it ends every process on it.
pub struct Host {
    // First, so that it goes first: everything else runs inside.
    sandbox: Sandbox,
    log: Log,
    _sshd: Server,
    stack: Stack,
    /// Of sshd: siblings share a network.
    address: String,
    siblings: AtomicU8,
}

struct Server(Child);

impl Host {
    /// The usual one: pam_iam.so without options, a node key, no provider yet.
    pub fn start() -> Self {
        let host = Self::plan().start();
        host.add_node_key();
        host
    }

    /// One that differs from the usual, and has no node key.
    pub fn plan() -> Plan {
        Plan::default()
    }

    /// Starts sshd in a sandbox that is ready for it.
    pub(crate) fn bring_up(sandbox: Sandbox, stack: Stack, address: String) -> Self {
        let log = Log::start(&sandbox);
        let server = Server(sshd::start(&sandbox, &address));
        let host = Self { sandbox, log, _sshd: server, stack, address, siblings: AtomicU8::new(0) };
        host.wait_for_log("Server listening on");
        host
    }

    /// Another host of the same farm: it shares homes, accounts, configuration, node keys, installed programs and
    /// the network, and has processes, runtime directories and a log of its own.
    pub fn sibling(&self, hostname: &str) -> Self {
        let number = self.siblings.fetch_add(1, Ordering::Relaxed);
        let sandbox = Sandbox::beside(&self.sandbox, hostname);
        Self::bring_up(sandbox, self.stack.clone(), format!("127.0.0.{}", number + 2))
    }

    /// The namespaces, for what has no word of its own here.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Logs in, without a terminal.
    pub fn login(&self, user: &str) -> Login {
        Login::open(self.ssh_client(user, &["-T"]), Channel::Pipes)
    }

    /// Logs in on a terminal.
    pub fn login_on_terminal(&self, user: &str) -> Login {
        Login::open(self.ssh_client(user, &["-tt"]), Channel::Terminal)
    }

    /// Logs in on a terminal, until a login shows this. On a loaded machine a hint can be too late for a login; then
    /// the next one has it.
    pub fn login_that_shows(&self, user: &str, text: &str) -> Login {
        let mut login = self.login_on_terminal(user);
        self.wait_until(&format!("a login that shows {text:?}"), || {
            let is_shown = login.greeting().contains(text);
            if !is_shown {
                login = self.login_on_terminal(user);
            }
            is_shown
        });
        login
    }

    /// `ssh user@host command`.
    pub fn ssh(&self, user: &str, command: &str) -> Output {
        output::run(self.ssh_client(user, &[]).arg(command), b"")
    }

    /// The same by another way than the usual key.
    pub fn ssh_by(&self, way: Way<'_>, user: &str, command: &str) -> Output {
        output::run(way.choose(&mut self.ssh_client(user, &[])).arg(command), b"")
    }

    /// The ssh client, to be completed with a command; these options come before the host's name.
    pub fn ssh_client(&self, user: &str, options: &[&str]) -> Command {
        sshd::client(&self.sandbox, user, &self.address, options)
    }

    /// scp or sftp, with the client's configuration, to be completed with arguments.
    pub fn ssh_program(&self, program: &str) -> Command {
        sshd::program(&self.sandbox, program)
    }

    /// Adds an account.
    pub fn add_user(&self, name: &str) {
        Account::add(&self.sandbox, name);
    }

    /// The uid of a user.
    pub fn uid(&self, user: &str) -> u32 {
        Account::named(&self.sandbox, user).uid
    }

    /// Somebody with this account who has not logged in.
    pub fn as_user(&self, user: &str) -> Actor<'_> {
        Actor { sandbox: &self.sandbox, account: Some(Account::named(&self.sandbox, user)) }
    }

    /// Root on the host.
    pub fn as_root(&self) -> Actor<'_> {
        Actor { sandbox: &self.sandbox, account: None }
    }

    /// Enrols a user with the provider in a login of its own; gives the event `enrolled`.
    pub fn enroll(&self, provider: &Provider, user: &str) -> Value {
        enrollment::enroll(self, provider, user, "")
    }

    /// The same with more arguments, as in `-s max`.
    pub fn enroll_with(&self, provider: &Provider, user: &str, arguments: &str) -> Value {
        enrollment::enroll(self, provider, user, arguments)
    }

    /// Enrols an account of a user's again, with arguments as in `-s max wlcg`; gives the event `enrolled`.
    pub fn reenroll(&self, provider: &Provider, user: &str, arguments: &str) -> Value {
        enrollment::reenroll(self, provider, user, arguments)
    }

    /// Adds a node key, made at the beginning of 2026.
    pub fn add_node_key(&self) -> String {
        self.add_node_key_of("20260101T000000")
    }

    /// Adds a node key made at this time, `yyyymmddThhmmss`; gives the path of its file.
    pub fn add_node_key_of(&self, time: &str) -> String {
        node_key::add(&self.sandbox, time)
    }

    /// Writes `/etc/iam-session/issuers.d/<alias>.toml`.
    pub fn configure_provider(&self, alias: &str, lines: &str) {
        self.sandbox.write(&format!("/etc/iam-session/issuers.d/{alias}.toml"), lines, 0o644);
    }

    /// Writes a file as root.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>, mode: u32) {
        self.sandbox.write(path, contents, mode);
    }

    /// Reads a file as root.
    ///
    /// # Panics
    /// There is none.
    pub fn read(&self, path: &str) -> String {
        self.sandbox.read(path)
    }

    /// Whether there is something at this path.
    pub fn exists(&self, path: &str) -> bool {
        self.sandbox.exists(path)
    }

    /// Waits until there is nothing at this path.
    pub fn wait_until_gone(&self, path: &str) {
        wait::until(&format!("the end of {path}"), || !self.exists(path));
    }

    /// Waits until a condition holds.
    pub fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) {
        wait::until(what, condition);
    }

    /// All that came to the log, oldest first.
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Waits for a line in the log that contains this text, and gives it back.
    pub fn wait_for_log(&self, text: &str) -> String {
        let line = || self.log.lines().into_iter().find(|line| line.contains(text));
        let came = wait::succeeds(|| line().is_some());
        assert!(came, "{text:?} is not in the log:\n{}", self.log.lines().join("\n"));
        line().unwrap()
    }

    /// Every process on the host that lives.
    pub fn processes(&self) -> Vec<Process> {
        process::all(&self.sandbox)
    }

    /// Those of a user.
    pub fn processes_of(&self, user: &str) -> Vec<Process> {
        let uid = self.uid(user);
        self.processes().into_iter().filter(|process| process.uid == uid).collect()
    }

    /// The agents of a user, one a login; the `agent mint` that works for them is not one.
    pub fn agents_of(&self, user: &str) -> Vec<Process> {
        let agent = |process: &Process| {
            let command = &process.command;
            process.runs(AGENT) && !command.ends_with(" mint") && !command.contains(" left-running ")
        };
        self.processes_of(user).into_iter().filter(agent).collect()
    }

    /// The root process of sshd that watches over a user's connection.
    pub fn monitor_of(&self, user: &str) -> Option<Process> {
        let title = format!("sshd: {user} [priv]");
        self.processes().into_iter().find(|process| process.command.starts_with(&title))
    }

    /// Sends a signal, by its number or name, to a process.
    pub fn kill(&self, signal: &str, process: &Process) {
        self.as_root().run(&format!("kill -s {signal} {}", process.pid)).successful();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nsenter ends with the sandbox's sshd, and must be waited for.
        self.0.kill().unwrap_or_default();
        self.0.wait().map(|_| ()).unwrap_or_default();
    }
}
