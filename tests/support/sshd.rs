//! The real sshd in a sandbox, and the client that logs in to it. Starts processes, writes below /etc/ssh.

use std::process::{Child, Command, Stdio};

use crate::built::required;
use crate::output;
use crate::sandbox::Sandbox;

const CLIENT: &str = "/etc/ssh/client";
const KEY: &str = "/etc/ssh/client_key";
const CONFIGURATION: &str = "\
ListenAddress 127.0.0.1
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/client_key.pub
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
MaxStartups 500
MaxSessions 500
Subsystem sftp internal-sftp
";

/// Writes keys and configuration.
pub(crate) fn configure(sandbox: &Sandbox) {
    required("/usr/sbin/sshd", "openssh-server");
    required("/usr/bin/ssh", "openssh-client");
    for key in ["/etc/ssh/host_key", KEY] {
        let mut command = sandbox.command("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-f", key]);
        output::run(&mut command, b"").successful();
    }
    sandbox.write("/etc/ssh/sshd_sandbox", CONFIGURATION, 0o644);
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
pub(crate) fn start(sandbox: &Sandbox) -> Child {
    let mut command = sandbox.command("/usr/sbin/sshd");
    command.args(["-D", "-f", "/etc/ssh/sshd_sandbox"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// `ssh user@localhost`, to be completed with options and a command.
pub(crate) fn client(sandbox: &Sandbox, user: &str, options: &[&str]) -> Command {
    let mut command = sandbox.command("ssh");
    command.args(["-F", CLIENT, "-l", user]).args(options).arg("localhost");
    command
}
