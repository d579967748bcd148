//! An enrolment whose consent is pending: what of it lies where, and that no client outlives it, whoever dies.

use serde_json::{Value, json};
use support::{Enrolling, ISSUER, Login, Terminal};

use crate::scene::{Scene, token_file};
use crate::subject::say;
use crate::thief::STORE;

const AGENT: &str = "/usr/libexec/iam-session/agent";
const COMMAND: &str = "/usr/bin/iam-session";

fn scene() -> Scene {
    let scene = Scene::new();
    scene.provider.set(json!({"device_interval": 1}));
    scene
}

/// The files of clients whose consent is pending.
fn pending(scene: &Scene) -> Vec<String> {
    let listed = scene.host.as_root().run(&format!("ls -A {STORE} | grep pending")).stdout;
    listed.lines().map(str::to_owned).collect()
}

fn clients(scene: &Scene) -> (u64, u64) {
    (scene.provider.count("registration"), scene.provider.count("deregistration"))
}

/// Kills alice's processes of this program whose command line has this word.
fn kill(scene: &Scene, program: &str, word: &str) {
    let all = scene.host.processes_of("alice").into_iter();
    let chosen: Vec<_> =
        all.filter(|process| process.runs(program) && process.command.contains(word)).collect();
    assert!(!chosen.is_empty(), "{program} {word}");
    chosen.iter().for_each(|process| scene.host.kill("KILL", process));
}

#[test]
fn a_command_that_is_killed_with_its_session_leaves_no_client() {
    let scene = scene();
    let mut enrolling = Enrolling::start(&scene.host, "alice", "wlcg");
    enrolling.event("device_code");
    assert_eq!((pending(&scene).len(), clients(&scene)), (1, (1, 0)));
    kill(&scene, COMMAND, "enroll");
    enrolling.status();
    scene.host.wait_until("the end of the client", || clients(&scene) == (1, 1));
    scene.host.wait_until("the end of its file", || pending(&scene).is_empty());
}

#[test]
fn a_connection_that_is_lost_ends_an_enrolment_that_waits_without_a_terminal() {
    let scene = scene();
    // With this one the store and an agent stay, as they do for a user who is logged in twice.
    let other = scene.host.login("alice");
    let mut enrolling = Enrolling::start(&scene.host, "alice", "wlcg");
    let code = enrolling.event("device_code");
    let of_ssh = |one: &support::Process| one.runs("/usr/bin/ssh") && one.command.contains("enroll");
    let client = scene.host.processes().into_iter().find(of_ssh).unwrap();
    scene.host.kill("KILL", &client);
    enrolling.status();
    scene.host.wait_until("the end of the command", || !is_enrolling(&scene));
    scene.host.wait_until("the end of the client", || clients(&scene) == (1, 1));
    scene.host.wait_until("the end of its file", || pending(&scene).is_empty());
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    assert_eq!(other.run("iam-session list").status, 3, "nothing is stored");
}

#[test]
fn an_enrolment_that_nobody_reads_any_more_ends_though_its_login_lives() {
    let scene = scene();
    let login = scene.host.login("alice");
    login
        .run("(iam-session enroll --json wlcg 2>&1 </dev/null | head -n 1 >~/events) >/dev/null 2>&1 &")
        .successful();
    scene.host.wait_until("the code", || login.run("cat ~/events").stdout.contains("device_code"));
    scene.host.wait_until("the end of the command", || !is_enrolling(&scene));
    scene.host.wait_until("the end of the client", || clients(&scene) == (1, 1));
    assert_eq!(login.run("iam-session list").status, 3, "nothing is stored");
}

fn is_enrolling(scene: &Scene) -> bool {
    let mut all = scene.host.processes_of("alice").into_iter();
    all.any(|process| process.runs(COMMAND) && process.command.contains("enroll"))
}

#[test]
fn a_command_that_is_killed_in_a_session_leaves_a_client_that_a_later_mint_ends() {
    let scene = scene();
    let login = scene.host.login("alice");
    login.run("nohup iam-session enroll --json wlcg >~/events 2>&1 </dev/null &").successful();
    let events = || login.run("cat ~/events").stdout;
    scene.host.wait_until("the code", || events().contains("device_code"));
    let file = pending(&scene).remove(0);
    kill(&scene, COMMAND, "enroll");
    // Somebody could still approve, as far as a mint can tell that has something else to do.
    scene.host.ssh("alice", "iam-session status");
    assert_eq!((pending(&scene), clients(&scene)), (vec![file.clone()], (1, 0)));

    // The time in its name is over.
    let (flow, _) = file.split_once('-').unwrap();
    login.run(&format!("mv {STORE}/{file} {STORE}/{flow}-1700000000.pending")).successful();
    scene.host.ssh("alice", "iam-session status");
    scene.host.wait_until("the end of the client", || clients(&scene) == (1, 1));
    scene.host.wait_until("the end of its file", || pending(&scene).is_empty());
}

