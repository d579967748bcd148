//! A package that is built with a key is signed by it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

struct Signer {
    directory: PathBuf,
}

impl Signer {
    /// With an RSA key, which rpm 4.11 can verify, and a database of rpm's that does not know it yet.
    fn new() -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("signer");
        fs::remove_dir_all(&directory).unwrap_or_default();
        fs::create_dir_all(&directory).unwrap();
        fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
        let signer = Self { directory };
        let key = [
            "--batch",
            "--passphrase",
            "",
            "--quick-generate-key",
            "packager@example.org",
            "rsa2048",
            "sign",
        ];
        assert!(signer.run("gpg", &key).status.success());
        signer
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(REPOSITORY).env("GNUPGHOME", &self.directory);
        command.env("PACKAGES", &self.directory).env("RPM_SIGN_KEY", "packager@example.org");
        // Another release than the other tests build at the same time.
        command.env("RELEASE", "9").env_remove("DIST");
        command.output().unwrap()
    }

    /// What `rpm -K` finds.
    fn verify(&self, package: &str) -> String {
        let database = format!("--dbpath={}", self.directory.display());
        let output = self.run("rpm", &[&database, "--checksig", "--verbose", package]);
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        self.run("gpgconf", &["--kill", "gpg-agent"]);
    }
}

#[test]
fn it_is_signed_by_the_key_that_was_named() {
    let signer = Signer::new();
    let built = signer.run("packaging/rpm/build.sh", &["binary"]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let package = String::from_utf8(built.stdout).unwrap();
    let package = package.lines().find(|path| path.ends_with(".x86_64.rpm")).unwrap();
    assert!(signer.verify(package).contains("NOKEY"), "{}", signer.verify(package));
    let public = signer.directory.join("public");
    let export = ["--armor", "--output", public.to_str().unwrap(), "--export", "packager@example.org"];
    assert!(signer.run("gpg", &export).status.success());
    let database = format!("--dbpath={}", signer.directory.display());
    assert!(signer.run("rpm", &[&database, "--import", public.to_str().unwrap()]).status.success());
    let verified = signer.verify(package);
    let signature = verified.lines().find(|line| line.contains(" RSA/")).unwrap_or_default();
    assert!(signature.ends_with("OK"), "{verified}");
}
