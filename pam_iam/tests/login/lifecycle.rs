//! When a session ends, and who can end it.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::host::{PAM_PERM_DENIED, PAM_SUCCESS, on_a_host, wait_until};

#[test]
fn close_ends_the_agent_and_logs_one_line() {
    on_a_host(|host| {
        let running = host.agent("say ready").start("alice", &["open", "close", "wait", "end"]);
        let agent = host.the_agent();
        wait_until("the agent has seen the end", || agent.has_ended() && agent.is_gone());
        assert_eq!(agent.text("ended"), "Ok(0)");
        let said = running.finish();
        assert_eq!(said.codes("close"), [PAM_SUCCESS]);
        assert!(said.milliseconds("close") < 1000);
        let log = host.log();
        assert_eq!(log.len(), 2, "{log:?}");
        assert!(log[1].starts_with("event=session_closed user=alice session="), "{log:?}");
    });
}

#[test]
fn the_user_is_looked_up_once_at_open_and_nobody_at_close() {
    on_a_host(|host| {
        let opened = Watch::of(&["/etc/passwd", "/etc/group"]);
        let running = host.agent("say ready").start("alice", &["open", "wait", "close", "end"]);
        host.the_agent();
        // One look-up of the user, by the host; one of the groups, by the child.
        assert_eq!(opened.count(), 2);
        running.finish();
        assert_eq!(opened.count(), 0);
    });
}

/// Counts how often files are opened.
struct Watch(Inotify);

impl Watch {
    fn of(files: &[&str]) -> Self {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
        for file in files {
            // With the closing between them, two openings are not reported as one (inotify(7)).
            inotify.add_watch(*file, AddWatchFlags::IN_OPEN | AddWatchFlags::IN_CLOSE).unwrap();
        }
        Self(inotify)
    }

    /// Since it was last asked.
    fn count(&self) -> usize {
        let events = self.0.read_events().unwrap_or_default();
        events.iter().filter(|event| event.mask.contains(AddWatchFlags::IN_OPEN)).count()
    }
}

#[test]
fn a_host_that_never_closes_ends_the_agent_with_pam_end() {
    on_a_host(|host| {
        let running = host.agent("say ready").start("alice", &["open", "end", "wait"]);
        let agent = host.the_agent();
        wait_until("the agent has seen the end", || agent.has_ended());
        running.finish();
        assert!(host.log()[1].starts_with("event=session_closed user=alice session="));
    });
}

#[test]
fn a_host_that_is_killed_ends_the_agent() {
    on_a_host(|host| {
        let running = host.agent("say ready").start("alice", &["open", "wait"]);
        let agent = host.the_agent();
        assert!(!agent.has_ended());
        running.kill();
        wait_until("the agent has seen the end", || agent.has_ended());
    });
}

#[test]
fn hooks_in_a_forked_child_do_not_touch_the_session() {
    on_a_host(|host| {
        let steps = ["open", "in-child=close", "in-child=end", "wait", "close", "end"];
        let running = host.agent("say ready").start("alice", &steps);
        let agent = host.the_agent();
        assert!(!agent.has_ended());
        assert_eq!(host.log().len(), 1);
        running.finish();
        wait_until("the agent has seen the end", || agent.has_ended());
        assert!(host.log()[0].starts_with("event=session_closed user=alice session="));
    });
}

#[test]
fn a_child_of_the_host_that_opens_gets_a_session_of_its_own() {
    on_a_host(|host| {
        let running =
            host.agent("say ready").start("alice", &["open", "in-child=open", "wait", "close", "end"]);
        wait_until("the child's agent has ended with it", || {
            host.agents().iter().filter(|agent| agent.has_ended()).count() == 1
        });
        assert_eq!(host.agents().len(), 2);
        running.finish();
        wait_until("both have ended", || host.agents().iter().all(|agent| agent.has_ended()));
    });
}

#[test]
fn a_second_open_of_a_live_session_does_nothing() {
    on_a_host(|host| {
        let said = host.agent("say ready").run("alice", &["open", "open", "close", "close", "end"]);
        assert_eq!((said.codes("open"), said.codes("close")), (vec![PAM_SUCCESS; 2], vec![PAM_SUCCESS; 2]));
        assert_eq!((host.agents().len(), host.log().len()), (1, 2));
    });
}

#[test]
fn an_open_for_another_user_replaces_the_session() {
    on_a_host(|host| {
        let running =
            host.agent("say ready").start("alice", &["open", "user=bob", "open", "wait", "close", "end"]);
        wait_until("alice's agent has ended", || {
            host.agents().iter().filter(|agent| agent.has_ended()).count() == 1
        });
        let said = running.finish();
        assert_eq!(said.environment()["BEARER_TOKEN_FILE"], "/run/iam-session/1001/bt_u1001-iam");
    });
}

#[test]
fn the_variables_of_a_session_do_not_outlive_it() {
    on_a_host(|host| {
        // Whom nobody serves finds nothing of who was there before, whether or not that session was closed.
        for steps in [
            &["open", "close", "user=root", "open", "end"][..],
            &["open", "user=root", "open", "end"],
            &["open", "user=nobody-of-that-name", "open", "end"],
        ] {
            let said = host.agent("say ready").run("alice", steps);
            assert_eq!(said.codes("open")[0], PAM_SUCCESS);
            assert!(!said.environment().is_empty(), "alice had a session");
            assert!(said.last_environment().is_empty(), "{steps:?}: {:?}", said.last_environment());
        }
        wait_until("the agents have ended", || host.agents().iter().all(|agent| agent.has_ended()));
    });
}

#[test]
fn an_open_after_the_agent_has_died_starts_another() {
    on_a_host(|host| {
        let running = host.agent("say ready; exit").start("alice", &["open", "wait", "open", "close", "end"]);
        let agent = host.the_agent();
        wait_until("the first agent is dead", || agent.is_gone());
        let said = running.finish();
        assert_eq!(said.codes("open"), [PAM_SUCCESS; 2]);
        assert_eq!(host.agents().len(), 2);
    });
}

#[test]
fn close_without_open_and_the_other_hooks_do_nothing() {
    on_a_host(|host| {
        let steps = ["close", "authenticate", "acct_mgmt", "setcred", "chauthtok", "close", "end"];
        let said = host.run("alice", &steps);
        assert_eq!(said.codes("close"), [PAM_SUCCESS; 2]);
        for ignored in ["authenticate", "acct_mgmt", "setcred", "chauthtok"] {
            // A stack in which every module says PAM_IGNORE is refused as a whole.
            assert_eq!(said.codes(ignored), [PAM_PERM_DENIED], "{ignored}");
        }
        assert_eq!((host.agents().len(), host.log().len(), said.changes().len()), (0, 0, 0));
    });
}

#[test]
fn many_cycles_leave_nothing_behind() {
    on_a_host(|host| {
        let said = host
            .agent("say ready")
            .run("alice", &["open", "close", "in-child=cycles=1", "cycles=50", "open", "close", "end"]);
        assert_eq!(said.codes("cycles=50"), [PAM_SUCCESS]);
        let numbers: Vec<_> =
            said.changes().into_iter().filter_map(|change| change.split("-> ").nth(1)).collect();
        assert_eq!(numbers[0], numbers[2], "descriptors after the first and the last open");
        assert_eq!(said.changes().iter().filter(|change| !change.starts_with("descriptors")).count(), 0);
        wait_until("all agents have ended", || host.agents().iter().all(|agent| agent.is_gone()));
        assert_eq!(host.agents().len(), 53);
    });
}
