//! An agent for the tests: does what /run/stand-in/script says, and writes down what it was given.
//!
//! Without Rust's start-up code, which ignores SIGPIPE and opens what is closed among the standard descriptors: what
//! is written down is what execve(2) left.
#![no_main]
#![allow(clippy::unwrap_used, missing_docs)]

use std::ffi::c_int;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use nix::poll::poll;
use nix::sys::signal::{Signal, raise};

const PLACE: &str = "/run/stand-in";

#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    let own = Path::new(PLACE).join(std::process::id().to_string());
    fs::create_dir(&own).unwrap();
    write_down(&own);
    // SAFETY: no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let mut head = [0; 12];
    io::stdin().read_exact(&mut head).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes([head[10], head[11]])) - head.len()];
    io::stdin().read_exact(&mut message).unwrap();
    fs::write(own.join("message"), [&head[..], &message].concat()).unwrap();
    let script = fs::read_to_string(format!("{PLACE}/script")).unwrap_or_default();
    for step in script.split(';').map(str::trim).filter(|step| !step.is_empty()) {
        do_step(step);
    }
    // The lifeline: until the login ends.
    let rest = io::stdin().read_to_end(&mut Vec::new());
    fs::write(own.join("ended"), format!("{rest:?}")).unwrap();
    0
}

fn do_step(step: &str) {
    let (name, value) = step.split_once(' ').unwrap_or((step, ""));
    match name {
        "say" => {
            // Nobody may be listening any more: then the agent goes on.
            let _ = writeln!(io::stdout(), "{value}");
        }
        "pause" => drop(poll(&mut [], value.parse::<u16>().unwrap())),
        "stop" => raise(Signal::SIGSTOP).unwrap(),
        "silence" => nix::unistd::close(1).unwrap(),
        "exit" => std::process::exit(0),
        _ => panic!("no step {name}"),
    }
}

fn write_down(own: &Path) {
    for name in ["status", "environ", "cmdline", "limits"] {
        fs::write(own.join(name), fs::read(format!("/proc/self/{name}")).unwrap()).unwrap();
    }
    fs::write(own.join("cwd"), fs::read_link("/proc/self/cwd").unwrap().to_str().unwrap()).unwrap();
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let links = entries.filter_map(|entry| {
        let entry = entry.unwrap();
        let target = fs::read_link(entry.path()).ok()?;
        // The one that reads this directory.
        (!target.ends_with("fd")).then(|| format!("{} {}\n", entry.file_name().display(), target.display()))
    });
    fs::write(own.join("fds"), links.collect::<String>()).unwrap();
    // SAFETY: takes and changes nothing.
    let session = unsafe { libc::getsid(0) };
    fs::write(own.join("session"), session.to_string()).unwrap();
}
