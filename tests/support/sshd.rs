//! The real sshd in a sandbox, and the client that logs in to it. Starts processes, writes below /etc/ssh.

use std::process::{Child, Command, Stdio};

use crate::built::required;
use crate::output;
use crate::sandbox::Sandbox;

const CLIENT: &str = "/etc/ssh/client";
const KEY: &str = "/etc/ssh/client_key";
const ASKPASS: &str = "/mnt/askpass";
const CONFIGURATION: &str = "\
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/client_key.pub
UsePAM yes
PasswordAuthentication yes
KbdInteractiveAuthentication yes
PrintMotd no
PrintLastLog no
MaxStartups 500
MaxSessions 500
Subsystem sftp internal-sftp
";

/// How a user proves who they are.
#[derive(Clone, Copy, Debug)]
pub enum Way<'p> {
    /// sshd's own method, which asks PAM once.
    Password(&'p str),
    /// The conversation of PAM.
    KeyboardInteractive(&'p str),
}

impl Way<'_> {
    /// Has the client go this way and no other.
    pub(crate) fn choose(self, client: &mut Command) -> &mut Command {
        let (method, password) = match self {
            Self::Password(password) => ("password", password),
            Self::KeyboardInteractive(password) => ("keyboard-interactive", password),
        };
        // There is no terminal to ask on.
        client.env("SSH_ASKPASS", ASKPASS).env("SSH_ASKPASS_REQUIRE", "force").env("PASSWORD", password);
        client.args(["-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1"]);
        client.args(["-o", &format!("PreferredAuthentications={method}")])
    }
}

/// Writes keys and configuration; `first` comes first, and the first value counts; `last` may have Match blocks.
pub(crate) fn configure(sandbox: &Sandbox, first: &str, last: &str) {
    required("/usr/sbin/sshd", "openssh-server");
    required("/usr/bin/ssh", "openssh-client");
    for key in ["/etc/ssh/host_key", KEY] {
        let mut command = sandbox.command("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-f", key]);
        output::run(&mut command, b"").successful();
    }
    sandbox.write("/etc/ssh/sshd_sandbox", format!("{first}{CONFIGURATION}{last}"), 0o644);
    sandbox.write(ASKPASS, "#!/bin/sh\nprintf '%s\\n' \"$PASSWORD\"\n", 0o755);
    let client = [
        "BatchMode yes",
        "LogLevel ERROR",
        "StrictHostKeyChecking no",
        "UserKnownHostsFile /dev/null",
        "IdentitiesOnly yes",
        &format!("IdentityFile {KEY}"),
        "",
    ];
    sandbox.write(CLIENT, client.join("\n"), 0o644);
}

/// Starts the server; it says in the log when it listens.
pub(crate) fn start(sandbox: &Sandbox, address: &str) -> Child {
    let mut command = sandbox.command("/usr/sbin/sshd");
    command.args(["-D", "-f", "/etc/ssh/sshd_sandbox", "-o", &format!("ListenAddress={address}")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// ssh, scp or sftp, to be completed with arguments.
pub(crate) fn program(sandbox: &Sandbox, name: &str) -> Command {
    let mut command = sandbox.command(name);
    command.args(["-F", CLIENT]);
    command
}

/// `ssh user@address`, to be completed with a command.
pub(crate) fn client(sandbox: &Sandbox, user: &str, address: &str, options: &[&str]) -> Command {
    let mut command = program(sandbox, "ssh");
    command.args(["-l", user]).args(options).arg(address);
    command
}
