//! Hostile clients of an agent do not keep its honest ones from their tokens (promise 19).

use support::{Actor, Background, Host, Login, Output};

use crate::measure::{Times, script, time};
use crate::scene::Scene;

/// Promised are 50 ms on an idle machine; this is for a loaded one.
const CEILING: f64 = 2000.0;

/// A hostile client that is at it.
fn neighbour(host: &Host, who: &Actor<'_>, kind: &str, login: &Login, many: u32) -> Background {
    let mut background = Background::start(command(host, who, kind, login, many));
    assert_eq!(background.line(), "there", "{kind}");
    background
}

fn command(host: &Host, who: &Actor<'_>, kind: &str, login: &Login, many: u32) -> std::process::Command {
    let [python, script] = script(host, "neighbour.py", include_str!("neighbour.py"));
    let mut command = who.command(&python);
    command.args([&script, kind, &login.env("IAM_SESSION_SOCK").unwrap(), &many.to_string()]);
    command
}

/// What an honest client takes while this neighbour is there.
fn honest_beside(scene: &Scene, login: &Login, kind: &str, many: u32) -> Times {
    let alice = scene.host.as_user("alice");
    let hostile = neighbour(&scene.host, &alice, kind, login, many);
    let socket = login.env("IAM_SESSION_SOCK").unwrap();
    let ask = format!("env IAM_SESSION_SOCK={socket} iam-session token");
    let times = time(&scene.host, &alice, 200, &ask);
    println!("beside {many} of {kind}: {times}");
    hostile.finish();
    times
}

#[test]
fn an_honest_client_is_served_beside_every_kind_of_hostile_one() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    for (kind, many) in [
        ("slow", 100),
        ("slow", 300),
        ("half", 300),
        ("idle", 1000),
        ("long", 1),
        ("vanish", 1),
        ("churn", 1),
    ] {
        let times = honest_beside(&scene, &login, kind, many);
        assert!(times.longest < CEILING, "{kind}: {times}");
    }
    assert_eq!(scene.host.agents_of("alice").len(), 1);
}

#[test]
fn clients_that_read_no_answer_keep_nobody_else_out() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let times = honest_beside(&scene, &login, "deaf", 200);
    assert!(times.longest < CEILING, "{times}");
}

#[test]
fn a_stranger_who_comes_a_hundred_times_gets_not_a_byte_and_is_in_nobody_s_way() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let socket = login.env("IAM_SESSION_SOCK").unwrap();
    let open = "chmod 0711 /run/iam-session/20001 /run/iam-session/20001/iam-session";
    scene.host.as_root().run(&format!("{open}; chmod 0666 {socket}")).successful();
    for (who, bytes_at_least) in [("bob", 0), ("alice", 100 * 100)] {
        let who = scene.host.as_user(who);
        let got =
            Output::of(&mut command(&scene.host, &who, "strange", &login, 100), b"").successful().stdout;
        let got: usize = got.trim_end().parse().unwrap();
        assert!(if bytes_at_least == 0 { got == 0 } else { got >= bytes_at_least }, "{got}");
    }
    // Nor do root's own: nobody's but the owner's are answered.
    let root = Output::of(&mut command(&scene.host, &scene.host.as_root(), "strange", &login, 10), b"");
    assert_eq!(root.successful().stdout, "0\n");
    login.run("iam-session token").successful();
}
