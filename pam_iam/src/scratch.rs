//! A directory for one test, gone with it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkdtemp, mkfifo};

use crate::site::TrustedDir;

pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(mkdtemp(&std::env::temp_dir().join("pam_iam-XXXXXX")).unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// As the module opens /etc/iam-session, whoever runs the test.
    pub(crate) fn trusted(&self) -> TrustedDir {
        TrustedDir::open(self.0.to_str().unwrap(), geteuid().as_raw()).unwrap().unwrap()
    }

    pub(crate) fn file(&self, name: &str, mode: u32, contents: &[u8]) {
        fs::write(self.path(name), contents).unwrap();
        self.mode(name, mode);
    }

    pub(crate) fn directory(&self, name: &str, mode: u32) {
        fs::create_dir(self.path(name)).unwrap();
        self.mode(name, mode);
    }

    pub(crate) fn link(&self, target: &str, name: &str) {
        symlink(target, self.path(name)).unwrap();
    }

    pub(crate) fn fifo(&self, name: &str) {
        mkfifo(&self.path(name), Mode::S_IRWXU).unwrap();
    }

    pub(crate) fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
