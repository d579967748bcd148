//! What crosses from root in the host to the agent, and what does not.

use std::collections::BTreeSet;

use super::host::{ALICES_KEY, PAM_SUCCESS, on_a_host, warning};

#[test]
fn the_agent_is_the_user_and_nothing_else() {
    on_a_host(|host| {
        host.agent("say ready").run("alice", &["open", "end"]);
        let agent = host.the_agent();
        assert_eq!(agent.status("Uid"), "1000 1000 1000 1000");
        assert_eq!(agent.status("Gid"), "1000 1000 1000 1000");
        let groups: BTreeSet<_> = agent.status("Groups").split(' ').map(str::to_owned).collect();
        assert_eq!(groups, ["100", "1000", "2000"].map(str::to_owned).into());
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(agent.status(set), "0000000000000000", "{set}");
        }
    });
}

#[test]
fn the_agent_inherits_no_descriptor_signal_variable_directory_or_session() {
    on_a_host(|host| {
        let steps = ["leak=3", "leak=63", "leak=64", "leak=150", "leak=900", "signals", "open", "end"];
        let mut command = host.agent("say ready").command("sshd", "alice", &steps);
        command
            .env("LD_PRELOAD", "")
            .env("XDG_RUNTIME_DIR", "/run/user/1001")
            .env("HOME", "/tmp")
            .current_dir("/tmp");
        assert!(command.output().unwrap().status.success());
        let agent = host.the_agent();
        let fds = agent.text("fds");
        let mut fds: Vec<_> = fds.lines().collect();
        fds.sort_unstable();
        assert_eq!(fds.len(), 3, "{fds:?}");
        assert!(
            fds[0].starts_with("0 pipe:")
                && fds[1].starts_with("1 pipe:")
                && fds[2].starts_with("2 /run/pam_iam/"),
            "{fds:?}"
        );
        for set in ["SigBlk", "SigIgn", "SigCgt"] {
            assert_eq!(agent.status(set), "0000000000000000", "{set}");
        }
        assert_eq!(agent.text("environ"), "PATH=/usr/bin:/bin\0");
        assert_eq!(agent.text("cmdline"), "/usr/libexec/iam-session/agent\0");
        assert_eq!(agent.text("cwd"), "/");
        assert_eq!(agent.status("Umask"), "0077");
        assert_eq!(agent.text("session"), agent.pid().to_string());
    });
}

#[test]
fn the_agent_gets_the_message_of_the_protocol() {
    on_a_host(|host| {
        host.line("token_wait=2s hint=always");
        let said = host.agent("say ready").run("alice", &["open", "end"]);
        let message = host.the_agent().message();
        let id: String = message[12..28].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(said.environment()["IAM_SESSION_ID"], id);
        let key: String = message[46..78].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(key, ALICES_KEY);
        assert_eq!(&message[..12], b"IAMLOGIN\0\x01\0\x79");
        assert_eq!(&message[28..38], [0, 0, 0x03, 0xe8, 0, 0, 0x07, 0xd0, 2, 1]);
        assert_eq!(&message[38..46], [0x7c, 0x14, 0xc8, 0x67, 0x33, 0xfe, 0xd2, 0x89]);
        assert_eq!(&message[78..], b"\0\x05alice\0\x0b/home/alice\0\x15/run/iam-session/1000");
    });
}

#[test]
fn the_exported_paths_are_below_the_runtime_directory() {
    on_a_host(|host| {
        let said = host.agent("say ready").run("alice", &["open", "end"]);
        let environment = said.environment();
        let id = environment["IAM_SESSION_ID"];
        assert_eq!(environment["BEARER_TOKEN_FILE"], "/run/iam-session/1000/bt_u1000-iam");
        assert_eq!(environment["IAM_SESSION_SOCK"], format!("/run/iam-session/1000/iam-session/{id}.sock"));
        assert!(id.len() == 32 && environment.len() == 3, "{environment:?}");
    });
}

#[test]
fn the_host_gains_one_descriptor_and_loses_it_again() {
    on_a_host(|host| {
        let said = host.agent("say ready").run("alice", &["signals", "thread", "open", "close", "end"]);
        let changes = said.changes();
        let number = |text: &str| -> i32 { text.split(' ').next_back().unwrap().parse().unwrap() };
        // One more after open, one less after close; uid, groups, signals, mask, threads, environment, children: none.
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert!(changes.iter().all(|change| change.starts_with("descriptors ")), "{changes:?}");
        assert_eq!(number(changes[0]), number(changes[1]) + 1);
    });
}

#[test]
fn closed_standard_descriptors_in_the_host_are_no_trouble_and_stay_free() {
    on_a_host(|host| {
        let said = host.agent("say ready").run("alice", &["close-standard", "open", "close", "end"]);
        assert_eq!(said.codes("open"), [PAM_SUCCESS]);
        let agent = host.the_agent();
        assert_eq!(agent.text("fds").lines().count(), 3);
        assert!(agent.text("fds").contains("2 /run/pam_iam/"));
    });
}

#[test]
fn a_host_that_ignores_its_children_is_no_trouble() {
    on_a_host(|host| {
        let said = host.agent("say ready").run("alice", &["ignore-children", "open", "close", "end"]);
        assert_eq!((said.codes("open"), said.codes("close")), (vec![PAM_SUCCESS], vec![PAM_SUCCESS]));
        assert!(said.changes().iter().all(|change| change.starts_with("descriptors ")), "{said:?}");
    });
}

#[test]
fn without_node_keys_the_login_goes_on_with_one_line() {
    on_a_host(|host| {
        std::fs::remove_dir_all("/etc/iam-session").unwrap();
        let said = host.agent("say not-enrolled").run("alice", &["open", "end"]);
        assert_eq!(said.codes("open"), [PAM_SUCCESS]);
        assert_eq!(host.the_agent().message()[37], 0);
        let log = host.log();
        assert_eq!(
            log[0],
            warning("alice", "no usable node key in /etc/iam-session/keys.d: sealed enrolments stay locked")
        );
        assert!(log[1].starts_with("event=session_opened user=alice session="), "{log:?}");
    });
}
