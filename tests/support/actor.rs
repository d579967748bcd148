//! Somebody on a host who has not come by ssh. Starts processes.

use std::process::Command;

use crate::account::Account;
use crate::output::{self, Output};
use crate::sandbox::Sandbox;

/// Root, or a user whom no login has given anything.
pub struct Actor<'h> {
    pub(crate) sandbox: &'h Sandbox,
    /// `None`: root.
    pub(crate) account: Option<Account>,
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
        let Some(Account { name, uid }) = &self.account else { return self.sandbox.command(program) };
        let mut command = self.sandbox.command("setpriv");
        command.args([&format!("--reuid={uid}"), &format!("--regid={uid}"), "--init-groups", "--reset-env"]);
        // What every login has; --reset-env keeps only TERM.
        command.args(["env", &format!("USER={name}"), "LANG=C.UTF-8", program]);
        command
    }
}
