//! Numbers for node_exporter, read as its text format says.

use std::collections::BTreeMap;

use support::Host;

use crate::scene::Scene;

const FILE: &str = "/var/tmp/iam-session.prom";

/// The samples of an exposition (Prometheus text format 0.0.4), by name and labels; any other line is a mistake.
fn parse(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let (mut samples, mut family) = (BTreeMap::new(), String::new());
    let mut families = Vec::new();
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').expect(line).0.to_owned();
            assert!(is_name(&family) && !families.contains(&family), "{line}");
            families.push(family.clone());
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert_eq!(kind, format!("{family} gauge"));
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        let (name, labels) = series
            .split_once('{')
            .map_or((series, ""), |(name, rest)| (name, rest.strip_suffix('}').expect(line)));
        assert_eq!(name, family, "{line}");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (name, value) = label.split_once("=\"").expect(line);
            let value = value.strip_suffix('"').expect(line);
            assert!(
                is_name(name) && !value.replace("\\\\", "").replace("\\\"", "").contains(['"', '\\']),
                "{line}"
            );
        }
        assert!(samples.insert(series.to_owned(), value.parse().expect(line)).is_none(), "twice: {line}");
    }
    samples
}

fn metrics(host: &Host) -> BTreeMap<String, f64> {
    host.as_root().run(&format!("iam-session-admin metrics --textfile {FILE}")).successful();
    parse(&host.read(FILE))
}

#[test]
fn the_numbers_are_those_of_the_host() {
    let scene = Scene::enrolled();
    let host = &scene.host;
    let logins = [host.login("alice"), host.login("alice"), host.login("bob")];
    let found = metrics(host);
    let version = format!("iam_session_told_versions{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    for (series, value) in [
        ("iam_session_agents{kind=\"login\",program=\"installed\"}", 3.0),
        ("iam_session_users", 2.0),
        ("iam_session_drained", 0.0),
        ("iam_session_revoked_users", 0.0),
        ("iam_session_node_keys", 1.0),
        (&version, 3.0),
        // Bob has not enrolled.
        ("iam_session_told_without_token", 1.0),
    ] {
        assert_eq!(found.get(series), Some(&value), "{series}: {found:?}");
    }
    // The collector is another user, and reads whole files only.
    assert_eq!(host.as_root().run(&format!("stat -c %a {FILE}; ls -A /var/tmp | wc -l")).stdout, "644\n1\n");
    drop(logins);
    host.as_root()
        .run("iam-session-admin drain && iam-session-admin revoke bob && iam-session-admin kill --all")
        .successful();
    let found = metrics(host);
    assert_eq!(
        (found["iam_session_drained"], found["iam_session_revoked_users"], found["iam_session_users"]),
        (1.0, 1.0, 0.0)
    );
    assert!(!found.keys().any(|series| series.starts_with("iam_session_agents")), "{found:?}");
}

#[test]
fn a_file_that_the_collector_would_not_read_is_not_written() {
    let host = Host::start();
    let told = host.as_root().run("iam-session-admin metrics --textfile /var/tmp/x.txt");
    assert_eq!(told.status, 1, "{told:?}");
    assert!(told.stderr.contains("does not end in .prom") && !host.exists("/var/tmp/x.txt"), "{told:?}");
}
