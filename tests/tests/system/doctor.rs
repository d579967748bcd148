//! `iam-session doctor`: what is wrong is told, with what mends it, and what is well is not called wrong.

use serde_json::Value;
use support::{Host, Login, Output};

use crate::broken::hang;
use crate::scene::{Scene, token_file};

/// What is wrong, a line each.
fn wrong(output: &Output) -> Vec<String> {
    output.stdout.lines().filter_map(|line| line.strip_prefix("WRONG    ")).map(str::to_owned).collect()
}

fn is_told(output: &Output, check: &str, words: &str) {
    let told = |line: &String| line.starts_with(&format!("{check}: ")) && line.contains(words);
    assert!(wrong(output).iter().any(told), "{check}, {words:?} is not told:\n{}", output.stdout);
    assert_eq!(output.status, 1, "{output:?}");
}

fn doctor(login: &Login) -> Output {
    login.run("iam-session doctor")
}

#[test]
fn nothing_is_wrong_with_a_login_that_has_a_token() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let healthy = doctor(&login).successful().stdout;
    for line in [
        "ok       agent: process ",
        "ok       enrolment: wlcg at https://iam.example/",
        "ok       PAM: /etc/pam.d/sshd:4: pam_iam.so",
        "ok       module: /usr/lib",
        "ok       programs: ",
        "ok       runtime directory: /run/iam-session, a mount of its own",
        &format!("ok       token file: {}", token_file(&login)),
        "ok       issuer: https://iam.example/ answers",
        "ok       clock: within 30 s of that of https://iam.example/",
        "nothing is wrong",
    ] {
        assert!(healthy.lines().any(|told| told.starts_with(line)), "{line:?} is not in:\n{healthy}");
    }
}

#[test]
fn a_script_gets_the_same_as_an_object() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let output = login.run("BEARER_TOKEN=x iam-session doctor --json");
    assert_eq!(output.status, 1);
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(report["healthy"], false);
    let findings = report["findings"].as_array().unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| finding["state"] == "wrong").collect();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(
        wrong[0]["check"] == "environment"
            && wrong[0]["what"].as_str().unwrap().contains("unset BEARER_TOKEN")
    );
}

#[test]
fn without_an_agent_the_reason_is_found() {
    let scene = Scene::of(Host::plan().without_agent());
    let login = scene.host.login("alice");
    let output = doctor(&login);
    is_told(&output, "agent", "no agent is running for you");
    is_told(&output, "PAM", "has no session line with pam_iam.so");
    is_told(&output, "module", "administrator: install the package");
}

#[test]
fn the_place_of_the_line_is_judged() {
    let host = Host::plan().pam_options("min_uid=50000").start();
    is_told(&doctor(&host.login("alice")), "PAM", "below min_uid=50000");
    let plan = Host::plan().session_line("session optional pam_mkhomedir.so");
    let host = plan.start();
    is_told(&doctor(&host.login("alice")), "PAM", "before that of pam_mkhomedir.so");
}

#[test]
fn a_program_that_users_can_read_is_told() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.host.as_root().run("chmod 0755 /usr/libexec/iam-session/helper").successful();
    is_told(&doctor(&login), "programs", "chmod 0711 /usr/libexec/iam-session/helper");
}

#[test]
fn a_host_without_a_place_for_token_files_is_told() {
    let scene = Scene::new();
    scene.host.as_root().run("umount /run/iam-session").successful();
    let output = doctor(&scene.host.login("alice"));
    is_told(&output, "runtime directory", "is a mount of its own");
    is_told(&output, "agent", "no agent is running for you");
}

#[test]
fn a_place_for_token_files_that_the_module_refuses_is_told() {
    let scene = Scene::new();
    scene.host.as_root().run("chmod 0755 /run/iam-session").successful();
    is_told(&doctor(&scene.host.login("alice")), "runtime directory", "with mode 0711");
}

