//! `make demo`: the main job, step by step, on a machine made of namespaces. What it shows is what happens; where
//! something does not happen as it says, it ends with an error.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a demonstration that fails must say where")]

mod browser;
mod stage;
mod storage;

use stage::{Stage, narrate, step};
use support::{Host, Login, Provider, Storage, wait};

const CLAIMS: &str = "cut -d. -f2 | tr _- /+ | base64 -d 2>/dev/null; echo";

fn main() {
    let begun = wait::now();
    let host =
        Host::plan().pam_options("token_wait=2s export=enrolled").site("default_provider = \"wlcg\"").start();
    host.add_node_key();
    let provider = Provider::start(&host);
    let storage = Storage::start(&host, &provider);

    the_machine(&host);
    before_the_enrolment(&host);
    the_enrolment(&host, &provider);
    a_login(&host, &provider, &storage);
    the_end_of_the_account(&host);

    step("All of this was one private machine: its users, keys, mounts and processes end with it");
    drop((storage, provider, host));
    narrate(&format!("Done in {} s.", begun.elapsed().as_secs()));
}

fn the_machine(host: &Host) {
    step("A login node, as its administrator sees it");
    narrate("sshd is the real one, and so is libpam. This is what was added for iam-session:");
    let root = Stage::root(host);
    root.show("grep pam_iam /etc/pam.d/sshd");
    root.show("cat /etc/iam-session/config.toml /etc/iam-session/issuers.d/wlcg.toml");
    root.show("ls -l /etc/iam-session/keys.d /usr/libexec/iam-session");
    narrate("The provider is node's oidc-provider, set up to answer as INDIGO IAM does.");
}

fn before_the_enrolment(host: &Host) {
    step("Alice logs in for the first time");
    let login = Stage::login(host, "alice");
    login.show("iam-session status");
    login.close();
}

fn the_enrolment(host: &Host, provider: &Provider) {
    step("She enrols, once, with a browser on any device");
    browser::enrol(host, provider, "alice");
}

fn a_login(host: &Host, provider: &Provider, storage: &Storage) {
    step("From now on every login has a token");
    let login = Stage::login(host, "alice");
    let session = login.session();
    login.show("printenv | grep -E 'BEARER|IAM_SESSION'");
    login.show("ls -l $BEARER_TOKEN_FILE");
    narrate("It is a signed JWT. What it says, and for how long:");
    login.show(&format!("cat $BEARER_TOKEN_FILE | {CLAIMS}"));
    let file = session.env("BEARER_TOKEN_FILE").unwrap();
    assert!(provider.accepts(&session.read(&file)), "the provider does not accept the token in the file");
    narrate("(The provider's own keys verify it: it is accepted.)");

    step("Another token, narrower, for one storage element");
    let command = "iam-session token -s storage.read:/cms --aud https://se.example";
    login.show(&format!("{command} | {CLAIMS}"));
    let (first, second) = (session.run(command).successful(), session.run(command).successful());
    assert_eq!(first.stdout, second.stdout, "the second token is not the cached one");
    narrate("Asked for again, it comes from the agent's cache:");
    login.show(&format!("time {command} >/dev/null"));
    narrate("A scope that was never granted is refused, with what to do:");
    login.show("iam-session token -s storage.modify:/");
    login.show("iam-session status");

    storage::use_it(&login, storage);

    step("Logout");
    logout(host, login, &file);
}

fn logout(host: &Host, login: Stage<'_>, file: &str) {
    let root = Stage::root(host);
    root.show(&format!("ps -o user,args -u alice; find {} ! -type d", directory(file)));
    login.close();
    host.wait_until_gone(file);
    host.wait_until("the end of alice's processes", || host.processes_of("alice").is_empty());
    narrate("The same again, now that nobody is logged in:");
    root.show(&format!("ps -o user,args -u alice; find {} ! -type d", directory(file)));
    let left = host.as_root().run(&format!("find {} ! -type d", directory(file))).stdout;
    assert_eq!(left, "", "something is left after the logout");
    narrate("Nothing is left but her sealed enrolment, which opens for nobody without the node's key:");
    root.show("ls -l /home/alice/.local/state/iam-session");
}

fn the_end_of_the_account(host: &Host) {
    step("When she wants none of it any more");
    let login = Stage::login(host, "alice");
    login.show("iam-session forget wlcg");
    login.show("ls -A ~/.local/state/iam-session");
    login.close();
}

fn directory(file: &str) -> &str {
    file.rsplit_once('/').map_or(file, |(directory, _)| directory)
}

/// What the user sees of a login's start.
fn greeting(login: &Login) -> Vec<&str> {
    login.greeting().lines().filter(|line| line.contains("iam-session")).collect()
}
