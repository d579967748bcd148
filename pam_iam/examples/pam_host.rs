//! A PAM application for the tests: does the steps named on its command line, and says after each what it cost the
//! host. `pam_host SERVICE USER STEP…`
//!
//! Lines on standard output: `STEP CODE`, `env NAME=VALUE` (the PAM environment), `text MESSAGE` (from the
//! conversation), `took STEP MILLISECONDS`, `changed WHAT BEFORE -> AFTER`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::FromRawFd;
use std::ptr;
use std::time::Instant;

use nix::sys::resource::Resource;

const PAM_SILENT: c_int = 0x8000;
const PAM_USER: c_int = 2;
const PAM_RHOST: c_int = 4;
const PAM_CONV: c_int = 5;
/// Where the report goes, whatever happens to the standard descriptors.
const REPORT: c_int = 200;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

type Converse = extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int;

#[repr(C)]
struct Conversation {
    converse: Option<Converse>,
    data: *mut c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start(
        service: *const c_char,
        user: *const c_char,
        conv: *const Conversation,
        pamh: *mut *mut c_void,
    ) -> c_int;
    fn pam_end(pamh: *mut c_void, status: c_int) -> c_int;
    fn pam_open_session(pamh: *mut c_void, flags: c_int) -> c_int;
    fn pam_close_session(pamh: *mut c_void, flags: c_int) -> c_int;
    fn pam_authenticate(pamh: *mut c_void, flags: c_int) -> c_int;
    fn pam_setcred(pamh: *mut c_void, flags: c_int) -> c_int;
    fn pam_acct_mgmt(pamh: *mut c_void, flags: c_int) -> c_int;
    fn pam_chauthtok(pamh: *mut c_void, flags: c_int) -> c_int;
    fn pam_set_item(pamh: *mut c_void, item: c_int, value: *const c_void) -> c_int;
    fn pam_putenv(pamh: *mut c_void, setting: *const c_char) -> c_int;
    fn pam_getenvlist(pamh: *mut c_void) -> *mut *mut c_char;
}

fn say(line: &str) {
    // SAFETY: the descriptor was made by main and is never closed.
    let mut report = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(REPORT) });
    report.write_all(format!("{line}\n").as_bytes()).unwrap();
}

extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    replies: *mut *mut Response,
    _: *mut c_void,
) -> c_int {
    for n in 0..usize::try_from(count).unwrap() {
        // SAFETY: libpam passes an array of `count` pointers.
        let message = unsafe { messages.add(n) };
        // SAFETY: inside that array.
        let message = unsafe { *message };
        // SAFETY: each points to a message.
        let message = unsafe { &*message };
        // SAFETY: a message's text is a C string.
        let text = unsafe { CStr::from_ptr(message.text) };
        say(&format!("text {} {}", message.style, text.to_string_lossy()));
    }
    // SAFETY: plain memory, which libpam frees with free(3).
    let reply = unsafe { libc::calloc(count.try_into().unwrap(), size_of::<Response>()) };
    // SAFETY: libpam passes a place for the array.
    unsafe { *replies = reply.cast() };
    0
}

extern "C" fn on_signal(_: c_int) {}

/// What a module must leave as it was.
#[derive(PartialEq)]
struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    fn take() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let kept = [
            "Uid", "Gid", "Groups", "SigBlk", "SigIgn", "SigCgt", "Threads", "Umask", "CapEff", "CapPrm",
            "CapInh",
        ];
        let mut all: BTreeMap<_, _> = status
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| kept.contains(name))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        all.insert("environment".into(), format!("{:?}", std::env::vars_os().collect::<BTreeMap<_, _>>()));
        all.insert("directory".into(), format!("{:?}", std::env::current_dir().ok()));
        all.insert("children".into(), children());
        all.insert("descriptors".into(), descriptors().len().to_string());
        Self(all)
    }

    fn compare(&self, before: &Self) {
        for (name, value) in &self.0 {
            if before.0.get(name) != Some(value) {
                say(&format!("changed {name} {} -> {value}", before.0[name]));
            }
        }
    }
}

fn descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Zombies included.
fn children() -> String {
    fs::read_to_string(format!("/proc/self/task/{0}/children", std::process::id())).unwrap()
}

struct Host(*mut c_void);

impl Host {
    fn step(&mut self, step: &str) -> c_int {
        let (name, value) = step.split_once('=').unwrap_or((step, ""));
        let text = CString::new(value).unwrap();
        let number = value.parse::<c_int>().unwrap_or(0);
        match name {
            "open" => self.call(pam_open_session, 0),
            "open-silent" => self.call(pam_open_session, PAM_SILENT),
            "close" => self.call(pam_close_session, 0),
            "end" => self.call(pam_end, 0),
            "authenticate" => self.call(pam_authenticate, 0),
            "setcred" => self.call(pam_setcred, 0),
            "acct_mgmt" => self.call(pam_acct_mgmt, 0),
            "chauthtok" => self.call(pam_chauthtok, 0),
            // SAFETY: the handle is libpam's, and the text a C string that it copies.
            "user" => unsafe { pam_set_item(self.0, PAM_USER, text.as_ptr().cast()) },
            // SAFETY: as above.
            "rhost" => unsafe { pam_set_item(self.0, PAM_RHOST, text.as_ptr().cast()) },
            // SAFETY: as above.
            "env" => unsafe { pam_putenv(self.0, text.as_ptr()) },
            "no-conversation" => {
                let none = Conversation { converse: None, data: ptr::null_mut() };
                // SAFETY: libpam copies the structure.
                unsafe { pam_set_item(self.0, PAM_CONV, (&raw const none).cast()) }
            }
            "cycles" => (0..number).map(|_| self.step("open") + self.step("close")).sum(),
            "in-child" => in_child(|| self.step(value)),
            _ => prepare(name, number),
        }
    }

