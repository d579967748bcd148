//! An agent that says what a test wants it to say.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::{self, JoinHandle};

use serde_json::Value;

/// Names of sockets, in the order in which they are tried.
pub(crate) const FIRST: &str = "0000000000000000000000000000000a.sock";
pub(crate) const SECOND: &str = "0000000000000000000000000000000b.sock";

/// An agent that answers the requests of one connection, one text each, and then closes it.
pub(crate) struct Agent {
    thread: JoinHandle<Vec<Value>>,
}

impl Agent {
    pub(crate) fn answering(socket: &Path, answers: &[&str]) -> Self {
        Self::crowded(socket, 0, answers)
    }

    /// One that lets so many connections go before.
    pub(crate) fn crowded(socket: &Path, let_go: usize, answers: &[&str]) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
        let thread = thread::spawn(move || {
            (0..let_go).for_each(|_| drop(listener.accept().unwrap()));
            let (stream, _) = listener.accept().unwrap();
            converse(stream, &answers)
        });
        Self { thread }
    }

    /// One that answers the requests of several connections, which may stay open meanwhile.
    pub(crate) fn meeting(socket: &Path, conversations: &[&[&str]]) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let owned = |answers: &&[&str]| answers.iter().map(|&answer| answer.to_owned()).collect();
        let conversations: Vec<Vec<String>> = conversations.iter().map(owned).collect();
        let thread = thread::spawn(move || {
            let mut open = Vec::new();
            let mut requests = Vec::new();
            for answers in conversations {
                let (stream, _) = listener.accept().unwrap();
                requests.extend(converse(stream.try_clone().unwrap(), &answers));
                open.push(stream);
            }
            // They stay open to the end of the test's process.
            std::mem::forget(open);
            requests
        });
        Self { thread }
    }

    /// What it was asked.
    pub(crate) fn requests(self) -> Vec<Value> {
        self.thread.join().unwrap()
    }
}

fn converse(mut stream: UnixStream, answers: &[String]) -> Vec<Value> {
    let mut requests = Vec::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for answer in answers {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            break;
        }
        requests.push(serde_json::from_str(&line).unwrap());
        // A client that has seen enough may be gone.
        let _ = stream.write_all(answer.as_bytes());
    }
    requests
}

/// A socket that nobody listens on any more.
pub(crate) fn dead(socket: &Path) {
    drop(UnixListener::bind(socket).unwrap());
}