#[test]
fn what_is_wrong_with_the_token_file_is_told() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    login.run("chmod 0644 $BEARER_TOKEN_FILE").successful();
    is_told(&doctor(&login), "token file", "mode 0644");
    // Others than the agent's, which the agent would mend at once.
    let host = &scene.host;
    let without_agent = |make: &str| {
        let prepare = "rm -f /tmp/file && umask 077";
        host.as_user("bob")
            .run(&format!("{prepare} && {make} && BEARER_TOKEN_FILE=/tmp/file iam-session doctor"))
    };
    for (make, told) in [
        ("head -c 5000 /dev/zero | tr '\\0' x >/tmp/file", "4096"),
        (": >/tmp/file", "is empty"),
        ("mkfifo /tmp/file", "not a regular file"),
        ("true", "there is no /tmp/file"),
    ] {
        let output = without_agent(make);
        // This machine may call itself a container.
        let told = output.stdout.contains(told) || output.stdout.contains("/tmp/file cannot be seen");
        assert!(output.stdout.contains("WRONG    token file: ") && told, "{make}: {output:?}");
    }
}

#[test]
fn an_issuer_out_of_reach_is_told() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    scene.provider.stop();
    is_told(&doctor(&login), "issuer", "iam.example");
}

#[test]
fn variables_of_a_login_that_has_ended_and_leftovers_are_told() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let uid = scene.host.uid("alice");
    let stale = login.run("BEARER_TOKEN_FILE=/tmp/old iam-session doctor");
    is_told(&stale, "environment", "which is not kept fresh");
    login.run(&format!("touch /tmp/bt_u{uid}")).successful();
    is_told(&login.run("env -u BEARER_TOKEN_FILE iam-session doctor"), "environment", "is left over");
    scene.host.as_root().run(&format!("chown bob /tmp/bt_u{uid}")).successful();
    is_told(&doctor(&login), "environment", "is not yours");
}

#[test]
fn a_home_that_hangs_hangs_no_other_look() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let _home = hang(&scene.host, "/home/alice");
    let told = doctor(&login).stdout;
    assert!(told.contains("unknown  configuration: the look did not end in time"), "{told}");
    assert!(told.contains("ok       issuer: ") && told.contains("ok       PAM: "), "{told}");
}

#[test]
fn a_configuration_that_would_make_one_wait_is_a_mistake() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    login.run("mkdir -p ~/.config/iam-session && mkfifo ~/.config/iam-session/config.toml").successful();
    is_told(&doctor(&login), "configuration", "not a regular file");
}

#[test]
fn a_drained_host_is_the_reason_and_none_for_an_agent_that_lives() {
    let scene = Scene::enrolled();
    let before = scene.host.login("alice");
    scene.host.as_root().run("iam-session-admin drain").successful();
    let told = doctor(&before).successful().stdout;
    assert!(told.contains("note     drain: this host is drained"), "{told}");
    is_told(&doctor(&scene.host.login("bob")), "drain", "no new login gets an agent; use another host");
    let root = scene.host.as_root().run("iam-session doctor").stdout;
    assert!(root.contains("note     drain: this host is drained"), "{root}");
}

#[test]
fn a_user_who_is_revoked_with_a_comment_is_told() {
    let scene = Scene::new();
    scene.host.write("/etc/iam-session/revoked", "alice # left in March\n", 0o644);
    is_told(&doctor(&scene.host.login("alice")), "environment", "you are listed in /etc/iam-session/revoked");
    scene.host.as_root().run("chmod 0640 /etc/iam-session/revoked").successful();
    let unread = "/etc/iam-session/revoked cannot be trusted: cannot open";
    is_told(&doctor(&scene.host.login("alice")), "environment", unread);
}

#[test]
fn a_site_directory_that_others_can_write_is_told_by_all_who_look() {
    let scene = Scene::new();
    let root = scene.host.as_root();
    root.run("chmod g+w /etc/iam-session").successful();
    is_told(&root.run("iam-session doctor"), "site", "/etc/iam-session must be root's");
    for command in ["check", "status"] {
        let told = root.run(&format!("iam-session-admin {command}")).stdout;
        assert!(told.contains("/etc/iam-session must be root's, and writable by root alone"), "{told}");
    }
}

