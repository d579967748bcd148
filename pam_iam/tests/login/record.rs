//! What the module writes down of a session for the administrator.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use nix::mount::umount;

use super::host::{Host, PAM_SUCCESS, on_a_host};

const SESSIONS: &str = "/run/iam-session/sessions";

fn records() -> Vec<String> {
    let entries = fs::read_dir(SESSIONS).map(|entries| entries.map(|entry| entry.unwrap().path()));
    entries.map(|paths| paths.map(|path| path.to_str().unwrap().to_owned()).collect()).unwrap_or_default()
}

fn fields(text: &str) -> BTreeMap<&str, &str> {
    text.lines().map(|line| line.split_once('=').unwrap()).collect()
}

/// The login goes on, and the log says that there is no record.
fn expect_none(host: &Host) {
    let said = host.agent("say ready").run("alice", &["open", "end"]);
    assert_eq!((said.codes("open"), said.environment().len()), (vec![PAM_SUCCESS], 3));
    let log = host.log();
    assert!(log.iter().any(|line| line.contains(" has no record: ")), "{log:?}");
}

#[test]
fn a_session_is_written_down_until_it_is_closed() {
    on_a_host(|host| {
        let steps = ["rhost=host.example.org", "open", "wait", "close", "end"];
        let running = host.agent("say ready").start("alice", &steps);
        let agent = host.the_agent();
        let paths = records();
        assert_eq!(paths.len(), 1);
        let record = fs::read_to_string(&paths[0]).unwrap();
        let fields = fields(&record);
        assert_eq!(fields["session"], paths[0].rsplit('/').next().unwrap());
        assert_eq!((fields["user"], fields["uid"], fields["service"]), ("alice", "1000", "sshd"));
        assert_eq!((fields["version"], fields["remote"]), ("1", "host.example.org"));
        assert_eq!(fields["agent"], agent.pid().to_string());
        let stat = fs::read_to_string(format!("/proc/{}/stat", agent.pid())).unwrap();
        assert_eq!(
            fields["agent_start"],
            stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap()
        );
        let mode =
            |path: &str| (fs::metadata(path).unwrap().uid(), fs::metadata(path).unwrap().mode() & 0o7777);
        assert_eq!((mode(&paths[0]), mode(SESSIONS)), ((0, 0o600), (0, 0o700)));
        running.finish();
        assert_eq!(records(), [""; 0]);
    });
}

#[test]
fn a_hundred_sessions_leave_no_record() {
    on_a_host(|host| {
        host.agent("say ready").run("alice", &["cycles=100", "end"]);
        assert_eq!(records(), [""; 0]);
    });
}

#[test]
fn a_remote_host_cannot_forge_a_line() {
    on_a_host(|host| {
        let running = host.agent("say ready").start("alice", &["rhost=x\nuid=0", "open", "wait", "end"]);
        let record = fs::read_to_string(&records()[0]).unwrap();
        assert_eq!((fields(&record)["remote"], fields(&record)["uid"]), ("x%0auid=0", "1000"));
        running.finish();
    });
}

#[test]
fn no_mount_is_needed_where_the_user_has_a_runtime_directory() {
    on_a_host(|host| {
        let logind = host.logind(1000, 0o700);
        umount("/run/iam-session").unwrap();
        fs::remove_dir("/run/iam-session").unwrap();
        let steps = [&format!("env=XDG_RUNTIME_DIR={logind}"), "umask=511", "open", "wait", "close", "end"];
        let running = host.agent("say ready").start("alice", &steps);
        assert_eq!(records().len(), 1);
        assert_eq!(fs::metadata("/run/iam-session").unwrap().mode() & 0o7777, 0o711);
        running.finish();
        assert_eq!(records(), [""; 0]);
    });
}

#[test]
fn a_place_that_is_not_roots_gets_no_record_and_holds_no_login_up() {
    on_a_host(|host| {
        fs::create_dir("/run/elsewhere").unwrap();
        symlink("/run/elsewhere", SESSIONS).unwrap();
        expect_none(host);
        assert_eq!(fs::read_dir("/run/elsewhere").unwrap().count(), 0);
        fs::remove_file(SESSIONS).unwrap();
        fs::create_dir(SESSIONS).unwrap();
        fs::set_permissions(SESSIONS, Permissions::from_mode(0o770)).unwrap();
        expect_none(host);
        fs::remove_dir(SESSIONS).unwrap();
        fs::write(SESSIONS, "").unwrap();
        expect_none(host);
    });
}
