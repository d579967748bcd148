//! Every command of ours in docs/coming-from-oidc-agent.md works, in the order of the page, typed on a terminal.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use support::{Attend, Host, ISSUER, Login, Provider};

use crate::scene::Scene;

const PAGE: &str = include_str!("../../../docs/coming-from-oidc-agent.md");
/// From here on no login has started an agent.
const WITHOUT_A_LOGIN: &str = "\n## Without a login\n";
const PASSPHRASE: &str = "correct horse battery";
const PASSWORD: &str = "alice's own, äöü & more";

/// What the page leaves to its reader, and what stands for it here.
const FILLED_IN: [(&str, &str); 4] = [
    ("PASSWORD_CLIENT", "password-grant"),
    ("CONFIDENTIAL_CLIENT", "device-code-client"),
    ("CLIENT", "public-dc-client"),
    ("https://iam.example.org/", ISSUER),
];

/// What the page promises of some of its commands: what is then to be seen, by that command or by another after it. The
/// claims of a token that is printed count as printed. `!` is before what must not be there.
const PROMISED: [(&str, Option<&str>, &str); 18] = [
    ("iam-session enroll wlcg", Some("iam-session list"), "wlcg"),
    ("iam-session token", None, "storage.read:/"),
    ("iam-session token", None, "!offline_access"),
    (
        "iam-session token -s storage.read:/cms --aud https://se.example.org",
        None,
        "\"aud\":\"https://se.example.org\"",
    ),
    ("iam-session token -s storage.create:/cms/me", None, "\"scope\":\"storage.create:/cms/me\""),
    ("iam-session token -s storage.read:/cms -s wlcg.groups", None, "storage.read:/cms"),
    ("iam-session token -s storage.read:/cms -s wlcg.groups", None, "wlcg.groups"),
    ("iam-session token --json", None, "\"expires_at\""),
    ("iam-session run -s storage.read:/cms -- env", None, "BEARER_TOKEN=eyJ"),
    ("iam-session token -s storage.read:/cms | iam-session decode -", None, "storage.read:/cms"),
    ("iam-session enroll wlcg --account cms", Some("iam-session list"), "cms"),
    ("iam-session rename wlcg atlas", Some("iam-session list"), "atlas"),
    ("iam-session rename atlas wlcg", Some("iam-session list"), "!atlas"),
    ("iam-session forget cms", None, "revoked the refresh token"),
    ("iam-session forget cms", Some("iam-session list"), "!cms"),
    ("iam-session lock", Some("iam-session token"), "!eyJ"),
    ("iam-session unlock", Some("iam-session token"), "storage.read:/"),
    ("eval \"$(iam-session stop)\"", Some("echo \"${BEARER_TOKEN_FILE-none}\""), "none"),
];

/// The options of oidc-agent 4.2.6, as its own help has them, without those that every program has; and what the change
/// log of 5 adds.
const OIDC_AGENT: &str = "--always-allow-idtoken -a --socket-path --bind_address -c --confirm --json -k --kill \
    --no-autoload --no-autoreauthenticate --no-scheme --no-webserver --pw-store --quiet --seccomp -t --lifetime \
    --with-group -d --console -g --debug --log-stderr --status --bind-address --pid-file \
    --restart-on-update COMMAND";
const OIDC_GEN: &str = "-d --delete -l --accounts -p --print --reauthenticate --rename -u --update --client-id \
    --client-secret -f --file --iss --issuer -m --manual --no-save --port --pub --redirect-uri --scope --scope-all \
    --scope-max --at --access-token --aud --audience --cnid --client-name-identifier --cp --cert-path --cert-file --dae \
    --device-authorization-endpoint --only-at --op-password --op-username --rt --refresh-token --rt-env \
    --refresh-token-env -w --flow --codeExchange --confirm-default --confirm-no --confirm-yes --no-scheme --no-url-call \
    --no-webserver --prompt --pw-cmd --pw-env --pw-file --pw-gpg --pw-prompt --seccomp --state -g --debug -v --verbose \
    --config-endpoint";
const OIDC_ADD: &str = "--always-allow-idtoken -a --loaded -c --confirm -l --list --pw-cmd --pw-env --pw-file --pw-gpg \
    --pw-keyring --pw-prompt --pw-store -p --print --remote -r --remove -R --remove-all --seccomp -t --lifetime -x --lock \
    -X --unlock -g --debug -v --verbose";
const OIDC_TOKEN: &str = "-a --all -c --env -e --expires-at -f --force-new -i --issuer -o --token -t --time --aud \
    --id-token --name --seccomp -s --scope --bearer --auth-header oidc-tokensh";

/// The code spans of a text, and the lines of its blocks, that call the program. A vertical bar in a cell is escaped.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, part) in text.split("\n```").enumerate() {
        let spans: Vec<&str> = match index % 2 {
            0 => part.split('`').skip(1).step_by(2).collect(),
            _ => part.lines().map(|line| line.split("  #").next().unwrap().trim()).collect(),
        };
        let one_line = |span: &str| span.replace('\n', " ").replace("\\|", "|");
        found.extend(spans.into_iter().map(one_line).filter(|span| span.contains("iam-session ")));
    }
    found
}

/// The page's two parts: after a login that has an agent, and without one.
fn parts() -> (&'static str, &'static str) {
    PAGE.split_once(WITHOUT_A_LOGIN).expect("the part without a login")
}

