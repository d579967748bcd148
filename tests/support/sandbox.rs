//! A set of namespaces that is a machine of its own and leaves nothing behind. Starts processes and mounts.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

use crate::built::{built, provider_sources, required};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/support/sandbox.sh");
/// What root has inside; nothing of the test's own environment comes along.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root"), ("LANG", "C.UTF-8")];

/// Mount, pid, network, UTS and IPC namespaces of their own, over the host's root directory (sandbox.sh).
///
/// Dropping it kills every process inside, and with them go the mounts.
pub struct Sandbox {
    holder: Child,
    pid: i32,
}

impl Sandbox {
    /// Makes the namespaces and mounts.
    ///
    /// # Panics
    /// Without root, or where a tool is missing.
    pub fn start(hostname: &str) -> Self {
        assert!(geteuid().is_root(), "the whole-system tests make namespaces and need root");
        required("/usr/bin/unshare", "util-linux");
        required("/usr/sbin/ip", "iproute2");
        let mut holder = Command::new("unshare")
            .args(["--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child", "--", SCRIPT])
            .args([built("tools"), provider_sources()])
            .arg(hostname)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = line.trim().parse().expect("sandbox.sh failed; its messages are above");
        Self { holder, pid }
    }

    /// A command that will run inside, as root and without the test's environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--mount", "--pid", "--net", "--uts", "--ipc", "--target", &self.pid.to_string(), "--"])
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

    /// Writes a root-owned file of this mode, and its directory where that is missing.
    pub fn write(&self, inside: &str, contents: impl AsRef<[u8]>, mode: u32) {
        fs::create_dir_all(self.path(inside).parent().unwrap()).unwrap();
        let file = self.open(inside, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC);
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
