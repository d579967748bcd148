//! What the module writes down of a session for the administrator.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use nix::mount::umount;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::host::{AGENT, Host, PAM_SESSION_ERR, PAM_SUCCESS, on_a_host, wait_until};
use super::outcome::{Given, links};

const RECORDS: &str = "/run/pam_iam";

fn records() -> Vec<String> {
    let entries = fs::read_dir(RECORDS).map(|entries| entries.map(|entry| entry.unwrap().path()));
    entries.map(|paths| paths.map(|path| path.to_str().unwrap().to_owned()).collect()).unwrap_or_default()
}

fn fields(text: &str) -> BTreeMap<&str, &str> {
    text.lines().map(|line| line.split_once('=').unwrap()).collect()
}

fn descriptor_2(pid: i32) -> String {
    links(pid).into_iter().find(|(number, _)| number == "2").unwrap().1
}

/// The login goes on, and the log says that there is no record.
fn expect_none(host: &Host) {
    let said = host.agent("say ready").run("alice", &["open", "end"]);
    assert_eq!((said.codes("open"), said.environment().len()), (vec![PAM_SUCCESS], 3));
    let log = host.log();
    assert!(log.iter().any(|line| line.contains(" has no record: ")), "{log:?}");
    wait_until("all agents have ended", || host.agents().iter().all(Given::is_gone));
    assert!(host.agents().iter().any(|agent| agent.text("fds").contains("2 /dev/null")));
}

#[test]
fn the_agent_holds_the_record_of_its_session() {
    on_a_host(|host| {
        let steps = ["rhost=host.example.org", "open", "wait", "close", "end"];
        let running = host.agent("say ready").start("alice", &steps);
        let agent = host.the_agent();
        let paths = records();
        assert_eq!(paths, [descriptor_2(agent.pid())]);
        let record = fs::read_to_string(&paths[0]).unwrap();
        let fields = fields(&record);
        assert_eq!(fields["session"], paths[0].rsplit('/').next().unwrap());
        assert_eq!((fields["user"], fields["uid"], fields["service"]), ("alice", "1000", "sshd"));
        assert_eq!((fields["version"], fields["remote"]), ("1", "host.example.org"));
        assert_eq!(fields["agent"], agent.pid().to_string());
        assert!(!fields.contains_key("closed"));
        let mode =
            |path: &str| (fs::metadata(path).unwrap().uid(), fs::metadata(path).unwrap().mode() & 0o7777);
        assert_eq!((mode(&paths[0]), mode(RECORDS)), ((0, 0o600), (0, 0o700)));
        let info = fs::read_to_string(format!("/proc/{}/fdinfo/2", agent.pid())).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        assert_eq!(i32::from_str_radix(flags, 8).unwrap() & libc::O_ACCMODE, libc::O_RDONLY);
        running.finish();
    });
}

#[test]
fn a_child_that_is_stopped_before_its_exec_is_the_users_in_a_record_that_is_complete() {
    on_a_host(|host| {
        host.line("start_wait=150ms");
        let running = host.agent("say ready").start_stopped("alice", &["open", "wait", "end"]);
        let paths = records();
        assert_eq!(paths.len(), 1);
        let record = fs::read_to_string(&paths[0]).unwrap();
        let pid: i32 = fields(&record)["agent"].parse().unwrap();
        let of = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
        let status = of("status");
        for line in ["State:\tT", "Uid:\t1000\t1000\t1000\t1000\n"] {
            assert!(status.contains(line), "{line} is not in {status}");
        }
        // All but SIGKILL and SIGSTOP, and the two that glibc keeps for itself.
        assert!(status.contains("SigBlk:\tfffffffe7ffbfeff\n"), "{status}");
        let limits = of("limits");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["1", "1"]);
        assert_ne!(fs::read_link(format!("/proc/{pid}/exe")).unwrap().to_str().unwrap(), AGENT);
        assert_eq!(descriptor_2(pid), paths[0]);
        kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
        let agent = host.the_agent();
        assert_eq!((agent.pid(), agent.status("SigBlk")), (pid, "0".repeat(16)));
        assert_eq!(descriptor_2(pid), paths[0]);
        running.finish();
    });
}