/// A refresh token as oidc-agent would have it: of a client that somebody registered, by a device flow of its own.
fn refresh_token(scene: &Scene, login: &Login) -> String {
    let ask = |path: &str, fields: &str| -> Value {
        let curl = "curl -sS --cacert /etc/iam-session/iam.example.pem -u device-code-client:secret";
        let answer = login.run(&format!("{curl} {fields} {ISSUER}{path}")).successful().stdout;
        serde_json::from_str(answer.trim()).unwrap()
    };
    let scope = "-d scope='openid offline_access storage.read:/'";
    let code = ask("devicecode", &format!("-d client_id=device-code-client {scope}"));
    scene.provider.approve(code["user_code"].as_str().unwrap(), "alice");
    let grant = "-d grant_type=urn:ietf:params:oauth:grant-type:device_code";
    let token = ask("token", &format!("{grant} -d device_code={}", code["device_code"].as_str().unwrap()));
    token["refresh_token"].as_str().unwrap().to_owned()
}

/// What was printed, and of each token in it the claims.
fn shown(printed: &str) -> String {
    let parts = printed.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    let payload = |token: &str| BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok();
    let claims = parts.filter(|part| part.starts_with("eyJ")).filter_map(payload);
    let claims = claims.map(|claims| String::from_utf8_lossy(&claims).into_owned());
    [printed.to_owned()].into_iter().chain(claims).collect::<Vec<_>>().join("\n")
}

/// What the page promises of a command that was run.
fn keeps_promises(login: &Login, command: &str, printed: &str) {
    for (_, then, promise) in PROMISED.iter().filter(|(of, ..)| *of == command) {
        let text = shown(&then.map_or_else(|| printed.to_owned(), |then| login.run(then).stdout));
        let (word, wanted) = promise.strip_prefix('!').map_or((*promise, true), |word| (word, false));
        // A terminal ends its lines with two characters.
        let kept = text.replace('\r', "").contains(word) == wanted;
        assert!(kept, "{command:?}, {then:?}: {promise:?} is not so of {text:?}");
    }
}

/// Runs the commands of a text, as a user before a terminal who has the browser beside it.
fn follow(scene: &Scene, login: &Login, text: &str) {
    scene.provider.set(json!({"device_interval": 1}));
    let refresh_token = refresh_token(scene, login);
    for (file, line) in [
        ("secret", "secret"),
        ("password", PASSWORD),
        ("passphrase", PASSPHRASE),
        ("refresh-token", &refresh_token),
        ("initial-access-token", "open-sesame"),
    ] {
        login.run(&format!("umask 077; cat >{file} <<'EOF'\n{line}\nEOF")).successful();
    }
    let approve = |code: &str| scene.provider.approve(code, "alice");
    let attended = [
        ("The code is ", Attend::Read(&approve)),
        ("assphrase: ", Attend::Type(PASSPHRASE)),
        ("The same again: ", Attend::Type(PASSPHRASE)),
        ("Password of 'alice' at https://iam.example/: ", Attend::Type(PASSWORD)),
    ];
    // Else only the last of a pipeline's commands would count.
    login.run("set -o pipefail").successful();
    for command in commands(text) {
        let filled =
            FILLED_IN.iter().fold(command.clone(), |command, (word, stands)| command.replace(word, stands));
        let output = login.run_attended(&filled, &attended);
        assert_eq!(output.status, 0, "{filled}: {output:?}");
        keeps_promises(login, &command, &output.stdout);
    }
}

#[test]
fn the_page_is_right_after_a_login() {
    let host = Host::plan().site("password_flow = \"yes\"").start();
    host.add_node_key();
    let scene = Scene { provider: Provider::start(&host), host };
    let login = scene.host.login_on_terminal("alice");
    follow(&scene, &login, parts().0);
    assert_eq!(scene.provider.count("password"), 2, "typed once, and once from a file");
}

#[test]
fn the_page_is_right_without_a_login() {
    let host = Host::plan().without_agent().start();
    let scene = Scene { provider: Provider::start(&host), host };
    let login = scene.host.login_on_terminal("alice");
    login.run("cd && export USER=alice").successful();
    follow(&scene, &login, parts().1);
}

#[test]
fn the_page_has_the_commands_of_a_whole_day() {
    let all = commands(PAGE);
    assert!(all.len() > 40, "{all:?}");
    let promised = PROMISED.iter().map(|(command, ..)| *command);
    for command in promised {
        assert!(all.iter().any(|one| one == command), "{command:?} is not on the page: {all:#?}");
    }
}

#[test]
fn every_option_of_oidc_agent_is_on_the_page() {
    for (heading, options) in [
        ("\n## oidc-agent, ", OIDC_AGENT),
        ("\n## oidc-gen\n", OIDC_GEN),
        ("\n## oidc-add\n", OIDC_ADD),
        ("\n## oidc-token\n", OIDC_TOKEN),
    ] {
        let (_, section) = PAGE.split_once(heading).expect("a section of this name");
        let section = section.split("\n## ").next().unwrap();
        for option in options.split(' ') {
            let there = ["`", "=", " "].iter().any(|end| section.contains(&format!("`{option}{end}")));
            let named = there || section.contains(&format!(" {option}`"));
            assert!(named, "{heading} has no {option}");
        }
    }
}
