//! What /etc/iam-session/revoked does to agents that live, and what is no list (promise 30). Hosts of one farm are in
//! tests/farm.rs.

use std::time::Duration;

use serde_json::json;
use support::{Background, Host, Login, Process, wait};

use crate::scene::{Scene, is_deserted, json_of, left_behind, opened, token_file};
use crate::standing;

const REVOKED: &str = "/etc/iam-session/revoked";
const DISTRUSTED: &str = "/etc/iam-session/revoked cannot be trusted: ";

/// An agent that is told of a change ends at once; this is for a loaded machine.
const AT_ONCE: Duration = Duration::from_secs(20);
/// One that is not looks each minute.
const WITHIN_A_MINUTE: Duration = Duration::from_secs(80);
const MINUTE: Duration = Duration::from_secs(60);
/// A line that has not changed for 5 s is one.
const SETTLED: Duration = Duration::from_secs(4);

fn list(host: &Host, text: &str) {
    host.write(REVOKED, text, 0o644);
}

fn unlist(host: &Host) {
    host.as_root().run(&format!("rm -rf {REVOKED}")).successful();
}

fn agents_end(host: &Host) {
    wait::within(AT_ONCE, "the end of alice's agents", || is_deserted(host));
}

fn ask(login: &Login, path: &str) -> support::Output {
    login.run(&format!("iam-session token -s storage.read:/{path}"))
}

#[test]
fn a_listed_user_loses_agents_tokens_and_files_at_once_and_gets_them_back() {
    let scene = Scene::enrolled();
    for (round, line) in ["alice\n", "# gone\nbob\n20001 # alice\n"].into_iter().enumerate() {
        let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
        assert!(scene.provider.accepts(&one.read(&token_file(&one))));
        list(&scene.host, line);
        agents_end(&scene.host);
        scene.host.wait_until("empty directories", || left_behind(&scene.host).is_empty());
        assert_eq!((ask(&one, "x").status, other.run("iam-session token").status), (4, 4));
        assert_eq!(scene.host.login("alice").env("BEARER_TOKEN_FILE"), None);
        let told = scene.host.log_lines();
        let ended = |line: &&String| line.contains("event=agent_ended") && line.contains("reason=revoked");
        assert_eq!(told.iter().filter(ended).count(), 2 * (round + 1), "{line:?}: {told:#?}");
        unlist(&scene.host);
        let again = scene.host.login("alice");
        assert!(scene.provider.accepts(&again.read(&token_file(&again))));
        again.close();
        scene.host.wait_until("the end of the agent", || is_deserted(&scene.host));
    }
    assert_eq!(scene.provider.count("revocation"), 0, "nothing is lost at the issuer");
}

#[test]
fn whoever_is_not_listed_goes_on() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    for text in
        ["", "\n", "bob\n", "# alice\n", "Alice\nALICE\nalice@ad.example\nAD\\alice\n", "200010\n2000\n"]
    {
        list(&scene.host, text);
        assert!(scene.provider.accepts(&login.run("iam-session token").successful().stdout), "{text:?}");
        assert_eq!(scene.host.agents_of("alice").len(), 1, "{text:?}");
    }
    // A drained host starts no agent, and ends none.
    scene.host.as_root().run("iam-session-admin drain").successful();
    assert_eq!(scene.host.login("alice").env("BEARER_TOKEN_FILE"), None);
    assert!(scene.provider.accepts(&ask(&login, "while/drained").successful().stdout));
    assert_eq!(scene.host.agents_of("alice").len(), 1);
}

/// As a person of bad will has it who knows what is coming.
#[test]
fn whatever_its_user_does_a_listed_users_agent_ends() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let other = scene.host.login("alice");
    ask(&login, "cached").successful();
    scene.provider.fail_with(json!({"fault": "hang", "at": ["refresh"]}));
    let hold = "python3 -c '