#[test]
fn a_client_that_cannot_be_ended_because_the_store_cannot_be_read_is_told() {
    let scene = scene();
    let other = scene.host.login("alice");
    let mut terminal = Terminal::start(&scene.host, "alice", "iam-session enroll wlcg -s storage.read:/");
    terminal.until("The code is          ");
    other.run(&format!("chmod 0 {STORE}")).successful();
    terminal.press("\x03");
    let (rest, status) = terminal.end();
    let told =
        format!("iam-session: warning: a client stays registered: cannot open {STORE}: Permission denied");
    assert!(status == Some(1) && rest.contains(&told), "{status:?} {rest}");
    // A later mint has what it needs to end it.
    assert_eq!((pending(&scene).len(), clients(&scene)), (1, (1, 0)));
}

#[test]
fn a_client_that_a_killed_mint_was_writing_down_is_ended_by_a_later_one() {
    let scene = scene();
    let login = scene.host.login("alice");
    begun(&scene, &login, &"a".repeat(32));
    let file = pending(&scene).remove(0);
    let draft = |flow: &str| format!("{STORE}/.{}-1700000000.pending.0123456789abcdef", flow.repeat(32));
    let half = format!("(umask 077; head -c 9 {STORE}/{file} >{})", draft("b"));
    login.run(&format!("{half} && mv {STORE}/{file} {}", draft("a"))).successful();
    scene.host.ssh("alice", "iam-session status");
    scene.host.wait_until("the end of the client", || clients(&scene) == (1, 1));
    scene.host.wait_until("the end of its file, and of what was half-written", || pending(&scene).is_empty());
}

#[test]
fn a_client_that_another_host_has_sealed_is_left_to_it_and_holds_nothing_up() {
    let scene = scene();
    let login = scene.host.login("alice");
    login.run("nohup iam-session enroll --json wlcg >~/events 2>&1 </dev/null &").successful();
    scene.host.wait_until("the code", || login.run("cat ~/events").stdout.contains("device_code"));
    let file = pending(&scene).remove(0);
    kill(&scene, COMMAND, "enroll");
    let (flow, _) = file.split_once('-').unwrap();
    let others = format!("{STORE}/{}-$(($(date +%s) - 2 * 86400)).pending", "0".repeat(32));
    let plant = format!("umask 077 && echo sealed elsewhere >{others}");
    let over = format!("mv {STORE}/{file} {STORE}/{flow}-1700000000.pending");
    login.run(&format!("{plant} && {over}")).successful();
    scene.host.ssh("alice", "iam-session status");
    scene.host.wait_until("the end of the client", || clients(&scene) == (1, 1));
    scene.host.wait_until("the end of its file", || pending(&scene).len() == 1);
    assert!(pending(&scene)[0].starts_with("0000"), "{:?}", pending(&scene));
}

#[test]
fn a_mint_that_is_killed_meanwhile_costs_nothing() {
    let scene = scene();
    let mut enrolling = Enrolling::start(&scene.host, "alice", "wlcg");
    let code = enrolling.event("device_code");
    kill(&scene, AGENT, "mint");
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    // The poll that the mint was at may be lost with it: then the flow is cancelled. Else the next mint goes on.
    let status = enrolling.status();
    match status {
        Some(0) => assert_eq!((clients(&scene), pending(&scene).len()), ((1, 0), 0)),
        _ => assert_eq!((clients(&scene), pending(&scene).len()), ((1, 1), 0)),
    }
}

#[test]
fn an_approved_client_is_an_accounts_and_nothing_of_it_is_left_pending() {
    let scene = Scene::new();
    scene.host.enroll(&scene.provider, "alice");
    assert_eq!((pending(&scene).len(), clients(&scene)), (0, (1, 0)));
    let login = scene.host.login("alice");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
}

