//! A login node: a sandbox with sshd, accounts, the installed programs and a log. Writes files, starts processes.

use std::collections::HashMap;
use std::fs;
use std::process::{Child, Command};

use serde_json::Value;

use crate::account::{self, Account};
use crate::built::built;
use crate::log::Log;
use crate::login::{Channel, Login};
use crate::output::{self, Output};
use crate::pam::{self, Stack};
use crate::process::{self, Process};
use crate::provider::{ISSUER_HOST, Provider};
use crate::sandbox::Sandbox;
use crate::{enrollment, helper, node_key, sshd, wait};

const HOSTNAME: &str = "login1";

/// What a host will be like.
#[derive(Clone, Debug)]
pub struct Plan {
    stack: Stack,
    site: String,
}

/// A login node that is up. Dropping it ends every process on it.
pub struct Host {
    // First, so that it goes first: everything else runs inside.
    sandbox: Sandbox,
    log: Log,
    _sshd: Server,
    stack: Stack,
}

/// Somebody on the host who has not come by ssh.
pub struct Actor<'h> {
    host: &'h Host,
    account: Option<Account>,
}

struct Server(Child);

impl Plan {
    /// Options on the line of pam_iam.so.
    pub fn pam_options(mut self, options: &str) -> Self {
        self.stack.module = Some(options.to_owned());
        self
    }

    /// The stack without pam_iam.so.
    pub fn without_agent(mut self) -> Self {
        self.stack.module = None;
        self
    }

    /// One more line at the end of the stack, as in `session required pam_deny.so`.
    pub fn session_line(mut self, line: &str) -> Self {
        self.stack.after.push(line.to_owned());
        self
    }

    /// The user has a runtime directory as from logind.
    pub fn with_logind_runtime(mut self, user: &str) -> Self {
        self.stack.logind.push(Account::named(user));
        self
    }

    /// Lines of /etc/iam-session/config.toml.
    pub fn site(mut self, lines: &str) -> Self {
        self.site.push_str(lines);
        self.site.push('\n');
        self
    }

    /// Starts the host.
    pub fn start(self) -> Host {
        let sandbox = Sandbox::start(HOSTNAME);
        account::add_all(&sandbox, HOSTNAME, ISSUER_HOST);
        install(&sandbox);
        if self.stack.module.is_some() {
            pam::install_module(&sandbox);
        }
        self.stack.write(&sandbox);
        sandbox.write("/etc/iam-session/config.toml", &self.site, 0o644);
        sshd::configure(&sandbox);
        let log = Log::start(&sandbox);
        let server = Server(sshd::start(&sandbox));
        let host = Host { sandbox, log, _sshd: server, stack: self.stack };
        for account in host.stack.logind.clone() {
            host.make_runtime_directory(account);
        }
        host.wait_for_log("Server listening on");
        host
    }
}

impl Host {
    /// The usual one: pam_iam.so without options, a node key, no provider yet.
    pub fn start() -> Self {
        let host = Self::plan().start();
        host.add_node_key();
        host
    }

    /// One that differs from the usual, and has no node key.
    pub fn plan() -> Plan {
        let stack = Stack { module: Some(String::new()), ..Stack::default() };
        Plan { stack, site: String::new() }
    }

    /// The namespaces, for what has no word of its own here.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Logs in, without a terminal.
    pub fn login(&self, user: &str) -> Login {
        Login::open(sshd::client(&self.sandbox, user, &["-T"]), Channel::Pipes)
    }

    /// Logs in on a terminal.
    pub fn login_on_terminal(&self, user: &str) -> Login {
        Login::open(sshd::client(&self.sandbox, user, &["-tt"]), Channel::Terminal)
    }

    /// `ssh user@host command`.
    pub fn ssh(&self, user: &str, command: &str) -> Output {
        output::run(sshd::client(&self.sandbox, user, &[]).arg(command), b"")
    }

    /// The ssh client, to be completed with a command; these options come before the host's name.
    pub fn ssh_client(&self, user: &str, options: &[&str]) -> Command {
        sshd::client(&self.sandbox, user, options)
    }

