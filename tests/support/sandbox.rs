//! A set of namespaces that is a machine of its own and leaves nothing behind. Starts processes and mounts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;

use crate::built::{built, provider_sources, required};
use crate::package::mount_options;

/// Its text, because a sibling does not see the directory where it is.
const SCRIPT: &str = include_str!("sandbox.sh");
/// What root has inside; nothing of the test's own environment comes along.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root"), ("LANG", "C.UTF-8")];

/// The launcher of programs for an old kernel, inside.
const OLD_KERNEL: &str = "/mnt/old-kernel";

/// Which system calls there are inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Those of the kernel that runs.
    Running,
    /// Those of CentOS 7's (tests/old-kernel).
    CentOs7,
}

impl Kernel {
    /// What `KERNEL` says, so that all tests can be run on the old one; else that which runs.
    pub fn from_environment() -> Self {
        match std::env::var("KERNEL").as_deref() {
            Err(_) => Self::Running,
            Ok("3.10") => Self::CentOs7,
            Ok(other) => panic!("KERNEL={other}: only 3.10 is known"),
        }
    }
}

/// Mount, pid, network, UTS and IPC namespaces of their own, over the host's programs (sandbox.sh).
///
/// Dropping it kills every process inside, and with them go the mounts.
pub struct Sandbox {
    holder: Child,
    pid: i32,
    kernel: Kernel,
}

impl Sandbox {
    /// Makes the namespaces and mounts.
    ///
    /// # Panics
    /// Without root, or where a tool is missing.
    pub fn start(hostname: &str, kernel: Kernel) -> Self {
        assert!(geteuid().is_root(), "the whole-system tests make namespaces and need root");
        // For this process, too: it makes files and directories inside.
        umask(Mode::from_bits_truncate(0o022));
        required("/usr/bin/unshare", "util-linux");
        required("/usr/sbin/ip", "iproute2");
        let mut holder = Command::new("unshare");
        holder.args(["--net", "--ipc"]);
        let (tools, provider) = (text(built("tools")), text(provider_sources()));
        let sandbox = Self::hold(holder, &["machine", hostname, &mount_options(), &tools, &provider], kernel);
        sandbox.write(OLD_KERNEL, fs::read(built("old-kernel")).unwrap(), 0o755);
        sandbox
    }

    /// Another machine that has the first one's file systems and network, and its own of what a machine does not
    /// share: /run, /tmp, /var/log, /dev, processes and name.
    pub fn beside(first: &Self, hostname: &str) -> Self {
        let mut holder = Command::new("nsenter");
        holder.args(["--mount", "--net", "--ipc", "--target", &first.pid.to_string(), "--", "unshare"]);
        Self::hold(holder, &["sibling", hostname, &mount_options()], first.kernel)
    }

    /// `holder` becomes a process that keeps the namespaces, and dies with process 1 of them.
    fn hold(mut holder: Command, arguments: &[&str], kernel: Kernel) -> Self {
        holder
            .args(["--mount", "--pid", "--uts", "--fork", "--kill-child", "--", "/bin/bash", "-c", SCRIPT])
            .arg("sandbox.sh")
            .args(arguments)
            .env_clear()
            .envs(ENVIRONMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut holder = holder.spawn().unwrap();
        let mut namespace = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut namespace).unwrap();
        assert!(!namespace.is_empty(), "sandbox.sh failed; its messages are above");
        Self { holder, pid: first_process(namespace.trim()), kernel }
    }

    /// A command that will run inside, as root and without the test's environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--mount", "--pid", "--net", "--uts", "--ipc", "--target", &self.pid.to_string(), "--"])
            .args((self.kernel == Kernel::CentOs7).then_some(OLD_KERNEL))
            .arg(program)
            .env_clear()
            .envs(ENVIRONMENT)
            .current_dir("/");
        command
    }

    /// The path by which the test reaches a file inside. Symbolic links with absolute targets would lead to the
    /// host: [`Sandbox::open`] resolves as the sandbox does.
    pub fn path(&self, inside: &str) -> PathBuf {
        let root = Path::new("/proc").join(self.pid.to_string()).join("root");
        root.join(inside.trim_start_matches('/'))
    }

    /// The link that names a namespace, as in `pid` or `net`.
    pub fn namespace(&self, kind: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join("ns").join(kind)
    }

    /// Opens a file inside, as root.
    ///
    /// # Errors
    /// As of openat2(2).
    pub fn open(&self, inside: &str, flags: OFlag) -> nix::Result<OwnedFd> {
        let root = OpenOptions::new().read(true).open(self.path("/")).unwrap();
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .mode(if flags.contains(OFlag::O_CREAT) { Mode::S_IRUSR } else { Mode::empty() })
            .resolve(ResolveFlag::RESOLVE_IN_ROOT);
        openat2(&root, inside.trim_start_matches('/'), how)
    }

    /// What a file holds.
    pub fn read(&self, inside: &str) -> String {
        let file = self.open(inside, OFlag::O_RDONLY).unwrap_or_else(|error| panic!("{inside}: {error}"));
        io::read_to_string(File::from(file)).unwrap()
    }

    /// Writes a root-owned file of this mode, and its directory where that is missing.
    pub fn write(&self, inside: &str, contents: impl AsRef<[u8]>, mode: u32) {
        fs::create_dir_all(self.path(inside).parent().unwrap()).unwrap();
        let open = || self.open(inside, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC);
        let file = match open() {
            // A program that still runs keeps its own file.
            Err(Errno::ETXTBSY) => {
                fs::remove_file(self.path(inside)).map_err(|_| Errno::ETXTBSY).and_then(|()| open())
            }
            opened => opened,
        };
        let mut file = File::from(file.unwrap_or_else(|error| panic!("{inside}: {error}")));
        file.write_all(contents.as_ref()).unwrap();
        file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Adds lines to a file.
    pub fn append(&self, inside: &str, lines: &str) {
        let file = self.open(inside, OFlag::O_WRONLY | OFlag::O_APPEND);
        let mut file = File::from(file.unwrap_or_else(|error| panic!("{inside}: {error}")));
        file.write_all(lines.as_bytes()).unwrap();
    }

    /// Whether there is something at this path, be it a dangling link.
    pub fn exists(&self, inside: &str) -> bool {
        self.open(inside, OFlag::O_PATH | OFlag::O_NOFOLLOW).is_ok()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // --kill-child: process 1 of the namespace dies with it, and the kernel kills the rest.
        self.holder.kill().unwrap_or_default();
        self.holder.wait().map(|_| ()).unwrap_or_default();
    }
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

/// The host's number of process 1 in a pid namespace, which is named as /proc names it: `pid:[…]`.
fn first_process(namespace: &str) -> i32 {
    let number = |directory: PathBuf| {
        let status = fs::read_to_string(directory.join("status")).ok()?;
        let inside =
            status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().last()?;
        let link = fs::read_link(directory.join("ns/pid")).ok()?;
        let found = inside == "1" && link == Path::new(namespace);
        found.then(|| directory.file_name()?.to_str()?.parse().ok())?
    };
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    processes.into_iter().find_map(number).expect("process 1 of the sandbox has ended")
}