import glob, socket, time
path = glob.glob(\"/run/iam-session/20001/iam-session/*.sock\")
held = []
for at in path:
    for n in range(40):
        s = socket.socket(socket.AF_UNIX)
        s.connect(at)
        s.sendall(b\"{\\\"request\\\":\\\"access_token\\\",\\\"scope\\\":\\\"storage.read:/%d\\\"}\\n{\\\"requ\" % n)
        held.append(s)
print(\"held\", flush=True)
time.sleep(600)' >held 2>&1 &";
    login.run(hold).successful();
    scene.host.wait_until("the connections", || login.run("cat held").stdout == "held\n");
    let prepare =
        "cd /run/iam-session/20001 && rm -f bt_u20001-iam && mkdir -p bt_u20001-iam/x iam-session/cache/0/x
        for lock in file mint kdf; do (flock iam-session/$lock.lock sleep 600 &) ; done
        for socket in iam-session/*.sock; do mv $socket $socket.moved; mkfifo $socket; done
        head -c 100M /dev/zero >fill 2>/dev/null
        flock -n iam-session/file.lock true || echo locked";
    scene.host.wait_until("the locks", || other.run(prepare).stdout.ends_with("locked\n"));
    list(&scene.host, "alice\n");
    agents_end(&scene.host);
    let cached = "find /run/iam-session/20001/iam-session/cache -type f";
    assert_eq!(scene.host.as_root().run(cached).stdout, "");
}

#[test]
fn an_agent_that_was_stopped_looks_before_it_answers() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let agent = scene.host.agents_of("alice").remove(0);
    scene.host.kill("STOP", &agent);
    // Without the variable it asks the agent, although the token is in the cache.
    login.run("env -u IAM_SESSION_SOCK iam-session token >answer 2>&1 &").successful();
    let connected = "import sys; sys.exit(0 if open('/proc/net/unix').read().count('.sock') > 1 else 1)";
    scene.host.wait_until("the client", || login.run(&format!("python3 -c \"{connected}\"")).status == 0);
    list(&scene.host, "alice\n");
    scene.host.kill("CONT", &agent);
    agents_end(&scene.host);
    login.run("wait");
    let answer = login.run("cat answer").stdout;
    assert!(!answer.is_empty() && !answer.contains("eyJ"), "{answer}");
}

/// A refresh that is on its way may have used up the refresh token, and its user may be taken off the list again.
#[test]
fn what_an_issuer_still_sends_is_sealed_and_published_nowhere() {
    let scene = Scene::new();
    scene.provider.set(json!({"rotate": true}));
    scene.host.enroll(&scene.provider, "alice");
    let (login, other) = (scene.host.login("alice"), scene.host.login("alice"));
    scene.provider.fail_with(json!({"fault": "held", "at": ["refresh"]}));
    login.run("iam-session token -s storage.read:/late >answer 2>&1 &").successful();
    scene.host.wait_until("the answer that is held", || scene.provider.count("held") == 1);
    // As long as this one is stopped the directories have an owner.
    let agents = scene.host.agents_of("alice");
    let pid = json_of(&other, "iam-session status --json")["pid"].as_i64().unwrap();
    let stopped = agents.iter().find(|agent| i64::from(agent.pid) == pid).unwrap();
    scene.host.kill("STOP", stopped);
    list(&scene.host, "alice\n");
    wait::within(AT_ONCE, "the end of the other agent", || scene.host.agents_of("alice").len() == 1);
    scene.provider.heal();
    // The stopped agent's own waits for a job of it.
    let is_mint = |it: &Process| it.command.ends_with(" mint") && it.parent != stopped.pid;
    scene.host.wait_until("the end of the mint", || !scene.host.processes_of("alice").iter().any(is_mint));
    let tokens = "find /run/iam-session/20001 -name 'bt_*' -o -path '*/cache/*'";
    assert_eq!(scene.host.as_root().run(tokens).stdout, "");
    login.run("wait");
    assert!(!login.run("cat answer").stdout.contains("eyJ"));
    scene.host.kill("CONT", stopped);
    agents_end(&scene.host);
    unlist(&scene.host);
    let again = scene.host.login("alice");
    assert!(scene.provider.accepts(&ask(&again, "after").successful().stdout));
    assert_eq!(scene.provider.count("reuse"), 0, "the refresh token that came late is the one that was used");
}

/// Who replaces it, and how; `$L` is the list.
const NO_LISTS: [(&str, &str); 6] = [
    ("writable by others", "printf 'bob\\n' >$L && chmod 666 $L"),
    ("a link, though to a good file", "printf 'bob\\n' >$L.real && ln -s $L.real $L"),
    ("a directory", "mkdir $L"),
    ("nobody else's to read", "printf 'bob\\n' >$L && chmod 600 $L"),
    ("another user's", "printf 'bob\\n' >$L && chown bob $L"),
    ("too large", "yes '' | head -c 1048577 >$L"),
];

#[test]
fn a_list_that_cannot_be_trusted_stops_new_tokens_and_nothing_else() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    for (number, (kind, make)) in NO_LISTS.iter().enumerate() {
        scene.host.as_root().run(&make.replace("$L", REVOKED)).successful();
        let new = ask(&login, &format!("{number}"));
        assert!(new.status == 1 && new.stderr.contains(DISTRUSTED), "{kind}: {new:?}");
        assert_eq!(new.stderr.lines().count(), 1, "{kind}: {new:?}");
        assert!(scene.provider.accepts(&login.run("iam-session token").successful().stdout), "{kind}");
        assert!(scene.provider.accepts(&login.read(&token_file(&login))), "{kind}");
        assert_eq!(scene.host.agents_of("alice").len(), 1, "{kind}");
        let lines = scene.host.log_lines();
        let told = lines.iter().filter(|line| line.contains("event=error") && line.contains(DISTRUSTED));
        assert_eq!(told.count(), number + 1, "{kind}: one line each: {lines:#?}");
        unlist(&scene.host);
        assert!(
            scene.provider.accepts(&ask(&login, &format!("{number}/again")).successful().stdout),
            "{kind}"
        );
    }
}

#[test]
fn that_the_list_cannot_be_trusted_is_what_status_says_when_the_token_has_ended() {
    let scene = Scene::enrolled_with_lifetime(15);
    let login = scene.host.login("alice");
    let file = token_file(&login);
    scene.host.as_root().run(&format!("mkdir {REVOKED}")).successful();
    scene.host.wait_until_gone(&file);
    let status = login.run("iam-session status").stdout;
    assert!(status.contains(DISTRUSTED), "{status}");
    unlist(&scene.host);
    scene.host.wait_until("a token again", || scene.host.exists(&file));
}

/// `alice` may be on its way to become `alice2`.
#[test]
fn a_line_without_its_end_keeps_logins_out_and_ends_agents_only_once_it_stays() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let before = opened(&scene.host).len();
    list(&scene.host, "alice");
    assert!(scene.provider.accepts(&login.run("iam-session token").successful().stdout));
    list(&scene.host, "alice2\nal");
    assert!(scene.provider.accepts(&login.run("iam-session token").successful().stdout));
    list(&scene.host, "alice2\nalice");
    let last = wait::now();
    agents_end(&scene.host);
    assert!(last.elapsed() >= SETTLED, "{:?}", last.elapsed());
    assert_eq!(scene.host.login("alice").env("BEARER_TOKEN_FILE"), None);
    assert_eq!(opened(&scene.host).len(), before);
}

/// For how long a process sleeps in poll(2), whose arguments are descriptors, how many, and milliseconds.
fn sleeps(host: &Host, process: &Process) -> Option<Duration> {
    let call = host.as_root().run(&format!("cat /proc/{}/syscall", process.pid)).stdout;
    let millis = call.strip_prefix("7 ")?.split(' ').nth(2)?.strip_prefix("0x")?;
    u64::from_str_radix(millis, 16).ok().map(Duration::from_millis)
}

/// Any user can use up what inotify(7) gives to each.
#[test]
fn an_agent_that_nobody_tells_of_the_list_ends_within_a_minute() {
    let scene = Scene::new();
    let host = &scene.host;
    // A uid that no other test has: the kernel counts by it.
    let account = "carol:x:27182:27182:carol:/home/carol:/bin/bash";
    let make = format!(
        "echo {account} >>/etc/passwd && echo 'carol:*:20000:0:99999:7:::' >>/etc/shadow &&
         echo carol:x:27182: >>/etc/group && mkdir -m 0700 /home/carol && chown carol: /home/carol"
    );
    host.as_root().run(&make).successful();
    host.enroll(&scene.provider, "carol");
    host.wait_until("the end of the enrolment's login", || host.agents_of("carol").is_empty());
    let mut greedy = host.as_user("carol").command("python3");
    let all = "import ctypes, sys; l = ctypes.CDLL(None)\nwhile l.inotify_init() >= 0: pass\nprint('full', flush=True)\nsys.stdin.read()";
    greedy.args(["-c", all]);
    let mut greedy = Background::start(greedy);
    assert_eq!(greedy.line(), "full");
    let login = host.login("carol");
    assert!(scene.provider.accepts(&login.read(&token_file(&login))));
    let agent = host.agents_of("carol").remove(0);
    host.wait_until("a sleep of a minute", || sleeps(host, &agent).is_some_and(|span| span <= MINUTE));
    list(host, "carol\n");
    wait::within(WITHIN_A_MINUTE, "the end of carol's agent", || host.agents_of("carol").is_empty());
    let left = host.as_root().run("find /run/iam-session/27182 -type f").stdout;
    assert!(!left.contains("bt_u") && !left.contains("cache/"), "{left}");
}

#[test]
fn an_agent_that_is_told_of_the_list_does_not_wake_for_it() {
    let scene = Scene::enrolled();
    let _first = scene.host.login("alice");
    let known = scene.host.agents_of("alice");
    // It finds a good token in the file, and so has no mint that it would see off.
    let _second = scene.host.login("alice");
    let agent = scene.host.agents_of("alice").into_iter().find(|agent| !known.contains(agent)).unwrap();
    // A change, after which it settles again.
    list(&scene.host, "bob\n");
    scene
        .host
        .wait_until("a long sleep", || sleeps(&scene.host, &agent).is_some_and(|span| span > 10 * MINUTE));
}

#[test]
fn an_agent_of_iam_session_start_obeys_too_and_no_other_is_started() {
    let scene = standing::scene();
    let login = standing::enrolled(&scene);
    list(&scene.host, "20001\n");
    standing::agents_are_gone(&scene.host);
    let told = standing::start(&login, &standing::given(standing::PASSPHRASE));
    assert!(
        told.status == 5 && told.stderr.contains("you are listed in /etc/iam-session/revoked"),
        "{told:?}"
    );
    assert!(is_deserted(&scene.host));
    unlist(&scene.host);
    standing::start(&login, &standing::given(standing::PASSPHRASE)).successful();
    assert!(scene.provider.accepts(&ask(&login, "again").successful().stdout));
}

#[test]
fn the_check_names_each_line_that_keeps_nobody_out() {
    let host = Host::start();
    let check = || host.as_root().run("iam-session-admin check").stdout;
    list(&host, "# gone\nalice\n20001 # alice\n20002\ndave\n4000 # dave\n");
    assert!(!check().contains(REVOKED), "{}", check());
    list(&host, "alice\nalcie\n31337\nALICE # in March\n");
    let told = check();
    let named: Vec<_> = told.lines().filter_map(|line| line.strip_prefix(&format!("{REVOKED}:"))).collect();
    let starts = ["2: 'alcie' is no user", "3: '31337' is no user", "4: 'ALICE' is no user"];
    assert_eq!(named.len(), starts.len(), "{told}");
    assert!(named.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{told}");
    host.write(REVOKED, "alice\n", 0o600);
    assert!(check().contains("users cannot read it"), "{}", check());
}
