//! What a test looks at afterwards: what pam_host said, what the agent was given, what a process holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, ChildStdin};

use nix::fcntl::OFlag;

/// What pam_host said.
#[derive(Debug)]
pub(crate) struct Said(pub(crate) Vec<String>);

/// What an agent was given.
pub(crate) struct Given(pub(crate) PathBuf);

/// A pam_host that waits.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
}

impl Said {
    pub(crate) fn of(output: &[u8]) -> Self {
        Self(String::from_utf8_lossy(output).lines().map(str::to_owned).collect())
    }

    /// What the module answered to a step, each time.
    pub(crate) fn codes(&self, step: &str) -> Vec<i32> {
        self.after(&format!("{step} ")).map(|code| code.parse().unwrap()).collect()
    }

    /// What it cost the host.
    pub(crate) fn changes(&self) -> Vec<&str> {
        self.after("changed ").collect()
    }

    /// What was printed.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.after("text ").collect()
    }

    pub(crate) fn milliseconds(&self, step: &str) -> u64 {
        self.after(&format!("took {step} ")).next().unwrap().parse().unwrap()
    }

    pub(crate) fn environment(&self) -> BTreeMap<&str, &str> {
        self.after("env ").filter_map(|setting| setting.split_once('=')).collect()
    }

    /// What stands in the PAM environment after the last open.
    pub(crate) fn last_environment(&self) -> BTreeMap<&str, &str> {
        let last = self.0.iter().rposition(|line| line.starts_with("open ")).unwrap_or_default();
        let said = self.0.iter().skip(last).filter_map(|line| line.strip_prefix("env "));
        said.filter_map(|setting| setting.split_once('=')).collect()
    }

    fn after<'a>(&'a self, start: &str) -> impl Iterator<Item = &'a str> {
        let start = start.to_owned();
        self.0.iter().filter_map(move |line| line.strip_prefix(&start))
    }
}

impl Given {
    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    pub(crate) fn message(&self) -> Vec<u8> {
        fs::read(self.0.join("message")).unwrap()
    }

    /// A field of /proc/PID/status.
    pub(crate) fn status(&self, field: &str) -> String {
        let status = self.text("status");
        let value = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:"))).unwrap();
        value.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn pid(&self) -> i32 {
        self.0.file_name().unwrap().to_str().unwrap().parse().unwrap()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.join("ended").exists()
    }

    /// Gone, or dead and not yet reaped by whoever adopted it.
    pub(crate) fn is_gone(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        status.is_empty() || status.contains("State:\tZ")
    }
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    /// The pipes that programs started by it do not inherit: those made in it, not those it came with.
    pub(crate) fn own_pipes(&self) -> Vec<String> {
        let own = |(number, _): &(String, String)| {
            let info = fs::read_to_string(format!("/proc/{}/fdinfo/{number}", self.pid())).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
            i32::from_str_radix(flags, 8).unwrap() & OFlag::O_CLOEXEC.bits() != 0
        };
        let links = links(self.pid()).into_iter().filter(|(_, link)| link.starts_with("pipe:"));
        links.filter(own).map(|(_, link)| link).collect()
    }

    pub(crate) fn finish(mut self) -> Said {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
        Said::of(&fs::read("/run/out").unwrap())
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The numbers of a process's descriptors and what they are; none where it is gone.
pub(crate) fn links(pid: i32) -> Vec<(String, String)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(Result::ok);
    let text = |os: std::ffi::OsString| os.into_string().ok();
    entries
        .filter_map(|entry| {
            Some((text(entry.file_name())?, text(fs::read_link(entry.path()).ok()?.into_os_string())?))
        })
        .collect()
}