    fn call(
        &mut self,
        function: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
        argument: c_int,
    ) -> c_int {
        // SAFETY: the handle is libpam's, and ends only with the last step.
        unsafe { function(self.0, argument) }
    }

    fn say_environment(&self) {
        // SAFETY: the handle is libpam's; a list of C strings with a null at its end.
        let mut at = unsafe { pam_getenvlist(self.0) };
        loop {
            // SAFETY: the list has not ended yet.
            let text = unsafe { *at };
            if text.is_null() {
                return;
            }
            // SAFETY: not null, so a C string.
            let text = unsafe { CStr::from_ptr(text) };
            say(&format!("env {}", text.to_string_lossy()));
            // SAFETY: a null follows the last one.
            at = unsafe { at.add(1) };
        }
    }
}

/// Steps that make the host one of another kind.
fn prepare(name: &str, number: c_int) -> c_int {
    match name {
        "close-standard" => {
            [0, 1, 2].map(nix::unistd::close).iter().filter(|closed| closed.is_err()).count() as c_int
        }
        // As sshd does: descriptors that a program started from here would inherit.
        // SAFETY: copies a descriptor that is open.
        "leak" => unsafe { libc::dup2(REPORT, number) - number },
        "signals" => signals(),
        // SAFETY: a plain system call.
        "seteuid" => unsafe { libc::seteuid(number.try_into().unwrap()) },
        // SAFETY: no handler.
        "ignore-children" => unsafe { (libc::signal(libc::SIGCHLD, libc::SIG_IGN) == libc::SIG_ERR).into() },
        // In decimal.
        "umask" => {
            // SAFETY: a plain system call.
            unsafe { libc::umask(number.try_into().unwrap()) };
            0
        }
        "processes" => nix::sys::resource::setrlimit(Resource::RLIMIT_NPROC, 0, 0).map_or(-1, |()| 0),
        // In bytes.
        "file-size" => {
            let size = number.try_into().unwrap();
            nix::sys::resource::setrlimit(Resource::RLIMIT_FSIZE, size, size).map_or(-1, |()| 0)
        }
        "memory" => limit_memory(number.try_into().unwrap()),
        "thread" => {
            std::thread::spawn(std::thread::park);
            0
        }
        "wait" => {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            0
        }
        _ => panic!("no step {name}"),
    }
}

/// Handlers, ignored and blocked signals, those of glibc's own use among them.
fn signals() -> c_int {
    // SAFETY: the handler does nothing.
    unsafe { libc::signal(libc::SIGCHLD, on_signal as *const () as libc::sighandler_t) };
    for ignored in [libc::SIGPIPE, libc::SIGHUP, libc::SIGRTMIN(), 64] {
        // SAFETY: no handler.
        unsafe { libc::signal(ignored, libc::SIG_IGN) };
    }
    let mut blocked = nix::sys::signal::SigSet::empty();
    blocked.add(nix::sys::signal::Signal::SIGUSR1);
    blocked.add(nix::sys::signal::Signal::SIGTERM);
    blocked.thread_block().map_or(-1, |()| 0)
}

fn in_child(step: impl FnOnce() -> c_int) -> c_int {
    // SAFETY: the child runs one step and leaves.
    match unsafe { libc::fork() } {
        0 => {
            let code = step();
            // SAFETY: no exit handlers of the parent's.
            unsafe { libc::_exit(code) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: `status` is ours.
            unsafe { libc::waitpid(pid, &raw mut status, 0) };
            libc::WEXITSTATUS(status)
        }
    }
}

fn main() {
    // SAFETY: copies standard output.
    unsafe { libc::dup3(1, REPORT, libc::O_CLOEXEC) };
    let args: Vec<_> = std::env::args().collect();
    let (service, user) = (CString::new(args[1].as_str()).unwrap(), CString::new(args[2].as_str()).unwrap());
    let conversation = Conversation { converse: Some(converse), data: ptr::null_mut() };
    let mut host = Host(ptr::null_mut());
    // SAFETY: everything passed lives longer than the handle.
    report("start", unsafe {
        pam_start(service.as_ptr(), user.as_ptr(), &raw const conversation, &raw mut host.0)
    });
    for step in &args[3..] {
        let before = Snapshot::take();
        let began = Instant::now();
        let code = host.step(step);
        say(&format!("took {step} {}", began.elapsed().as_millis()));
        report(step, code);
        if step.starts_with("open")
            || step.starts_with("close") && step != "close-standard"
            || step.starts_with("in-child")
        {
            Snapshot::take().compare(&before);
        }
        if step.starts_with("open") {
            host.say_environment();
        }
    }
}

fn report(step: &str, code: impl Debug) {
    say(&format!("{step} {code:?}"));
}

/// So many bytes more than the process has now.
fn limit_memory(more: u64) -> i32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let size: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
    let limit = size * 1024 + more;
    nix::sys::resource::setrlimit(Resource::RLIMIT_AS, limit, limit).map_or(-1, |()| 0)
}
