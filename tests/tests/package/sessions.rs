//! Installing, upgrading, downgrading and removing while users are logged in (promise 9).

use support::{Host, Login, Process, Provider};

use crate::machine::{Machine, Release};

/// A node with the first release, whose user has enrolled.
struct Scene {
    provider: Provider,
    machine: Machine,
}

impl Scene {
    fn new() -> Self {
        let machine = Machine::installed();
        let provider = Provider::start(&machine.host);
        machine.host.enroll(&provider, "alice");
        machine.host.wait_until("the end of the enrolment's login", || agents(&machine.host).is_empty());
        Self { provider, machine }
    }

    fn has_token(&self, login: &Login) -> bool {
        let file = login.env("BEARER_TOKEN_FILE").expect("a token file");
        self.provider.accepts(&login.read(&file))
    }

    /// Another token than that of the file, which only an agent that works can have.
    fn gets_another_token(&self, login: &Login) -> bool {
        self.provider.accepts(&login.run("iam-session token -s storage.read:/cms").successful().stdout)
    }

    fn end(&self, logins: impl IntoIterator<Item = Login>) {
        let mut files = Vec::new();
        for login in logins {
            files.extend(login.env("BEARER_TOKEN_FILE"));
            login.close();
        }
        let host = &self.machine.host;
        host.wait_until("the end of the agents", || agents(host).is_empty());
        files.iter().for_each(|file| host.wait_until_gone(file));
    }
}

/// Of all releases: the program of one that was replaced or removed has no path any more.
fn agents(host: &Host) -> Vec<Process> {
    let program = |process: &Process| process.executable.clone().unwrap_or_default();
    let agent =
        |process: &Process| program(process).to_string_lossy().starts_with("/usr/libexec/iam-session/agent");
    host.processes_of("alice").into_iter().filter(agent).collect()
}

/// The line of the mount on /run/iam-session, with its number.
fn mount(host: &Host) -> String {
    host.as_root().run("grep ' /run/iam-session ' /proc/self/mountinfo").stdout
}

/// A login before a change of the package and one after it, which both work until they end.
fn replace(scene: &Scene, how: &str, release: Release) {
    let host = &scene.machine.host;
    let (keys, mounted) = (scene.machine.keys(), mount(host));
    let before = host.login("alice");
    assert!(scene.has_token(&before));
    scene.machine.rpm(how, release);
    assert_eq!(host.agents_of("alice"), [], "the agent of before runs the new program");
    assert!(scene.has_token(&before) && scene.gets_another_token(&before), "{how} {release:?}");
    let after = host.login("alice");
    assert_eq!(host.agents_of("alice").len(), 1, "the next login gets the agent that is installed");
    assert!(scene.has_token(&after) && scene.gets_another_token(&after), "{how} {release:?}");
    assert_eq!((scene.machine.keys(), mount(host)), (keys, mounted));
    scene.end([before, after]);
}

#[test]
fn sessions_outlive_an_upgrade_and_a_downgrade_and_the_next_login_gets_the_new_agent() {
    let scene = Scene::new();
    replace(&scene, "--upgrade", Release::Second);
    replace(&scene, "--upgrade --oldpackage", Release::First);
    replace(&scene, "--reinstall", Release::First);
}

#[test]
fn sessions_outlive_the_removal_and_enrolments_come_back_with_the_package() {
    let scene = Scene::new();
    let host = &scene.machine.host;
    let (keys, mounted) = (scene.machine.keys(), mount(host));
    let before = host.login("alice");
    scene.machine.erase();
    assert!(!host.exists("/usr/libexec/iam-session/agent") && !host.exists("/usr/lib64/security/pam_iam.so"));
    assert!(scene.has_token(&before), "removal takes no token away");
    assert_eq!(mount(host), mounted, "nor what an agent stands on");

    // The PAM line is still there, and is passed over.
    let without = host.login("alice");
    assert_eq!((without.env("BEARER_TOKEN_FILE"), without.greeting()), (None, ""));
    assert_eq!(host.ssh("alice", "id -un").successful().stdout, "alice\n");
    without.close();
    scene.end([before]);
    assert_eq!(scene.machine.keys(), keys, "a key that is lost is every enrolment");

    scene.machine.rpm("--install", Release::Second);
    assert_eq!(scene.machine.keys(), keys);
    let again = host.login("alice");
    assert!(scene.has_token(&again), "enrolled as before");
    scene.end([again]);
}

#[test]
fn without_anybody_logged_in_a_removal_leaves_keys_and_what_the_site_changed() {
    let machine = Machine::installed();
    let host = &machine.host;
    host.write("/etc/iam-session/config.toml", "linger = \"no\"\n", 0o644);
    let keys = machine.keys();
    machine.rpm("--upgrade", Release::Second);
    assert_eq!(host.read("/etc/iam-session/config.toml"), "linger = \"no\"\n");
    machine.erase();
    assert_eq!(mount(host), "", "nobody needs it");
    assert_eq!(machine.keys(), keys);
    let left = host.as_root().run("find /etc/iam-session -type f | sort").stdout;
    assert!(left.lines().any(|path| path.starts_with("/etc/iam-session/config.toml.rpmsave")), "{left}");
    assert_eq!(left.lines().count(), 2, "{left}");
}
