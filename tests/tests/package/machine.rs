//! A login node on which the package is installed by rpm itself, from a package file.

use support::{Host, Output};

use crate::rpm::binary;
use support::package::{module_path, package};

const DATABASE: &str = "/mnt/rpm";
/// In the sandbox, by release.
const FIRST: &str = "/mnt/packages/1.rpm";
const SECOND: &str = "/mnt/packages/2.rpm";

/// What Debian's rpm says whenever it installs.
const OF_DEBIAN: [&str; 2] = ["rpm: RPM should not be used", "rpm: However assuming"];
/// And any, of a file that the site changed.
const SAVED: &str = ".toml.rpmsave";

/// Which package.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Release {
    First,
    Second,
}

impl Release {
    fn file(self) -> &'static str {
        match self {
            Self::First => FIRST,
            Self::Second => SECOND,
        }
    }
}

/// A node with the PAM line and package files, and nothing installed.
pub(crate) struct Machine {
    pub(crate) host: Host,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let host = Host::plan().uninstalled().start();
        let second = package("next", "iam-session-", ".el7.x86_64.rpm");
        for (file, inside) in [(binary(), FIRST), (second, SECOND)] {
            host.write(inside, std::fs::read(file).unwrap(), 0o644);
        }
        // rpm installs for EL, where libpam looks into /usr/lib64.
        let link = format!("ln -s /usr/lib64/security/pam_iam.so {}", module_path().display());
        host.as_root().run(&link).successful();
        Self { host }
    }

    /// The same with the first release.
    pub(crate) fn installed() -> Self {
        let machine = Self::new();
        machine.rpm("--install", Release::First);
        machine
    }

    /// `rpm HOW file`; nothing may be said on standard error, as by a scriptlet that fails.
    pub(crate) fn rpm(&self, how: &str, release: Release) {
        self.run(&format!("{how} {}", release.file()));
    }

    /// `rpm --erase`.
    pub(crate) fn erase(&self) {
        self.run("--erase iam-session");
    }

    fn run(&self, arguments: &str) -> Output {
        self.quietly(&format!("--dbpath {DATABASE} {arguments}"))
    }

    /// rpm, which must succeed and complain of nothing.
    pub(crate) fn quietly(&self, arguments: &str) -> Output {
        // --nodeps: the packages that it requires are there, but as this system's.
        let output = self.host.as_root().run(&format!("rpm --nodeps {arguments}")).successful();
        let usual =
            |line: &&str| OF_DEBIAN.iter().any(|text| line.starts_with(text)) || line.ends_with(SAVED);
        let complaints = output.stderr.lines().filter(|line| !usual(line));
        assert_eq!(complaints.collect::<Vec<_>>(), Vec::<&str>::new(), "rpm {arguments}");
        output
    }

    /// Name, mode, owner and size of each node key.
    pub(crate) fn keys(&self) -> String {
        self.host
            .as_root()
            .run("cd /etc/iam-session/keys.d && stat -c '%n %a %U %s' .[!.]* * 2>/dev/null")
            .stdout
    }
}