#[test]
fn ctrl_c_twice_while_a_client_is_registered_leaves_none() {
    let scene = scene();
    scene.provider.fail_with(json!({"fault": "held", "at": ["registration"]}));
    let mut terminal = Terminal::start(&scene.host, "alice", "iam-session enroll wlcg -s storage.read:/");
    scene.host.wait_until("the registration", || scene.provider.count("held") == 1);
    terminal.press("\x03");
    terminal.until("Ctrl-C again does not wait.");
    terminal.press("\x03");
    let (rest, status) = terminal.end();
    assert!(rest.contains("cancelled; nothing was stored"), "{rest}");
    assert_eq!((status, clients(&scene)), (Some(1), (1, 0)));
    scene.provider.heal();
    scene.host.wait_until("the end of the client", || clients(&scene) == (1, 1));
    scene.host.wait_until("the end of its file", || pending(&scene).is_empty());
}

/// A flow that is begun by a command line of the user's own making.
fn begun(scene: &Scene, login: &Login, flow: &str) -> Value {
    let code = say(
        scene,
        login,
        &json!({"request": "enroll", "flow": flow, "account": "wlcg", "issuer": ISSUER,
                "scope": "openid offline_access storage.read:/"}),
    );
    assert_eq!(code["outcome"], "code", "{code}");
    code
}

fn poll(scene: &Scene, login: &Login, ticket: &str) -> Value {
    say(scene, login, &json!({"request": "poll", "ticket": ticket}))
}

#[test]
fn a_ticket_is_good_for_its_user_as_it_is_and_no_longer_than_its_code() {
    let scene = scene();
    let (alice, bob) = (scene.host.login("alice"), scene.host.login("bob"));
    let flow = "a".repeat(32);
    let code = begun(&scene, &alice, &flow);
    let ticket = code["ticket"].as_str().unwrap();
    let asked = |login: &Login, ticket: &str| (poll(&scene, login, ticket), scene.provider.count("poll"));
    let (reply, _) = asked(&alice, ticket);
    assert_eq!(reply["error"]["class"], "authorization_pending", "{reply}");
    let middle = ticket.len() / 2;
    let other = if ticket.as_bytes()[middle] == b'A' { "B" } else { "A" };
    let changed = format!("{}{other}{}", &ticket[..middle], &ticket[middle + 1..]);
    for (login, ticket) in [(&bob, ticket), (&alice, &changed), (&alice, "")] {
        let (reply, polls) = asked(login, ticket);
        assert_eq!((&reply["kind"], polls), (&json!("refused"), 1), "{reply}");
    }
    // Bob has no such flow to cancel either.
    assert_eq!(say(&scene, &bob, &json!({"request": "cancel", "flow": flow}))["status"], "success");
    assert_eq!(clients(&scene), (1, 0));
    say(&scene, &alice, &json!({"request": "cancel", "flow": flow}));
    assert_eq!(clients(&scene), (1, 1));
    let (reply, polls) = asked(&alice, ticket);
    assert!(reply["error"].as_str().unwrap().contains("has been ended meanwhile"), "{reply}");
    assert_eq!(polls, 1);

    scene.provider.set(json!({"device_code_lifetime": 1}));
    let code = begun(&scene, &alice, &"b".repeat(32));
    let ticket = code["ticket"].as_str().unwrap();
    // At first the issuer says so, and then nobody asks it any more.
    let is_over = || {
        let (first, second) = (asked(&alice, ticket), asked(&alice, ticket));
        first.0["error"]["class"] == "expired_token" && first == second
    };
    scene.host.wait_until("the end of the ticket", is_over);
}

#[test]
fn no_more_flows_wait_at_once_than_a_person_needs() {
    let scene = scene();
    let login = scene.host.login("alice");
    let begin = |number: u32| {
        say(
            &scene,
            &login,
            &json!({"request": "enroll", "flow": format!("{number:032x}"), "account": "wlcg", "issuer": ISSUER,
                    "scope": "openid offline_access"}),
        )
    };
    for number in 0..8 {
        assert_eq!(begin(number)["outcome"], "code");
    }
    let refused = begin(8);
    assert!(refused["error"].as_str().unwrap().contains("8 enrolments of yours wait"), "{refused}");
    assert_eq!(begin(7)["kind"], "usage", "of one name there is one");
    assert_eq!(clients(&scene), (8, 0));
}