    /// Somebody with this account who has not logged in.
    pub fn as_user(&self, user: &str) -> Actor<'_> {
        Actor { host: self, account: Some(Account::named(user)) }
    }

    /// Root on the host.
    pub fn as_root(&self) -> Actor<'_> {
        Actor { host: self, account: None }
    }

    /// Enrols a user with the provider in a login of its own; gives the event `enrolled`.
    pub fn enroll(&self, provider: &Provider, user: &str) -> Value {
        enrollment::enroll(self, provider, user, "")
    }

    /// The same with more arguments, as in `-s max`.
    pub fn enroll_with(&self, provider: &Provider, user: &str, arguments: &str) -> Value {
        enrollment::enroll(self, provider, user, arguments)
    }

    /// Adds a node key that is older than all that [`Host::add_node_key_of`] adds after it with a later time.
    pub fn add_node_key(&self) -> String {
        self.add_node_key_of("20260101T000000")
    }

    /// Adds a node key made at this time, `yyyymmddThhmmss`; gives the path of its file.
    pub fn add_node_key_of(&self, time: &str) -> String {
        node_key::add(&self.sandbox, time)
    }

    /// Writes /etc/iam-session/issuers.d/<alias>.toml.
    pub fn configure_provider(&self, alias: &str, lines: &str) {
        self.sandbox.write(&format!("/etc/iam-session/issuers.d/{alias}.toml"), lines, 0o644);
    }

    /// Writes a file as root.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>, mode: u32) {
        self.sandbox.write(path, contents, mode);
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
        let account = Account::named(user);
        self.processes().into_iter().filter(|process| process.uid == account.uid).collect()
    }

    /// The agents of a user.
    pub fn agents_of(&self, user: &str) -> Vec<Process> {
        let agent = |process: &Process| process.executable.as_deref() == Some(AGENT.as_ref());
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

    /// A mount of its own, 0700, as logind makes it at the first login.
    fn make_runtime_directory(&self, account: Account) {
        let Account { uid, .. } = account;
        let mount = format!("mount -t tmpfs -o mode=0700,uid={uid},gid={uid} tmpfs /run/user/{uid}");
        self.as_root().run(&format!("mkdir -p /run/user/{uid} && {mount}")).successful();
    }
}

impl Actor<'_> {
    /// Runs a command in a shell, in the actor's home directory.
    pub fn run(&self, command: &str) -> Output {
        self.run_with_input(command, b"")
    }

    /// The same with something to read.
    pub fn run_with_input(&self, command: &str, input: &[u8]) -> Output {
        output::run(self.command("/bin/bash").args(["-c", &format!("cd && {command}")]), input)
    }

    /// A command to be completed with arguments.
    pub fn command(&self, program: &str) -> Command {
        let Some(Account { name, uid }) = self.account else { return self.host.sandbox.command(program) };
        let mut command = self.host.sandbox.command("setpriv");
        command.args([&format!("--reuid={uid}"), &format!("--regid={uid}"), "--init-groups", "--reset-env"]);
        // What every login has; --reset-env keeps only TERM.
        command.args(["env", &format!("USER={name}"), "LANG=C.UTF-8", program]);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nsenter ends with the sandbox's sshd, and must be waited for.
        self.0.kill().unwrap_or_default();
        self.0.wait().map(|_| ()).unwrap_or_default();
    }
}

const AGENT: &str = "/usr/libexec/iam-session/agent";

/// The programs where the package puts them: those that handle secrets cannot be read by users, and so not traced.
fn install(sandbox: &Sandbox) {
    let programs: HashMap<_, _> = [
        ("agent", (AGENT, 0o711)),
        ("helper", (helper::PATH, 0o711)),
        ("iam-session", ("/usr/bin/iam-session", 0o755)),
    ]
    .into();
    for (name, (path, mode)) in programs {
        sandbox.write(path, fs::read(built(&format!("programs/{name}"))).unwrap(), mode);
    }
}
