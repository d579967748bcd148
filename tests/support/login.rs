//! A login that is open: a shell at the other end of a real ssh connection. Starts a process.

use std::cell::RefCell;
use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::output::Output;
use crate::stream::Stream;
use crate::wait;

/// The shell of a user who has logged in. Dropping it logs out without waiting for the end.
pub struct Login {
    client: Child,
    shell: RefCell<Shell>,
    greeting: String,
}

/// Pipes, and streams of their own for output and errors; or a terminal, where the two are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Pipes,
    Terminal,
}

/// What a user does who sees a text on the terminal.
#[derive(Clone, Copy)]
pub enum Attend<'a> {
    /// Types a line.
    Type(&'a str),
    /// Reads the rest of the text's line, and does something elsewhere.
    Read(&'a dyn Fn(&str)),
}

struct Shell {
    input: Option<ChildStdin>,
    stdout: Stream,
    stderr: Stream,
    channel: Channel,
    /// Commands so far: each has a mark of its own.
    commands: u32,
}

impl Login {
    /// Logs in by an ssh client to any machine, without a terminal.
    pub fn by(client: Command) -> Self {
        Self::open(client, Channel::Pipes)
    }

    pub(crate) fn open(mut client: Command, channel: Channel) -> Self {
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = client.spawn().unwrap();
        let mut shell = Shell {
            input: client.stdin.take(),
            stdout: Stream::new(client.stdout.take().unwrap()),
            stderr: Stream::new(client.stderr.take().unwrap()),
            channel,
            commands: 0,
        };
        let greeting = shell.greet();
        Self { client, shell: RefCell::new(shell), greeting }
    }

    /// What the user saw before the first prompt.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Runs a command in the shell, to its end: what it changes in the shell stays.
    pub fn run(&self, command: &str) -> Output {
        self.shell.borrow_mut().run(command)
    }

    /// The same on a terminal, with its user before it, who attends to each of these texts whenever it comes. The output
    /// has all that was seen.
    pub fn run_attended(&self, command: &str, texts: &[(&str, Attend<'_>)]) -> Output {
        self.shell.borrow_mut().run_attended(command, texts)
    }

    /// A variable of the shell's environment.
    pub fn env(&self, name: &str) -> Option<String> {
        let output = self.run(&format!("printenv {name}"));
        (output.status == 0).then(|| output.stdout.trim_end().to_owned())
    }

    /// A file, as the user reads it.
    ///
    /// # Panics
    /// The user cannot.
    pub fn read(&self, path: &str) -> String {
        self.run(&format!("cat {}", quoted(path))).successful().stdout
    }

    /// Logs out, and waits for the client's end.
    pub fn close(mut self) {
        self.log_out();
        wait::until("the end of the ssh client", || self.client.try_wait().unwrap().is_some());
    }

    fn log_out(&self) {
        let mut shell = self.shell.borrow_mut();
        if let Some(mut input) = shell.input.take() {
            // The connection may be gone, which is what was wanted.
            input.write_all(b"exit\n").unwrap_or_default();
        }
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        self.log_out();
    }
}

impl Shell {
    fn greet(&mut self) -> String {
        if self.channel == Channel::Terminal {
            // No echo, prompts or line editing: what comes back is what commands write.
            self.send("stty -echo -onlcr; export PS1= PS2=; exec bash --norc --noprofile --noediting\n");
        }
        let Output { stdout, stderr, .. } = self.run(":");
        stdout + &stderr
    }

    fn run(&mut self, command: &str) -> Output {
        self.run_attended(command, &[])
    }

    fn run_attended(&mut self, command: &str, texts: &[(&str, Attend<'_>)]) -> Output {
        let start = wait::now();
        self.commands += 1;
        self.send(&format!("eval {} </dev/null; {}\n", quoted(command), self.mark_command()));
        let mark = format!("\nend-{} ", self.commands);
        let marks: Vec<&str> = texts.iter().map(|(text, _)| *text).chain([mark.as_str()]).collect();
        let mut stdout = String::new();
        loop {
            let (which, before) = self.stdout.until_any(&marks);
            stdout += &before;
            let Some((text, attend)) = texts.get(which) else { break };
            stdout += text;
            match attend {
                Attend::Type(answer) => self.send(&format!("{answer}\n")),
                Attend::Read(read) => {
                    let line = self.stdout.until("\n");
                    read(line.trim());
                    stdout += &format!("{line}\n");
                }
            }
        }
        let status = self.stdout.until("\n").trim().parse().unwrap();
        let stderr = match self.channel {
            Channel::Pipes => self.stderr.until(&mark),
            Channel::Terminal => String::new(),
        };
        Output { status, stdout, stderr, elapsed: start.elapsed() }
    }

    /// Writes the mark and the status to the output, and the mark to the errors where those are apart. The
    /// mark's parts are apart in the command, so that a terminal's echo of it is not taken for the mark.
    fn mark_command(&self) -> String {
        let output = format!(r"printf '\n%s-%d %d\n' end {} $?", self.commands);
        match self.channel {
            Channel::Pipes => format!(r"{output}; printf '\n%s-%d ' end {} >&2", self.commands),
            Channel::Terminal => output,
        }
    }

    fn send(&mut self, line: &str) {
        self.input.as_mut().expect("the login is closed").write_all(line.as_bytes()).unwrap();
    }
}

/// One word for a shell.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
