//! Commands as somebody types them, and what they answer. Writes to standard output.

use support::{Host, Login, Output};

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
        self.run(command);
    }

    /// The same with a command without whose success there is nothing to show.
    pub(crate) fn show_successful(&self, command: &str) {
        self.run(command).successful();
    }

    fn run(&self, command: &str) -> Output {
        println!("   {} {command}", self.prompt);
        let output = match &self.actor {
            Actor::Root(host) => host.as_root().run(command),
            Actor::User(login) => login.run(command),
        };
        print_indented(&output.stdout);
        print_indented(&output.stderr);
        output
    }

    /// Logs out.
    pub(crate) fn close(self) {
        if let Actor::User(login) = self.actor {
            println!("   {} exit", self.prompt);
            login.close();
        }
    }
}

/// As a terminal shows it: what comes after a carriage return is written over what came before.
fn print_indented(text: &str) {
    let shown = text.lines().filter_map(|line| line.trim_end().rsplit('\r').next());
    for line in shown.map(|line| line.replace('\0', "")).filter(|line| !line.is_empty()) {
        println!("      {line}");
    }
}
