//! What a command did. Starts processes.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::stream::Stream;
use crate::wait;

/// Status, output and duration of a command that has ended.
#[derive(Debug)]
pub struct Output {
    /// Its exit status; of a signal, 128 and the signal, as a shell says it.
    pub status: i32,
    /// What it wrote.
    pub stdout: String,
    /// What it wrote as errors; empty on a terminal, where the two are one.
    pub stderr: String,
    /// From start to end.
    pub elapsed: Duration,
}

impl Output {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// It takes longer than [`wait::deadline`].
    pub fn of(command: &mut Command, input: &[u8]) -> Self {
        run(command, input)
    }

    /// The same, where a failure would spoil the test.
    ///
    /// # Panics
    /// The command failed.
    pub fn successful(self) -> Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }
}

/// Runs a command to its end.
///
/// # Panics
/// It takes longer than [`wait::deadline`].
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    let start = wait::now();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdout = Stream::new(child.stdout.take().unwrap());
    let mut stderr = Stream::new(child.stderr.take().unwrap());
    // It may end without reading all of it.
    child.stdin.take().unwrap().write_all(input).unwrap_or_default();
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait()));
    let status = end.recv_timeout(wait::deadline()).unwrap_or_else(|_| panic!("{command:?} does not end"));
    let elapsed = start.elapsed();
    Output { status: status_code(status.unwrap()), stdout: stdout.rest(), stderr: stderr.rest(), elapsed }
}

fn status_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// All that a reader gives, in pieces as they come.
pub(crate) fn pieces(mut reader: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            if sender.send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