#[test]
fn the_proxy_and_the_ca_of_a_users_own_provider_are_used() {
    let scene = Scene::enrolled();
    let move_it = "mkdir -p /home/alice/.config/iam-session/issuers.d \
        && mv /etc/iam-session/issuers.d/*.toml /home/alice/.config/iam-session/issuers.d/ \
        && sed -i '/^default_provider/d' /etc/iam-session/config.toml \
        && chown -R alice: /home/alice/.config";
    scene.host.as_root().run(move_it).successful();
    let told = doctor(&scene.host.login("alice")).successful().stdout;
    assert!(told.contains("ok       issuer: https://iam.example/ answers"), "{told}");
}

#[test]
fn a_program_that_needs_a_setting_is_named_and_not_run() {
    let scene = Scene::enrolled();
    let login = scene.host.login("alice");
    let make = r"mkdir bin && printf '#!/bin/sh\n: >~/ran\n' >bin/rucio && cp bin/rucio bin/pelican && chmod +x bin/rucio";
    login.run(make).successful();
    let told = login.run("PATH=~/bin:$PATH iam-session doctor").successful().stdout;
    assert!(told.contains("note     your programs: rucio: with auth_type = oidc"), "{told}");
    // It is no program: nothing can execute it.
    assert!(!told.contains("pelican"), "{told}");
    assert!(!scene.host.exists("/home/alice/ran"));
    assert!(!doctor(&login).stdout.contains("rucio"));
}

#[test]
fn root_opens_nothing_that_a_users_environment_names() {
    let scene = Scene::new();
    let root = scene.host.as_root();
    root.run("install -d -o alice /tmp/bin && printf '#!/bin/sh\n: >/tmp/ran\n' >/tmp/bin/xrdfs && chmod 755 /tmp/bin/xrdfs")
        .successful();
    let url = root.run("PATH=/tmp/bin:$PATH iam-session doctor roots://se.example//x");
    assert!(url.status == 1 && url.stderr.contains("run this as the user"), "{url:?}");
    assert!(!scene.host.exists("/tmp/ran"));
    root.run(
        "mkdir -p /tmp/home/.config/iam-session && echo nonsense >/tmp/home/.config/iam-session/config.toml \
            && chown -R alice: /tmp/home",
    )
    .successful();
    let told = root
        .run("HOME=/tmp/home BEARER_TOKEN_FILE=/etc/passwd OIDC_SOCK=/tmp/none IAM_SESSION_SOCK=/tmp/s iam-session doctor")
        .stdout;
    assert!(told.contains("note     agent: root has none"), "{told}");
    for unasked in ["/etc/passwd", "oidc-agent", "nonsense", "/tmp/home"] {
        assert!(!told.contains(unasked), "{unasked}: {told}");
    }
}

#[test]
fn root_sees_what_holds_for_all_users() {
    let scene = Scene::new();
    let root = scene.host.as_root();
    let output = root.run("iam-session doctor");
    let text = &output.stdout;
    assert!(
        text.contains("note     agent: root has none") && text.contains("ok       node keys: 1 in "),
        "{text}"
    );
    assert!(text.contains("ok       issuer: https://iam.example/ answers"), "{text}");
    root.run("chmod 0440 /etc/iam-session/keys.d/*.key").successful();
    is_told(&root.run("iam-session doctor"), "node keys", "mode 0400");
}

#[test]
fn what_reads_the_network_for_root_is_not_root() {
    let scene = Scene::new();
    // Its session is its own: whoever shares root's may type into root's terminal.
    let helper = "#!/bin/sh\nread -r line\nset -- $(cat /proc/$$/stat)\nids=\"$(id -un) $(id -Gn), session $(($6 - $$)), terminal $7\"\n\
        echo '{\"error\":{\"class\":\"refused\",\"message\":\"'$ids'\"}}'\n";
    scene.host.write("/usr/libexec/iam-session/helper", helper, 0o755);
    let root = scene.host.as_root();
    let told = root.run("iam-session doctor");
    is_told(&told, "issuer", "iam-session iam-session, session 0, terminal 0");
    root.run("sed -i '/^iam-session:/d' /etc/passwd").successful();
    is_told(&root.run("iam-session doctor"), "issuer", "there is no system user 'iam-session'");
}
