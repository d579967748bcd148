//! Commands as somebody types them, and what they answer. Writes to standard output.

use support::{Host, Login};

/// A heading.
pub(crate) fn step(title: &str) {
    println!("\n== {title}\n");
}

/// What is to be seen.
pub(crate) fn narrate(text: &str) {
    println!("   {text}");
}

/// Somebody at a prompt.
pub(crate) struct Stage<'h> {
    prompt: String,
    actor: Actor<'h>,
}

enum Actor<'h> {
    Root(&'h Host),
    User(Login),
}

impl<'h> Stage<'h> {
    pub(crate) fn root(host: &'h Host) -> Self {
        Self { prompt: "root@login1#".to_owned(), actor: Actor::Root(host) }
    }

    /// Logs in on a terminal and shows what the user is told there.
    pub(crate) fn login(host: &'h Host, user: &str) -> Self {
        println!("   $ ssh {user}@login1");
        let login = host.login_on_terminal(user);
        print_indented(&super::greeting(&login).join("\n"));
        Self { prompt: format!("{user}@login1$"), actor: Actor::User(login) }
    }

    /// The login itself.
    pub(crate) fn session(&self) -> &Login {
        match &self.actor {
            Actor::User(login) => login,
            Actor::Root(_) => panic!("root has not logged in"),
        }
    }

    /// Runs a command and shows all it prints.
    pub(crate) fn show(&self, command: &str) {
        println!("   {} {command}", self.prompt);
        let output = match &self.actor {
            Actor::Root(host) => host.as_root().run(command),
            Actor::User(login) => login.run(command),
        };
        print_indented(&output.stdout);
        print_indented(&output.stderr);
    }

    /// Logs out.
    pub(crate) fn close(self) {
        if let Actor::User(login) = self.actor {
            println!("   {} exit", self.prompt);
            login.close();
        }
    }
}

fn print_indented(text: &str) {
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        println!("      {line}");
    }
}
