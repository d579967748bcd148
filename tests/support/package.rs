//! What the package holds, and its installation into a sandbox. Reads target/installed and target/package, writes below a
//! sandbox's /usr.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use crate::built::{built, library};
use crate::sandbox::Sandbox;

/// What is built and where it goes: packaging/programs, a program a line.
const PROGRAMS: &str = include_str!("../../packaging/programs");
/// Where the rpm has the module; Debian's libpam looks elsewhere.
const MODULES: &str = "/usr/lib64/security";
const MOUNT_UNIT: &str = "usr/lib/systemd/system/run-iam\\x2dsession.mount";

/// A program of the package.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name in target/programs.
    pub name: &'static str,
    directory: &'static str,
    /// As it is installed, in octal.
    pub mode: &'static str,
    /// `static` or `dynamic`.
    pub linked: &'static str,
}

impl Program {
    /// Where the rpm installs it.
    pub fn path(&self) -> String {
        format!("{}/{}", self.directory.replace("MODULES", MODULES), self.name)
    }
}

/// All programs of the package.
pub fn programs() -> Vec<Program> {
    let lines = PROGRAMS.lines().filter(|line| !line.starts_with('#'));
    let program = |line: &'static str| {
        let [name, directory, mode, linked] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("packaging/programs: {line:?} has not four words");
        };
        Program { name, directory, mode, linked }
    };
    lines.map(program).collect()
}

/// Something in target/package: a package by the beginning and the end of its name, as in `iam-session-0` and
/// `el7.src.rpm`.
///
/// # Panics
/// There is none, or there are several.
pub fn package(directory: &str, begins: &str, ends: &str) -> PathBuf {
    let directory = built(&format!("package/{directory}"));
    let names = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name());
    let fits = |name: &String| name.starts_with(begins) && name.ends_with(ends);
    let mut found: Vec<_> = names.map(|name| name.into_string().unwrap()).filter(fits).collect();
    assert_eq!(found.len(), 1, "{begins}…{ends} in {}: {found:?}; 'make package'", directory.display());
    directory.join(found.remove(0))
}

/// The files of the package, as it was unpacked.
///
/// # Panics
/// They are not those of the programs that were built last.
pub fn payload() -> PathBuf {
    static FRESH: Once = Once::new();
    of_last_build("package/root", &FRESH)
}

/// What the machines of the tests install: the package's files but those that are made at packing.
///
/// # Panics
/// They are not those of the programs that were built last.
pub fn installed() -> PathBuf {
    static FRESH: Once = Once::new();
    of_last_build("installed", &FRESH)
}

fn of_last_build(name: &str, fresh: &Once) -> PathBuf {
    let root = built(name);
    fresh.call_once(|| {
        for program in programs() {
            let there = fs::read(inside(&root, &program.path())).unwrap_or_default();
            let last = fs::read(built("programs").join(program.name)).unwrap();
            assert!(
                there == last,
                "{} has not the {} that was built last: 'make package'",
                root.display(),
                program.name
            );
        }
    });
    root
}

/// Below the payload's root, or another one.
pub fn inside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// The options of the mount on /run/iam-session.
pub(crate) fn mount_options() -> String {
    let unit = fs::read_to_string(installed().join(MOUNT_UNIT)).unwrap();
    unit.lines().find_map(|line| line.strip_prefix("Options=")).unwrap().to_owned()
}

/// Takes away the programs that the host itself may have from a package of ours.
pub(crate) fn remove(sandbox: &Sandbox) {
    let programs = programs().into_iter().map(|program| sandbox.path(&program.path()));
    for path in programs.chain([sandbox.path(module_path().to_str().unwrap())]) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{}: {error}", path.display()),
            _ => (),
        }
    }
}

/// All of the package but the site's configuration and the module, with the modes that it has there.
pub(crate) fn install(sandbox: &Sandbox) {
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--no-target-directory"]).arg(installed().join("usr")).arg(sandbox.path("/usr"));
    assert!(copy.status().unwrap().success());
    fs::remove_file(sandbox.path(&format!("{MODULES}/pam_iam.so"))).unwrap();
}

/// The module, where libpam looks for it: beside the one that all have.
pub(crate) fn install_module(sandbox: &Sandbox) {
    let module = fs::read(inside(&installed(), &format!("{MODULES}/pam_iam.so"))).unwrap();
    sandbox.write(module_path().to_str().unwrap(), module, 0o755);
}

/// Where this system's libpam looks for the module.
pub fn module_path() -> PathBuf {
    library("security/pam_permit.so", "libpam-modules").with_file_name("pam_iam.so")
}