#[test]
fn files_that_nobody_can_have_begun_take_no_room() {
    let scene = scene();
    let login = scene.host.login("alice");
    // By a clock that was years ahead; the other one does not open, and may be another host's.
    let far = format!(
        "for n in 0 1 2 3 4 5 6 7; do echo x >{STORE}/{}$n-{}.pending; done",
        "e".repeat(31),
        u64::MAX
    );
    login
        .run(&format!(
            "(umask 077; mkdir -p {STORE}; {far}; echo x >{STORE}/{}-$(date +%s).pending)",
            "0".repeat(32)
        ))
        .successful();
    let begun = begun(&scene, &login, &"a".repeat(32));
    assert_eq!(begun["outcome"], "code", "{begun}");
    assert_eq!(pending(&scene).len(), 2, "{:?}", pending(&scene));
}

/// Looks for texts in the memory of a process.
const SEARCH: &str = "import sys
pid, *texts = sys.argv[1:]
found = set()
with open(f'/proc/{pid}/mem', 'rb', 0) as memory:
    for line in open(f'/proc/{pid}/maps'):
        start, end = (int(part, 16) for part in line.split()[0].split('-'))
        try:
            memory.seek(start)
            content = memory.read(end - start)
        except (OSError, ValueError, OverflowError):
            continue
        found |= {text for text in texts if text.encode() in content}
print(' '.join(sorted(found)))";

#[test]
fn the_command_line_holds_no_secret_while_it_waits() {
    let scene = scene();
    let mut enrolling = Enrolling::start(&scene.host, "alice", "wlcg");
    let code = enrolling.event("device_code");
    let user_code = code["user_code"].as_str().unwrap();
    let secrets = scene.provider.secrets();
    assert!(secrets.len() >= 3, "a client's two, and a device code: {secrets:?}");
    let all = scene.host.processes_of("alice");
    let command = all.iter().find(|process| process.runs(COMMAND)).unwrap();
    scene.host.write("/mnt/search.py", SEARCH, 0o644);
    let python = format!(
        "/mnt/tools/python/bin/python /mnt/search.py {} '{user_code}' {}",
        command.pid,
        secrets.join(" ")
    );
    let found = scene.host.as_root().run(&python).successful().stdout;
    assert_eq!(found.trim(), user_code, "what it shows is in its memory, and none of the secrets");
    scene.provider.approve(user_code, "alice");
    enrolling.event("enrolled");
}

#[test]
fn an_issuer_of_the_sites_has_no_other_spelling() {
    let scene = scene();
    let own = "/home/alice/.config/iam-session/issuers.d";
    let lines = format!("issuer = \"{ISSUER}./\"\nca_file = \"/etc/iam-session/iam.example.pem\"\n");
    let login = scene.host.login("alice");
    login.run(&format!("mkdir -p {own} && printf '{lines}' >{own}/mine.toml")).successful();
    let begin = json!({"request": "enroll", "flow": "a".repeat(32), "account": "mine", "issuer": format!("{ISSUER}./"),
                       "scope": "openid offline_access"});
    let refused = say(&scene, &login, &begin);
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("calls itself")), "{refused}");
    assert_eq!(clients(&scene), (0, 0));
}

#[test]
fn a_provider_of_the_users_own_is_read_by_the_mint() {
    let scene = Scene::new();
    let own = "/home/alice/.config/iam-session/issuers.d";
    let lines = "issuer = \"https://iam.example/\"\nscope = \"storage.read:/\"\n\
                 ca_file = \"/etc/iam-session/iam.example.pem\"\n";
    scene.host.as_root().run("rm /etc/iam-session/issuers.d/*.toml").successful();
    let login = scene.host.login("alice");
    login.run(&format!("mkdir -p {own} && printf '{lines}' >{own}/wlcg.toml")).successful();
    let enrolled = scene.host.enroll(&scene.provider, "alice");
    assert_eq!(enrolled["scope"], "offline_access openid storage.read:/");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
}

#[test]
fn a_client_that_waits_for_an_approval_is_ended_with_its_user() {
    let scene = scene();
    let login = scene.host.login("alice");
    begun(&scene, &login, &"c".repeat(32));
    // Which would end it by itself.
    kill(&scene, AGENT, "mint");
    let told = scene.host.as_root().run("iam-session-admin revoke alice --at-issuer").successful().stdout;
    assert!(told.contains(", not approved yet': its client deleted at the issuer\n"), "{told}");
    assert_eq!((clients(&scene), scene.provider.count("revocation")), ((1, 1), 0));
}
