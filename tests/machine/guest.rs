//! The booted machine: a Debian 12 in qemu, and ssh to it. Starts processes, writes below target/machine.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::{Login, Output, Sandbox, built, wait};

/// Of a boot, and of a shutdown in which systemd waits for what does not end.
const BOOT: Duration = Duration::from_secs(900);
/// The loopback's port that qemu leads to the guest's sshd.
const PORT: &str = "2222";
/// What the guest says on its console when users may log in.
const UP: &str = "machine login:";

/// How the guest's kernel starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    Plain,
    SeLinux,
}

/// A machine that is up. Dropping it is a power cut.
pub(crate) struct Guest<'s> {
    network: &'s Sandbox,
    directory: PathBuf,
    boot: Boot,
    qemu: RefCell<Child>,
    /// Root's own login, in which most commands of root run: a login costs seconds.
    root: RefCell<Option<Login>>,
}

impl<'s> Guest<'s> {
    /// Boots what image.sh has made, without anything that an earlier guest wrote. Its network is the sandbox's loopback.
    pub(crate) fn boot(network: &'s Sandbox, boot: Boot) -> Self {
        let directory = fs::canonicalize(built("machine/disk")).unwrap().parent().unwrap().to_owned();
        let mut overlay = Command::new("qemu-img");
        overlay.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(directory.join("disk"));
        assert!(overlay.arg(directory.join("live")).status().unwrap().success());
        let qemu = RefCell::new(start(network, &directory, boot));
        let guest = Self { network, directory, boot, qemu, root: RefCell::new(None) };
        guest.wait_until_up();
        guest
    }

    /// An ssh client, to be completed with a command.
    pub(crate) fn client(&self, user: &str, options: &[&str]) -> Command {
        let mut command = in_network(self.network, "ssh");
        command.args(["-F", "/dev/null", "-p", PORT, "-l", user, "-i"]).arg(self.directory.join("key"));
        let fixed =
            ["BatchMode=yes", "LogLevel=ERROR", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"];
        for option in fixed {
            command.args(["-o", option]);
        }
        command.args(options).arg("127.0.0.1");
        command
    }

    /// `ssh user@guest command`.
    pub(crate) fn ssh(&self, user: &str, command: &str) -> Output {
        Output::of(self.client(user, &[]).arg(command), b"")
    }

    /// Logs in, without a terminal.
    pub(crate) fn login(&self, user: &str) -> Login {
        Login::by(self.client(user, &["-T"]))
    }

    /// Runs a command as root.
    pub(crate) fn root(&self, command: &str) -> Output {
        let mut root = self.root.borrow_mut();
        root.get_or_insert_with(|| self.login("root")).run(command)
    }

    /// The same, and it must succeed; gives what it wrote.
    pub(crate) fn does(&self, command: &str) -> String {
        let output = self.root(command);
        assert_eq!(output.status, 0, "{command}: {output:?}");
        output.stdout
    }

    /// Writes a file as root.
    pub(crate) fn write(&self, path: &str, contents: &[u8]) {
        let command = format!("mkdir -p \"$(dirname {path})\" && cat >{path}");
        Output::of(self.client("root", &[]).arg(command), contents).successful();
    }

    /// Whether there is something at this path.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.root(&format!("test -e {path}")).status == 0
    }

    /// Waits until a command of root's succeeds.
    pub(crate) fn wait_until(&self, what: &str, command: &str) {
        wait::until(what, || self.root(command).status == 0);
    }

    /// Shuts the machine down in order, and boots it again.
    pub(crate) fn reboot(&self) {
        self.shut_down();
        self.boot_again();
    }

    /// The same, and does something when the shutdown has said this on the console.
    pub(crate) fn reboot_while(&self, text: &str, act: impl FnOnce()) {
        self.shut_down();
        wait::within(BOOT, text, || self.console().contains(text));
        act();
        self.boot_again();
    }

    fn shut_down(&self) {
        // Root's own login ends in it.
        self.root.take();
        self.ssh("root", "systemctl reboot --no-block");
    }

    fn boot_again(&self) {
        wait::within(BOOT, "the end of a shutdown", || self.qemu.borrow_mut().try_wait().unwrap().is_some());
        self.start_again();
    }

    /// Takes its power away: what was not synced is lost. Then it boots again.
    pub(crate) fn cut_power(&self) {
        self.end();
        self.start_again();
    }

    fn start_again(&self) {
        self.root.take();
        *self.qemu.borrow_mut() = start(self.network, &self.directory, self.boot);
        self.wait_until_up();
    }

    fn wait_until_up(&self) {
        wait::within(BOOT, "a boot; target/machine/console has its messages", || self.console().contains(UP));
        wait::within(BOOT, "sshd", || self.ssh("root", "systemctl is-active ssh").status == 0);
    }

    fn console(&self) -> String {
        let messages = fs::read(self.directory.join("console")).unwrap_or_default();
        String::from_utf8_lossy(&messages).into_owned()
    }

    fn end(&self) {
        let mut qemu = self.qemu.borrow_mut();
        qemu.kill().unwrap();
        qemu.wait().unwrap();
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.end();
        fs::remove_file(self.directory.join("live")).unwrap_or_default();
    }
}

/// A program of the host that has no network but the sandbox's.
fn in_network(network: &Sandbox, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", network.namespace("net").display()));
    // However this process ends.
    command.args(["setpriv", "--pdeathsig", "KILL", program]);
    command
}

fn start(network: &Sandbox, directory: &std::path::Path, boot: Boot) -> Child {
    let file = |name: &str| directory.join(name).display().to_string();
    // The last boot's would be taken for this one's.
    fs::remove_file(directory.join("console")).unwrap_or_default();
    let selinux = match boot {
        Boot::Plain => "",
        Boot::SeLinux => "security=selinux selinux=1",
    };
    in_network(network, "qemu-system-x86_64")
        .args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "2048", "-display", "none", "-nodefaults"])
        .args(["-no-reboot", "-serial", &format!("file:{}", file("console"))])
        .args(["-kernel", &file("vmlinuz"), "-initrd", &file("initrd"), "-append"])
        // A loaded host must not make systemd give up.
        .arg(format!(
            "root=/dev/vda rw console=ttyS0 net.ifnames=0 systemd.default_timeout_start_sec=600 {selinux}"
        ))
        .args(["-drive", &format!("file={},if=virtio,format=qcow2", file("live"))])
        .args([
            "-netdev",
            &format!("user,id=n,hostfwd=tcp:127.0.0.1:{PORT}-:22"),
            "-device",
            "virtio-net-pci,netdev=n",
        ])
        .args(["-object", "rng-random,id=r,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=r"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
