//! A process that runs beside a test. Starts it.

use std::process::{Child, ChildStdin, Command, Stdio};

use crate::stream::Stream;
use crate::wait;

/// A process that ends with its standard input, or is killed when this is dropped.
pub struct Background {
    process: Child,
    input: Option<ChildStdin>,
    output: Stream,
}

impl Background {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = Stream::new(process.stdout.take().unwrap());
        Self { input: process.stdin.take(), process, output }
    }

    /// The next line that it prints.
    ///
    /// # Panics
    /// There is none.
    pub fn line(&mut self) -> String {
        self.output.line().expect("the process in the background has ended")
    }

    /// Ends its input, waits for its end, and gives what it printed.
    pub fn finish(mut self) -> String {
        drop(self.input.take());
        self.wait();
        self.output.rest()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end.
    pub fn wait(&mut self) {
        let process = &mut self.process;
        wait::until("the end of a process in the background", || process.try_wait().unwrap().is_some());
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It is nsenter that is killed; the process inside sees the end of its input.
        drop(self.input.take());
        self.process.kill().unwrap_or_default();
        self.process.wait().map(|_| ()).unwrap_or_default();
    }
}
