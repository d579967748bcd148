//! Every way in which a login ends, and at every moment: what is left is nothing (promise 6).

use std::time::Duration;

use serde_json::json;
use support::{Host, Login, Process, wait};

use crate::scene::{Scene, is_deserted, left_behind, token_file};

/// Promised are 2 s after the end of the lifeline; this is for a loaded machine, and for sshd to notice.
const CEILING: Duration = Duration::from_secs(10);

/// Who ends it, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Logout,
    Client(&'static str),
    Monitor(&'static str),
    UsersSshd(&'static str),
}

const ENDS: [End; 7] = [
    End::Logout,
    End::Client("TERM"),
    End::Client("KILL"),
    End::UsersSshd("TERM"),
    End::UsersSshd("KILL"),
    End::Monitor("TERM"),
    End::Monitor("KILL"),
];

impl End {
    fn happens(self, host: &Host, login: Login) {
        match self {
            Self::Logout => login.close(),
            Self::Client(signal) => host.kill(signal, &client(host)),
            Self::UsersSshd(signal) => host.kill(signal, &users_sshd(host)),
            Self::Monitor("KILL") => {
                host.kill("KILL", &host.monitor_of("alice").unwrap());
                // Nobody has noticed: sshd's process of the user holds the connection, and the lifeline.
                assert_eq!(login.run("echo here").stdout, "here\n");
                assert_eq!(host.agents_of("alice").len(), 1);
                host.kill("KILL", &client(host));
            }
            Self::Monitor(signal) => host.kill(signal, &host.monitor_of("alice").unwrap()),
        }
    }
}

/// The ssh client of the one login.
fn client(host: &Host) -> Process {
    let is_client = |process: &Process| process.command.starts_with("ssh -F");
    host.processes().into_iter().find(is_client).expect("no ssh client")
}

/// sshd's process of the user.
fn users_sshd(host: &Host) -> Process {
    let is_it = |process: &Process| process.command.starts_with("sshd: alice@");
    host.processes_of("alice").into_iter().find(is_it).expect("no sshd of alice's")
}

fn scene(plan: support::Plan) -> Scene {
    let scene = Scene::of(plan);
    scene.host.enroll(&scene.provider, "alice");
    scene.host.wait_until("the end of the enrolment's login", || is_deserted(&scene.host));
    scene
}

/// Waits for the end of the only agent, and of the token.
fn no_agent_and_no_token(host: &Host, what: &str) {
    let gone = || is_deserted(host) && !host.exists("/run/iam-session/20001/bt_u20001-iam");
    wait::within(CEILING, &format!("the end of agent and token after {what}"), gone);
}

/// A mint whose issuer does not answer would be there for a minute.
fn kill_mints(host: &Host) {
    host.as_user("alice").run("pkill -KILL -f '^/usr/libexec/iam-session/agent mint'; pkill -KILL -x helper");
}

#[test]
fn however_a_login_ends_nothing_is_left_of_it() {
    let scene = scene(Host::plan());
    for end in ENDS {
        let login = scene.host.login("alice");
        assert!(scene.provider.accepts(&login.read(&token_file(&login))), "before {end:?}");
        end.happens(&scene.host, login);
        no_agent_and_no_token(&scene.host, &format!("{end:?}"));
        scene.host.wait_until("the end of alice's processes", || scene.host.processes_of("alice").is_empty());
        assert_eq!(left_behind(&scene.host), "", "after {end:?}");
    }
    assert_eq!(scene.provider.count("refresh"), 1);
}

#[test]
fn however_a_login_ends_the_client_that_waits_for_the_issuer_does_not_keep_the_agent() {
    let scene = scene(Host::plan().site("linger = \"no\""));
    scene.provider.fail_with(json!({"fault": "hang", "at": ["refresh"]}));
    for (number, end) in ENDS.into_iter().enumerate() {
        let login = scene.host.login("alice");
        let refreshes = scene.provider.count("refresh");
        login.run(&format!("iam-session token -s storage.read:/{number} >/dev/null 2>&1 &"));
        scene.host.wait_until("the request", || scene.provider.count("refresh") > refreshes);
        end.happens(&scene.host, login);
        no_agent_and_no_token(&scene.host, &format!("{end:?}"));
        kill_mints(&scene.host);
        scene.host.wait_until("the end of the mint", || scene.host.processes_of("alice").is_empty());
    }
}

#[test]
fn a_terminal_that_goes_takes_the_waiting_client_and_the_agent_along() {
    let scene = scene(Host::plan());
    scene.provider.fail_with(json!({"fault": "hang", "at": ["refresh"]}));
    let login = scene.host.login_on_terminal("alice");
    login.run("iam-session token -s storage.read:/x >/dev/null 2>&1 &");
    scene.host.wait_until("the request", || scene.provider.count("refresh") == 2);
    scene.host.kill("KILL", &client(&scene.host));
    no_agent_and_no_token(&scene.host, "the end of the terminal");
}

#[test]
fn however_a_login_ends_a_rotation_under_way_is_kept() {
    let scene = scene(Host::plan().site("linger = \"no\""));
    scene.provider.set(json!({"rotate": true}));
    scene.provider.fail_with(json!({"fault": "slow", "milliseconds": 1000, "at": ["refresh"]}));
    let mut outlived = 0;
    for (number, end) in ENDS.into_iter().enumerate() {
        let login = scene.host.login("alice");
        let refreshes = scene.provider.count("refresh");
        login.run(&format!("iam-session token -s storage.read:/{number} >/dev/null 2>&1 &"));
        scene.host.wait_until("the rotation", || scene.provider.count("refresh") > refreshes);
        end.happens(&scene.host, login);
        no_agent_and_no_token(&scene.host, &format!("{end:?}"));
        outlived +=
            usize::from(scene.host.processes_of("alice").iter().any(|p| p.command.ends_with(" mint")));
        scene.host.wait_until("the end of the mint", || scene.host.processes_of("alice").is_empty());
        // It wrote the store and nothing else.
        assert_eq!(left_behind(&scene.host), "", "after {end:?}");
    }
    assert!(outlived > 0, "no mint outlived its login: this has tested nothing");
    scene.provider.heal();
    let login = scene.host.login("alice");
    login.run("iam-session token -s storage.read:/after").successful();
    assert_eq!(scene.provider.count("reuse"), 0);
}

#[test]
fn a_client_that_has_stopped_loses_its_agent_when_sshd_gives_it_up() {
    let scene = scene(Host::plan().sshd_line("ClientAliveInterval 1").sshd_line("ClientAliveCountMax 1"));
    let login = scene.host.login("alice");
    let client = client(&scene.host);
    scene.host.kill("STOP", &client);
    no_agent_and_no_token(&scene.host, "sshd has given up the client");
    scene.host.kill("KILL", &client);
    drop(login);
}

#[test]
fn what_a_killed_agent_leaves_goes_with_the_next_one() {
    let scene = scene(Host::plan().site("linger = \"no\""));
    let host = &scene.host;
    for moment in ["idle", "waiting", "rotating"] {
        let login = host.login("alice");
        let refreshes = scene.provider.count("refresh");
        match moment {
            "waiting" => scene.provider.fail_with(json!({"fault": "hang", "at": ["refresh"]})),
            "rotating" => {
                scene.provider.set(json!({"rotate": true}));
                scene.provider.fail_with(json!({"fault": "slow", "milliseconds": 500, "at": ["refresh"]}));
            }
            _ => {}
        }
        if moment != "idle" {
            login.run(&format!("iam-session token -s storage.read:/{moment} >/dev/null 2>&1 &"));
            host.wait_until("the request", || scene.provider.count("refresh") > refreshes);
        }
        host.kill("KILL", &host.agents_of("alice")[0]);
        let dead = login.env("IAM_SESSION_SOCK").unwrap();
        // Its locks go last, and until then the cache answers for it.
        host.wait_until("the end of the agent", || login.run("iam-session token").status == 4);
        // The login itself is none the worse.
        assert_eq!(login.run("echo here").stdout, "here\n");
        if moment == "waiting" {
            kill_mints(host);
        }
        scene.provider.heal();
        let next = host.login("alice");
        assert!(!host.exists(&dead), "{moment}");
        assert!(scene.provider.accepts(&next.read(&token_file(&next))), "{moment}");
        next.run(&format!("iam-session token -s storage.read:/after-{moment}")).successful();
        next.close();
        login.close();
        host.wait_until("the end of alice's processes", || host.processes_of("alice").is_empty());
        assert_eq!(left_behind(host), "", "{moment}");
    }
    assert_eq!(scene.provider.count("reuse"), 0);
}

#[test]
fn a_login_whose_agent_was_killed_is_served_by_another_s_and_its_files_go_with_the_next() {
    let scene = scene(Host::plan());
    let host = &scene.host;
    let login = host.login("alice");
    let killed = host.agents_of("alice").remove(0);
    let other = host.login("alice");
    host.wait_until("the other agent's socket", || host.exists(&other.env("IAM_SESSION_SOCK").unwrap()));
    host.kill("KILL", &killed);
    let dead = login.env("IAM_SESSION_SOCK").unwrap();
    host.wait_until("the end of the killed one", || !host.agents_of("alice").contains(&killed));
    assert!(scene.provider.accepts(&login.run("iam-session token").successful().stdout));
    assert!(host.exists(&dead), "nobody has come or gone since");
    let next = host.login("alice");
    assert!(!host.exists(&dead));
    for login in [login, other, next] {
        login.close();
    }
    host.wait_until("the end of alice's processes", || host.processes_of("alice").is_empty());
    assert_eq!(left_behind(host), "");
}

#[test]
fn an_agent_that_is_asked_to_end_does_and_the_login_goes_on() {
    let scene = scene(Host::plan());
    let login = scene.host.login("alice");
    let refreshes = scene.provider.count("refresh");
    scene.provider.fail_with(json!({"fault": "hang", "at": ["refresh"]}));
    login.run("(iam-session token -s storage.read:/x >out 2>&1; echo $? >>out) &").successful();
    scene.host.wait_until("the request", || scene.provider.count("refresh") > refreshes);
    scene.host.kill("TERM", &scene.host.agents_of("alice")[0]);
    no_agent_and_no_token(&scene.host, "TERM");
    // The client is told at once, and not after the issuer's minute.
    let told = || login.run("cat out").stdout.lines().last() == Some("4");
    wait::within(CEILING, "the client's end", told);
    assert_eq!(login.run("echo here").stdout, "here\n");
    login.close();
}
