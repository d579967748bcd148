//! Where the built programs and the tools are. Looks at the file system.

use std::path::{Path, PathBuf};

/// The provider's sources.
pub(crate) fn provider_sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("provider")
}

/// A file or directory that is in the target directory before a machine is started: `make demo` and `make test` put
/// it there.
///
/// # Panics
/// It is not there.
pub fn built(name: &str) -> PathBuf {
    // This program is in target/debug/deps or target/<triple>/debug/deps.
    let program = std::env::current_exe().unwrap();
    let found = program.ancestors().map(|directory| directory.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no {name} above {}: make it by 'make package tools'", program.display()))
}

/// A program of the system that tests cannot do without.
///
/// # Panics
/// It is not installed.
pub fn required(path: &str, package: &str) {
    assert!(Path::new(path).exists(), "{path} is missing: install {package}, or run 'make packages storage'");
}

/// A library of the system, as in `security/pam_permit.so`: where this distribution keeps it.
///
/// # Panics
/// It is not installed.
pub(crate) fn library(name: &str, package: &str) -> PathBuf {
    let multiarch = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut candidates = multiarch.chain(["/usr/lib64".into()]).map(|directory| directory.join(name));
    let found = candidates.find(|path| path.exists());
    found.unwrap_or_else(|| panic!("there is no {name}: install {package}, or run 'make packages storage'"))
}
