//! Whom one can enrol with: the site's providers, the user's own, the default one, and the site's notice.

use nix::unistd::getegid;
use serde_json::json;

use crate::enroll::{CODE, ENROLLED, OFFERED, STATUS, Stage};
use crate::program::{Ended, run};

/// `iam-session providers` of a user whose home is beside the stage.
fn providers(stage: &Stage, arguments: &[&str]) -> Ended {
    let mut command = stage.command(&[&["providers"], arguments].concat());
    command.env("HOME", stage.directory.join("home"));
    run(command)
}

fn own(stage: &Stage, name: &str, text: &str) {
    stage.write(&format!("home/.config/iam-session/issuers.d/{name}.toml"), text);
}

#[test]
fn the_list_says_whose_each_is_and_which_is_meant() {
    let stage = Stage::new();
    let list = providers(&stage, &[]);
    assert_eq!(
        list.stdout,
        "* wlcg  https://i.example/  site  Test\n* 'iam-session enroll' means wlcg, the only one\n"
    );
    own(&stage, "mine", "issuer = \"https://mine.example/\"\n");
    let list = providers(&stage, &[]);
    assert_eq!(
        (list.code, list.stdout.as_str()),
        (
            Some(0),
            "  wlcg  https://i.example/     site  Test\n  mine  https://mine.example/  user\n\
             none is yours by default: name one, 'iam-session enroll NAME'\n"
        )
    );
    stage
        .write("etc/config.toml", "default_provider = \"wlcg\"\nallowed_issuers = [\"https://i.example\"]\n");
    let list = providers(&stage, &["--json"]);
    assert_eq!(
        list.stdout,
        "{\"default_provider\":\"wlcg\",\"default_because\":\"default_provider\",\"providers\":[\
         {\"alias\":\"wlcg\",\"issuer\":\"https://i.example/\",\"name\":\"Test\",\"whose\":\"site\",\"allowed\":true,\
         \"default\":true},{\"alias\":\"mine\",\"issuer\":\"https://mine.example/\",\"name\":null,\"whose\":\"user\",\
         \"allowed\":false,\"default\":false}]}\n"
    );
}

#[test]
fn a_unix_group_chooses_by_its_name_or_its_number() {
    // Where the test maps its uid to root, it maps its gid, too.
    let gid = if nix::unistd::geteuid().is_root() { getegid().as_raw() } else { 0 };
    for group in ["physics", &gid.to_string()] {
        let stage = Stage::new();
        stage.write("group", &format!("others:x:4000000001:\nphysics:x:{gid}:alice\n"));
        stage.write("etc/issuers.d/egi.toml", "issuer = \"https://egi.example/\"\ngroups = [\"others\"]\n");
        stage.add_to_provider(&format!("groups = [\"no-such-group\", \"{group}\"]"));
        let list = providers(&stage, &[]);
        let last = "* 'iam-session enroll' means wlcg, for you are in a group of it\n";
        assert!(list.stdout.ends_with(last), "{group}: {list:?}");
        let agent = stage.agent(&[STATUS, OFFERED, CODE, ENROLLED]);
        let ended = run(stage.enroll(&[]));
        assert_eq!((ended.code, agent.requests().len()), (Some(0), 4), "{group}: {ended:?}");
    }
}

#[test]
fn a_users_own_file_takes_no_place_of_the_sites() {
    let stage = Stage::new();
    let path = stage.directory.join("home/.config/iam-session/issuers.d/mine.toml");
    for (text, line) in [
        (
            "alias = \"wlcg\"\nissuer = \"https://mine.example/\"",
            "1: alias 'wlcg' is already one of the site's",
        ),
        (
            "issuer = \"https://i.example\"",
            "1: issuer https://i.example is already the site's provider 'wlcg'",
        ),
        (
            "issuer = \"https://mine.example/\"\nexpect_subject = \"sub=%u\"",
            "2: 'expect_subject' is for the site to set",
        ),
    ] {
        own(&stage, "mine", text);
        let list = providers(&stage, &[]);
        assert_eq!((list.code, list.stdout.as_str()), (Some(1), ""));
        assert!(
            list.stderr.starts_with(&format!("iam-session: {}:{line}; accepted: ", path.display())),
            "{list:?}"
        );
        assert_eq!(list.stderr.lines().count(), 1);
    }
}

#[test]
fn a_users_own_provider_is_enrolled_with_by_its_name() {
    let stage = Stage::new();
    stage.write("etc/issuers.d/wlcg.toml", "issuer = \"https://wlcg.example/\"\n");
    own(&stage, "mine", "issuer = \"https://i.example\"\nscope = \"wlcg\"\naudience = \"resource\"\n");
    let agent = stage.agent(&[STATUS, OFFERED, CODE, ENROLLED]);
    let mut enroll = stage.enroll(&["mine"]);
    enroll.env("HOME", stage.directory.join("home"));
    let ended = run(enroll);
    let requests = agent.requests();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let begun = &requests[2];
    assert_eq!((&begun["account"], &begun["issuer"]), (&json!("mine"), &json!("https://i.example")));
    assert_eq!(begun["scope"], "offline_access openid wlcg");
}

#[test]
fn the_sites_notice_comes_before_the_code() {
    let stage = Stage::new();
    stage.add_to_provider("notice = \"\"\"Use it well.\nOr not at all.\"\"\"");
    let agent = stage.agent(&[STATUS, OFFERED, CODE, ENROLLED]);
    let ended = run(stage.enroll(&["wlcg"]));
    agent.requests();
    assert!(ended.stderr.starts_with("Use it well.\nOr not at all.\n\nEnrolling alice on "), "{ended:?}");

    let stage = Stage::new();
    let text = stage.write("etc/aup.txt", "By approving you accept.\n");
    assert!(text.ends_with("etc/aup.txt"));
    stage.add_to_provider("notice_file = \"/etc/iam-session/aup.txt\"");
    let agent = stage.agent(&[STATUS, OFFERED, CODE, ENROLLED]);
    let ended = run(stage.enroll(&["wlcg", "--json"]));
    agent.requests();
    let first = "{\"event\":\"notice\",\"text\":\"By approving you accept.\"}\n{\"event\":\"device_code\",";
    assert!(ended.stdout.starts_with(first), "{ended:?}");
}

#[test]
fn a_notice_that_cannot_be_read_is_not_left_out() {
    let stage = Stage::new();
    stage.add_to_provider("notice_file = \"/etc/iam-session/aup.txt\"");
    let agent = stage.agent(&[STATUS]);
    let ended = run(stage.enroll(&["wlcg"]));
    agent.requests();
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(1), "iam-session: cannot read /etc/iam-session/aup.txt: there is no such file\n")
    );
}
