//! A host for one test: users, PAM service, agent and syslog socket, all in a mount namespace.

use std::cell::RefCell;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{geteuid, mkfifo};

use super::outcome::{Given, Running, Said};

/// For whatever must come at some time: generous, for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// What an open may take at most here: its own ceiling is 300 ms, the rest is for a loaded machine.
pub(crate) const CEILING: u64 = 3000;

pub(crate) const AGENT: &str = "/usr/libexec/iam-session/agent";
pub(crate) const STAND_IN: &str = "/run/stand-in";
pub(crate) const PAM_SUCCESS: i32 = 0;
pub(crate) const PAM_SESSION_ERR: i32 = 14;
pub(crate) const PAM_PERM_DENIED: i32 = 6;

/// The node key of this host, and what it is for uid 1000 (Python's hashlib and hmac).
const NODE_KEY: (&str, [u8; 32]) = ("20260102T030405-7c14c86733fed289.key", [0xff; 32]);
pub(crate) const ALICES_KEY: &str = "861e77c1f8aa4e1a5995c2c5f48f6d000bf0558adba849f5aeef1b82b28e9f87";

const USERS: &str = "root:x:0:0::/root:/bin/sh\n\
                     daemon:x:500:500::/:/bin/sh\n\
                     alice:x:1000:1000::/home/alice:/bin/sh\n\
                     bob:x:1001:1001::/home/bob:/bin/sh\n\
                     homeless:x:1002:1002::home:/bin/sh\n\
                     nobody:x:65534:65534::/nonexistent:/bin/sh\n";
const GROUPS: &str = "root:x:0:\nalice:x:1000:\nbob:x:1001:\ncms:x:2000:alice,carol\natlas:x:2001:bob\n\
                      users:x:100:alice\nnogroup:x:65534:\n";

/// Starting a program can take a starved machine longer than the module waits; that often in a row it does not.
const TRIES: u32 = 20;

pub(crate) struct Host {
    log: UnixDatagram,
    /// Lines that have been read, but not asked for yet.
    lines: RefCell<Vec<String>>,
}

/// Runs `test` on a host of its own. In a thread of its own, for the namespace is the thread's.
pub(crate) fn on_a_host(test: impl FnOnce(&Host) + Send + 'static) {
    assert!(geteuid().is_root(), "these tests need root: they make mount namespaces and become other users");
    built();
    let run = thread::spawn(move || {
        // Of the thread alone, too.
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS).unwrap();
        umask(Mode::from_bits_truncate(0o022));
        test(&Host::set_up());
    });
    if let Err(panic) = run.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Waits for what must come.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

impl Host {
    fn set_up() -> Self {
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        tmpfs("/run", "mode=0755");
        for name in ["/run/user", "/run/iam-session", STAND_IN, "/run/dev", "/run/etc", "/run/work"] {
            fs::create_dir(name).unwrap();
        }
        tmpfs("/run/iam-session", "mode=0711");
        fs::set_permissions(STAND_IN, Permissions::from_mode(0o1777)).unwrap();
        devices();
        let layers = "lowerdir=/etc,upperdir=/run/etc,workdir=/run/work";
        mount(Some("overlay"), "/etc", Some("overlay"), MsFlags::empty(), Some(layers)).unwrap();
        tmpfs("/usr/libexec", "mode=0755");
        let log = UnixDatagram::bind("/dev/log").unwrap();
        fs::set_permissions("/dev/log", Permissions::from_mode(0o666)).unwrap();
        log.set_nonblocking(true).unwrap();
        let host = Self { log, lines: RefCell::default() };
        host.write("/etc/passwd", USERS);
        host.write("/etc/group", GROUPS);
        host.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\n");
        let _ = fs::remove_dir_all("/etc/iam-session");
        fs::create_dir_all("/etc/iam-session/keys.d").unwrap();
        host.node_key(NODE_KEY.0, 0o400, &NODE_KEY.1);
        fs::create_dir("/usr/libexec/iam-session").unwrap();
        // Not by this process: a program that another test forks meanwhile would hold it open for writing, and what
        // is open for writing cannot be executed.
        assert!(Command::new("cp").arg(example("stand_in_agent")).arg(AGENT).status().unwrap().success());
        host.line("");
        host
    }

    pub(crate) fn write(&self, path: &str, contents: &str) {
        fs::write(path, contents).unwrap();
    }

