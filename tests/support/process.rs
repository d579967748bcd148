//! The processes of a sandbox. Reads its /proc.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sandbox::Sandbox;

/// A process, its ids as the sandbox counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// That of the process that started it, or took it over.
    pub parent: i32,
    /// Effective uid.
    pub uid: u32,
    /// Name of the program, cut to 15 characters by the kernel.
    pub name: String,
    /// The program; not there for a process that is just ending.
    pub executable: Option<PathBuf>,
    /// Its arguments, one space between.
    pub command: String,
}

impl Process {
    /// Whether this is the program that it runs.
    pub fn runs(&self, program: &str) -> bool {
        self.executable.as_deref() == Some(Path::new(program))
    }
}

/// All that live: a zombie has ended, and only waits for its parent to notice.
pub(crate) fn all(sandbox: &Sandbox) -> Vec<Process> {
    let entries = fs::read_dir(sandbox.path("/proc")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter_map(|directory| read(&directory)).collect()
}

/// `None` for what is not a process, not any more, or a zombie.
fn read(directory: &Path) -> Option<Process> {
    let pid = directory.file_name()?.to_str()?.parse().ok()?;
    let status = fs::read_to_string(directory.join("status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("State:")?.starts_with(['Z', 'X']) {
        return None;
    }
    let command = fs::read(directory.join("cmdline")).ok()?;
    Some(Process {
        pid,
        parent: field("PPid:")?.parse().ok()?,
        uid: field("Uid:")?.split_whitespace().nth(1)?.parse().ok()?,
        name: field("Name:")?.to_owned(),
        executable: fs::read_link(directory.join("exe")).ok(),
        command: String::from_utf8_lossy(&command).replace('\0', " ").trim_end().to_owned(),
    })
}
