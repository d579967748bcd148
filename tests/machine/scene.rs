//! What the rows have in common: the guest with the package, a provider beside it, and users who have enrolled there.
//! Starts processes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use serde_json::json;
use support::{Enrolling, Host, Login, Provider, package};

use crate::guest::{Boot, Guest};

/// The administrator's name for the provider.
const PROVIDER: &str = "test";
const CA_FILE: &str = "/etc/iam-session/test.pem";

/// A guest, and a provider on the host, which outlives the guest's boots.
pub(crate) struct Scene<'h> {
    pub(crate) guest: Guest<'h>,
    pub(crate) provider: &'h Provider,
}

impl<'h> Scene<'h> {
    /// Boots a machine on which nothing of ours is.
    pub(crate) fn boot(host: &'h Host, provider: &'h Provider, boot: Boot) -> Self {
        Self { guest: Guest::boot(host.sandbox(), boot), provider }
    }

    /// As an administrator does it, by docs/admin.md.
    pub(crate) fn install(&self, host: &Host) {
        let deb = package::package("", "iam-session_", ".deb");
        self.guest.write("/var/tmp/1.deb", &std::fs::read(deb).unwrap());
        self.guest.does("apt-get install -qqy /var/tmp/1.deb");
        self.guest.write(CA_FILE, host.read("/etc/iam-session/iam.example.pem").as_bytes());
        let file = format!("issuer = \"{}\"\nca_file = \"{CA_FILE}\"\n", support::ISSUER);
        self.guest.write(&format!("/etc/iam-session/issuers.d/{PROVIDER}.toml"), file.as_bytes());
        let site = format!("default_provider = \"{PROVIDER}\"\n");
        self.guest.write("/etc/iam-session/config.d/10-site.toml", site.as_bytes());
        self.guest.does("iam-session-admin enable --yes");
        let check = self.guest.does("iam-session-admin check");
        assert!(check.contains("nothing is wrong"), "{check}");
        let mount = self.guest.does("findmnt -no FSTYPE /run/iam-session");
        assert_eq!(mount.trim(), "tmpfs");
    }

    /// A user enrols, and approves it in a browser.
    pub(crate) fn enrol(&self, user: &str) {
        self.approved(user, &format!("enroll --json {PROVIDER}"));
    }

    /// The same once more, when the grant has ended.
    pub(crate) fn enrol_again(&self, user: &str) {
        self.approved(user, &format!("reenroll --json {PROVIDER}"));
    }

    fn approved(&self, user: &str, command: &str) {
        self.provider.set(json!({"device_interval": 1}));
        let mut enrolling = Enrolling::by(self.guest.client(user, &[]), command);
        let code = enrolling.event("device_code");
        self.provider.approve(code["user_code"].as_str().unwrap(), user);
        enrolling.event("enrolled");
        assert_eq!(enrolling.status(), Some(0));
        self.wait_for_end_of_logins(user);
    }

    /// Logs in, and the token in the file must be good.
    pub(crate) fn login_with_token(&self, user: &str) -> Login {
        let login = self.guest.login(user);
        assert!(login.env("BEARER_TOKEN_FILE").is_some(), "no BEARER_TOKEN_FILE; the log: {}", self.log());
        self.wait_for_token(&login);
        login
    }

    /// Waits until the token in a login's file is good.
    pub(crate) fn wait_for_token(&self, login: &Login) {
        let file = token_file(login);
        support::wait::until("a good token in the file", || {
            let read = login.run(&format!("cat {file}"));
            read.status == 0 && self.provider.accepts(&read.stdout)
        });
    }

    /// All that logind keeps of a user, with /run/user/UID, and all of ours.
    pub(crate) fn wait_for_end_of_logins(&self, user: &str) {
        self.guest.wait_until("the end of the agents", &format!("! pgrep -u {user} -x agent"));
        self.guest.wait_until("the end of /run/user/UID", &format!("! test -e /run/user/$(id -u {user})"));
    }

    /// How often the provider was asked for a token since `before`.
    pub(crate) fn refreshes_since(&self, before: u64) -> u64 {
        self.provider.count("refresh") - before
    }

    /// What the journal has of us since this boot and mark.
    pub(crate) fn log(&self) -> String {
        self.guest.does("journalctl -b -q -o cat -t pam_iam -t iam-session -t sshd | grep event=; true")
    }
}

/// Looks, and cleans up whatever came of it.
pub(crate) fn then_always(look: impl FnOnce(), clean_up: impl FnOnce()) {
    let outcome = catch_unwind(AssertUnwindSafe(look));
    clean_up();
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// The path of the token file.
pub(crate) fn token_file(login: &Login) -> String {
    login.env("BEARER_TOKEN_FILE").expect("no BEARER_TOKEN_FILE")
}