    pub(crate) fn node_key(&self, name: &str, mode: u32, key: &[u8]) {
        let path = format!("/etc/iam-session/keys.d/{name}");
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    /// The options of the PAM line.
    pub(crate) fn line(&self, options: &str) {
        let module = module();
        let all: String = ["auth", "account", "password", "session"]
            .map(|kind| format!("{kind} required {} {options}\n", module.display()))
            .concat();
        self.write("/etc/pam.d/sshd", &all);
        self.write("/etc/pam.d/other", &all);
    }

    /// What the agent does.
    pub(crate) fn agent(&self, script: &str) -> &Self {
        self.write(&format!("{STAND_IN}/script"), script);
        self
    }

    /// A file system of its own.
    pub(crate) fn tmpfs(&self, path: &str, options: &str) {
        tmpfs(path, options);
    }

    /// A runtime directory as logind makes it.
    pub(crate) fn logind(&self, uid: u32, mode: u32) -> String {
        let path = format!("/run/user/{uid}");
        fs::create_dir(&path).unwrap();
        tmpfs(&path, &format!("mode={mode:o},uid={uid},gid={uid}"));
        path
    }

    pub(crate) fn command(&self, service: &str, user: &str, steps: &[&str]) -> Command {
        let mut command = Command::new(example("pam_host"));
        command.args([service, user]).args(steps);
        command
    }

    /// Does the steps as `user` logs in to sshd.
    pub(crate) fn run(&self, user: &str, steps: &[&str]) -> Said {
        self.run_service("sshd", user, steps)
    }

    /// As [`run`](Self::run), until the agent has been heard in time.
    pub(crate) fn run_heard(&self, user: &str, steps: &[&str]) -> Said {
        self.heard(|| self.run(user, steps))
    }

    /// Repeats a login until its agent was not late.
    pub(crate) fn heard<T>(&self, login: impl Fn() -> T) -> T {
        for _ in 0..TRIES {
            let done = login();
            let log = self.log();
            if !log.iter().any(|line| line.contains("has said nothing within")) {
                *self.lines.borrow_mut() = log;
                return done;
            }
        }
        panic!("the agent was late {TRIES} times");
    }

    pub(crate) fn run_service(&self, service: &str, user: &str, steps: &[&str]) -> Said {
        let output = self.command(service, user, steps).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Said::of(&output.stdout)
    }

    /// As [`run`](Self::run), with a step `wait` that lasts until the answer is dropped.
    pub(crate) fn start(&self, user: &str, steps: &[&str]) -> Running {
        self.start_command(self.command("sshd", user, steps), steps)
    }

    /// The same, where the child is stopped between becoming the user and exec.
    pub(crate) fn start_stopped(&self, user: &str, steps: &[&str]) -> Running {
        let mut command = self.command("sshd", user, steps);
        command.env("LD_PRELOAD", example("libstop_at_drop.so"));
        self.start_command(command, steps)
    }

    fn start_command(&self, mut command: Command, steps: &[&str]) -> Running {
        let out = File::create("/run/out").unwrap();
        let mut child = command.stdin(Stdio::piped()).stdout(out).spawn().unwrap();
        let stdin = child.stdin.take();
        let running = Running { child, stdin };
        wait_until("the steps before 'wait' are done", || {
            let before = Said::of(&fs::read("/run/out").unwrap()).0;
            before.iter().filter(|line| line.starts_with("took ")).count()
                == steps.iter().position(|step| *step == "wait").unwrap()
        });
        running
    }

    /// The module's lines so far.
    pub(crate) fn log(&self) -> Vec<String> {
        let mut lines = self.lines.take();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.log.recv(&mut buffer) {
            let line = String::from_utf8(buffer[..length].to_vec()).unwrap();
            let (head, text) = line.split_once("]: ").unwrap_or_else(|| panic!("no head: {line}"));
            // LOG_AUTHPRIV is 80.
            assert!(matches!(&head[..4], "<83>" | "<84>" | "<86>" | "<87>"), "{line}");
            assert!(head.contains(" pam_iam["), "{line}");
            assert!(text.starts_with("event="), "{line}");
            lines.push(text.to_owned());
        }
        lines
    }

    /// Fills the syslog socket, as a daemon does that reads no more.
    pub(crate) fn stall_log(&self) {
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        while sender.send_to(b"<83>full", "/dev/log").is_ok() {}
    }

    /// What each agent so far was given.
    pub(crate) fn agents(&self) -> Vec<Given> {
        let entries = fs::read_dir(STAND_IN).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).map(Given).collect()
    }

    /// The one agent that there was, once it has written everything down.
    pub(crate) fn the_agent(&self) -> Given {
        wait_until("there is one agent with a message", || {
            self.agents().first().is_some_and(|agent| agent.0.join("message").exists())
        });
        let mut agents = self.agents();
        assert_eq!(agents.len(), 1);
        agents.remove(0)
    }
}

/// Puts a pipe in a file's place: who reads it waits for somebody to write.
pub(crate) fn make_fifo(path: &str) {
    fs::remove_file(path).unwrap();
    mkfifo(path, Mode::from_bits_truncate(0o644)).unwrap();
}

fn tmpfs(path: &str, options: &str) {
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
}

/// A /dev with what the module and the stand-in open, and room for a syslog socket.
fn devices() {
    for name in ["null", "urandom"] {
        let path = format!("/run/dev/{name}");
        File::create(&path).unwrap();
        mount(
            Some(format!("/dev/{name}").as_str()),
            path.as_str(),
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
        .unwrap();
    }
    mount(Some("/run/dev"), "/dev", None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>).unwrap();
}

/// Where cargo puts what it builds. Built here once: a test does not depend on a library that is only a cdylib, so
/// cargo does not build the module for it.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
        let profile = if directory.ends_with("release") { "release" } else { "dev" };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "pam_iam", "--lib", "--examples", "--profile", profile]);
        assert!(build.status().unwrap().success(), "{build:?}");
        directory
    })
}

pub(crate) fn module() -> PathBuf {
    built().join("libpam_iam.so")
}

fn example(name: &str) -> PathBuf {
    built().join("examples").join(name)
}

/// What a hostile user, a careless package or an upgrade may leave at a path.
pub(crate) fn give_to(path: &str, uid: u32) {
    chown(path, Some(uid), Some(uid)).unwrap();
}

/// The line of an error.
pub(crate) fn error(user: &str, text: &str) -> String {
    format!("event=error user={user} error=\"{text}\"")
}

/// The line about something that was passed over.
pub(crate) fn warning(user: &str, text: &str) -> String {
    format!("event=warning user={user} reason=\"{text}\"")
}

/// The line about why nothing was done.
pub(crate) fn debug(user: &str, text: &str) -> String {
    format!("event=debug user={user} reason=\"{text}\"")
}