#[test]
fn a_record_stays_while_its_agent_lives_and_goes_at_the_next_login() {
    on_a_host(|host| {
        // As an agent that lingers, or the mint of one: alive after the login.
        let ended = host.agent("say ready; stop").start("alice", &["open", "close", "wait", "end"]);
        let agent = host.the_agent();
        let first = descriptor_2(agent.pid());
        ended.finish();
        // The login's end is told, and nothing else of it is lost.
        let record = fs::read_to_string(&first).unwrap();
        assert_eq!((fields(&record)["closed"], fields(&record)["agent"]), ("1", &*agent.pid().to_string()));
        host.agent("say ready").run("bob", &["open", "close", "end"]);
        assert!(records().contains(&first));
        kill(Pid::from_raw(agent.pid()), Signal::SIGKILL).unwrap();
        wait_until("all agents have ended", || host.agents().iter().all(Given::is_gone));
        let next = host.start("bob", &["open", "wait", "close", "end"]);
        let left = records();
        assert!(left.len() == 1 && left[0] != first, "{left:?}");
        next.finish();
    });
}

#[test]
fn a_hundred_sessions_leave_the_last_few_records_and_the_next_login_none_of_them() {
    on_a_host(|host| {
        host.agent("say ready").run("alice", &["cycles=100", "end"]);
        wait_until("all agents have ended", || host.agents().iter().all(Given::is_gone));
        let left = records();
        // An agent ends after the next login of the loop has begun.
        assert!(left.len() < 16, "{left:?}");
        let running = host.start("alice", &["open", "wait", "end"]);
        assert!(left.iter().all(|path| !records().contains(path)) && records().len() == 1);
        running.finish();
    });
}

#[test]
fn a_login_without_an_agent_leaves_no_record() {
    on_a_host(|host| {
        for script in ["say failed runtime; exit", "exit", "say nonsense"] {
            let said = host.agent(script).run("alice", &["open", "end"]);
            assert_eq!((said.codes("open"), records()), (vec![PAM_SESSION_ERR], vec![]), "{script}");
        }
        host.line("groups=atlas");
        assert_eq!(host.run("alice", &["open", "end"]).codes("open"), [PAM_SUCCESS]);
        assert_eq!(records(), [""; 0]);
        host.line("");
        assert_eq!(host.run("alice", &["processes=0", "open", "end"]).codes("open"), [PAM_SESSION_ERR]);
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
fn users_who_fill_their_file_system_take_nobodys_record() {
    on_a_host(|host| {
        umount("/run/iam-session").unwrap();
        host.tmpfs("/run/iam-session", "mode=0711,size=64k");
        fs::write("/run/iam-session/full", vec![0; 1 << 20]).unwrap_err();
        let logind = host.logind(1001, 0o700);
        let steps = [&format!("env=XDG_RUNTIME_DIR={logind}"), "open", "wait", "end"];
        let running = host.agent("say ready").start("bob", &steps);
        let record = fs::read_to_string(&records()[0]).unwrap();
        assert_eq!(fields(&record)["agent"], host.the_agent().pid().to_string());
        running.finish();
    });
}

#[test]
fn no_umask_of_the_hosts_changes_who_can_see_a_record() {
    on_a_host(|host| {
        for umask in ["umask=0", "umask=63", "umask=511"] {
            let _ = fs::remove_dir_all(RECORDS);
            fs::remove_dir_all("/run/iam-session/1000").unwrap_or_default();
            let said = host.agent("say ready").run("alice", &[umask, "open", "wait", "end"]);
            assert_eq!(said.codes("open"), [PAM_SUCCESS]);
            let mode = |path: &str| fs::metadata(path).unwrap().mode() & 0o7777;
            assert_eq!((mode(RECORDS), mode(&records()[0])), (0o700, 0o600), "{umask}");
            assert_eq!(mode("/run/iam-session/1000"), 0o700, "{umask}");
        }
    });
}

#[test]
fn a_place_that_is_not_roots_gets_no_record_and_holds_no_login_up() {
    on_a_host(|host| {
        fs::create_dir("/run/elsewhere").unwrap();
        symlink("/run/elsewhere", RECORDS).unwrap();
        expect_none(host);
        assert_eq!(fs::read_dir("/run/elsewhere").unwrap().count(), 0);
        fs::remove_file(RECORDS).unwrap();
        fs::create_dir(RECORDS).unwrap();
        fs::set_permissions(RECORDS, Permissions::from_mode(0o770)).unwrap();
        expect_none(host);
        fs::remove_dir(RECORDS).unwrap();
        fs::write(RECORDS, "").unwrap();
        expect_none(host);
    });
}

#[test]
fn a_host_that_may_write_no_file_lives_and_logs_that_there_is_no_record() {
    on_a_host(|host| {
        for steps in [["file-size=0", "open", "close", "end"], ["open", "file-size=0", "close", "end"]] {
            let said = host.agent("say ready").run("alice", &steps);
            // It has come to its end; its agent, which has the same limit, need not.
            assert_eq!(said.codes("end"), [PAM_SUCCESS]);
        }
        let log = host.log();
        let without = log.iter().filter(|line| line.contains(" has no record: ")).count();
        assert_eq!(without, 1, "{log:?}");
    });
}
