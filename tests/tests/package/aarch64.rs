//! The package for aarch64, which `make aarch64` makes here: its programs run under qemu. `elf.rs` looks at how they are
//! linked.

use std::path::{Path, PathBuf};
use std::process::Command;

use support::package::{inside, package};

use crate::rpm::{binary, output, query};

const EMULATOR: &str = "/usr/bin/qemu-aarch64-static";
/// Where Debian has the C library of that architecture, which what is not static loads.
const SYSTEM: &str = "/usr/aarch64-linux-gnu";

fn rpm() -> PathBuf {
    package("aarch64", "iam-session-", ".el9.aarch64.rpm")
}

/// The files of the package that `ARCH` names.
pub(crate) fn payload() -> PathBuf {
    rpm().with_file_name("root")
}

/// What a program prints there, which must succeed.
fn run(path: &str, argument: Option<&str>) -> String {
    let mut program = Command::new(EMULATOR);
    program.args(["-L", SYSTEM]).arg(inside(&payload(), path)).args(argument);
    let output = program.stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn its_programs_run() {
    for name in ["iam-session", "iam-session-admin"] {
        let directory = if name == "iam-session" { "bin" } else { "sbin" };
        let version = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(run(&format!("/usr/{directory}/{name}"), Some("--version")), version);
    }
    // Without a word on their standard inputs these end at once.
    for name in ["agent", "helper"] {
        assert_eq!(run(&format!("/usr/libexec/iam-session/{name}"), None), "");
    }
}

#[test]
fn it_holds_the_same_files() {
    let files = |file: &Path| query(file, "[%{FILENAMES} %{FILEMODES:octal}\\n]");
    assert_eq!(files(&rpm()), files(&binary()));
    assert_eq!(query(&rpm(), "%{ARCH}"), ["aarch64"]);
    let deb = package("aarch64", "iam-session_", "_arm64.deb");
    assert!(
        output("dpkg-deb", &["--contents"], &deb).contains(" ./lib/aarch64-linux-gnu/security/pam_iam.so\n")
    );
    assert_eq!(output("dpkg-deb", &["--field"], &deb).lines().nth(2), Some("Architecture: arm64"));
}
