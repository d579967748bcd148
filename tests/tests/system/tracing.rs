//! A process of the same user that lies in wait gets at no agent, mint or helper, at no moment of its life
//! (promise 20, scaled down from a thousand starts).

use support::{Background, Host};

use crate::measure::script;
use crate::scene::{Scene, is_deserted};

const CYCLE: &str = "pamtester sshd alice open_session close_session >/dev/null || exit 1";

#[test]
fn who_lies_in_wait_gets_at_no_agent_mint_or_helper() {
    let scene = Scene::of(Host::plan().pam_options("token_wait=5s"));
    let host = &scene.host;
    host.enroll(&scene.provider, "alice");
    host.wait_until("the end of the enrolment's login", || is_deserted(host));
    let alice = host.as_user("alice");
    // What it does get at shows that it tries.
    let mut ordinary = alice.command("sh");
    ordinary.args(["-c", "echo there; exec cat"]);
    let mut ordinary = Background::start(ordinary);
    ordinary.line();
    let [python, path] = script(host, "tracer.py", include_str!("tracer.py"));
    let mut tracer = alice.command(&python);
    tracer.arg(&path);
    let mut tracer = Background::start(tracer);
    tracer.line();
    let refreshes = scene.provider.count("refresh");
    // Each of the first ones needs a helper, because no session is left whose token it could take; the others find the
    // token that lies beside the record.
    for _ in 0..60 {
        host.wait_until("the end of the session before", || is_deserted(host));
        host.as_root()
            .run(&format!("rm -f /home/alice/.local/state/iam-session/wlcg.token; {CYCLE}"))
            .successful();
    }
    host.as_root().run(&format!("for i in $(seq 940); do {CYCLE}; done")).successful();
    assert!(scene.provider.count("refresh") >= refreshes + 50, "few helpers were started");
    let result = tracer.finish();
    ordinary.finish();
    println!("met, tries, got: {result}");
    let mut fields = result.split_whitespace();
    let (met, tries) = (fields.next().unwrap(), fields.next().unwrap());
    // Agents, mints and helpers; on a crowded machine some come and go unseen.
    assert!(met.parse::<u32>().unwrap() > 300 && tries.parse::<u32>().unwrap() > 1000, "{result}");
    assert_eq!(fields.collect::<Vec<_>>(), ["cat"]);
}
