//! The files of providers that ship, as a new user meets them: the tests' provider stands in the place of each file's
//! issuer, under its name, and answers as its kind does. The user gets a token, or one line that says what is missing.

use std::fs;

use serde_json::{Value, json};
use support::{Enrolling, Host, Provider};

use crate::scene::{json_of, token_file, words};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/config/issuers.d");
/// Which INDIGO IAM answers as the tests' provider does, and which Keycloak `make issuers` runs.
const ANSWERS: &str = include_str!("../../provider/answers.mjs");
const KEYCLOAK: &str = include_str!("../../setup/keycloak.sh");

/// One file that ships.
struct Shipped {
    alias: String,
    text: String,
}

/// What the file says that its issuer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    IndigoIam,
    Keycloak,
}

impl Shipped {
    fn all() -> Vec<Self> {
        let paths = fs::read_dir(FILES).unwrap().map(|entry| entry.unwrap().path());
        let all: Vec<_> = paths
            .map(|path| Self {
                alias: path.file_stem().unwrap().to_str().unwrap().to_owned(),
                text: fs::read_to_string(path).unwrap(),
            })
            .collect();
        assert!(!all.is_empty(), "{FILES}");
        all
    }

    /// The comment at the top, in one line.
    fn comment(&self) -> String {
        let lines = self.text.lines().map_while(|line| line.strip_prefix("# "));
        lines.collect::<Vec<_>>().join(" ")
    }

    fn kind(&self) -> Kind {
        match self.comment() {
            comment if comment.contains("An INDIGO IAM.") => Kind::IndigoIam,
            comment if comment.contains("A Keycloak.") => Kind::Keycloak,
            comment => panic!("{}: what its issuer is, nobody can tell: {comment}", self.alias),
        }
    }

    fn issuer(&self) -> &str {
        let line = self.text.lines().find_map(|line| line.strip_prefix("issuer = ")).unwrap();
        line.trim_matches('"')
    }

    /// A host where the file lies as it ships, with `more` of the site's own, and a provider in the place of its issuer.
    fn met(&self, more: &str) -> (Provider, Host) {
        let host = Host::start();
        host.configure_provider(&self.alias, &format!("{}{more}", self.text));
        let provider = Provider::start_as(&host, self.issuer());
        provider.set(json!({"device_interval": 1}));
        if self.kind() == Kind::Keycloak {
            provider.set(json!({
                "errors": "standard", "demands_pkce": true, "scopes_of_no_client": ["openid"], "audience_scopes": {},
                "redirects_revocation_forms": false,
                "scopes_supported": ["openid", "offline_access", "profile", "email", "eduperson_entitlement"],
            }));
            // Its default scopes, asked for or not.
            provider.fail_with(json!({"fault": "surplus", "scope": "profile email", "at": ["refresh"]}));
        }
        (provider, host)
    }

    /// The user enrols; gives the event, and the claims of the token in the file of the login that follows.
    fn enrolled(&self, provider: &Provider, host: &Host) -> (Value, Value) {
        let mut enrolling = Enrolling::start(host, "alice", &self.alias);
        provider.approve(enrolling.event("device_code")["user_code"].as_str().unwrap(), "alice");
        let enrolled = enrolling.event("enrolled");
        let login = host.login("alice");
        let file = token_file(&login);
        host.wait_until("the token file", || host.exists(&file));
        let status = login.run("iam-session status");
        assert!(status.stdout.contains("all is well"), "{}: {status:?}", self.alias);
        assert_eq!(json_of(&login, "iam-session list --json")["accounts"][0]["issuer"], enrolled["issuer"]);
        (enrolled, provider.verify(&login.read(&file)))
    }

    /// What the user reads who gets none.
    fn refused(&self, host: &Host) -> String {
        let output = host.ssh("alice", &format!("iam-session enroll {} </dev/null", self.alias));
        assert_eq!((output.status, output.stdout.as_str()), (5, ""), "{}: {output:?}", self.alias);
        assert_eq!(output.stderr.lines().count(), 1, "{}: {output:?}", self.alias);
        output.stderr
    }
}

/// Looks at all files of a kind.
fn each(kind: Kind, look: impl Fn(&Shipped)) {
    let files: Vec<_> = Shipped::all().into_iter().filter(|file| file.kind() == kind).collect();
    assert!(!files.is_empty(), "none is {kind:?}");
    files.iter().for_each(look);
}

#[test]
fn each_file_says_which_issuer_it_was_tried_at_and_how() {
    let recorded = ANSWERS.lines().next().unwrap();
    let version = KEYCLOAK.lines().find_map(|line| line.strip_prefix("version=")).unwrap();
    for file in Shipped::all() {
        let tried = match file.kind() {
            Kind::IndigoIam => "INDIGO IAM 1.12".to_owned(),
            Kind::Keycloak => format!("Keycloak {version}"),
        };
        let comment = file.comment();
        assert!(recorded.contains("INDIGO IAM 1.12") || file.kind() != Kind::IndigoIam, "{recorded}");
        assert!(comment.contains(&format!("Tried at {tried}")), "{}: {comment}", file.alias);
        for words in ["the tests' provider in this issuer's place", "not at this issuer"] {
            assert!(comment.contains(words), "{}: '{words}' is not in {comment}", file.alias);
        }
    }
}

#[test]
fn at_each_iam_a_new_user_gets_a_token_that_reads() {
    each(Kind::IndigoIam, |file| {
        let (provider, host) = file.met("");
        let (enrolled, claims) = file.enrolled(&provider, &host);
        assert_eq!(enrolled["issuer"], file.issuer());
        assert!(enrolled["not_granted"].is_null(), "{enrolled}");
        assert_eq!(words(&claims["scope"]), ["openid", "storage.read:/", "wlcg"], "{}", file.alias);
    });
}

/// Some restrict the scopes of storage, and some let nobody register.
#[test]
fn at_each_iam_a_new_user_who_gets_less_is_told_what_is_missing() {
    each(Kind::IndigoIam, |file| {
        let (provider, host) = file.met("");
        provider.set(json!({"registration": "disabled"}));
        let said = file.refused(&host);
        assert!(said.contains("Client registration is disabled") && said.contains("--client-id"), "{said}");
        provider.set(json!({"registration": true, "restricted_scopes": ["storage.read:/"]}));
        let (enrolled, claims) = file.enrolled(&provider, &host);
        assert_eq!(enrolled["not_granted"][0]["scope"], "storage.read:/", "{enrolled}");
        let reason = enrolled["not_granted"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("a restricted scope: ask its administrators"), "{reason}");
        assert_eq!(words(&claims["scope"]), ["openid", "wlcg"], "{}", file.alias);
    });
}

#[test]
fn at_each_keycloak_a_new_user_is_told_that_a_client_is_missing_and_gets_a_token_with_the_sites() {
    each(Kind::Keycloak, |file| {
        let (provider, host) = file.met("");
        let said = file.refused(&host);
        assert!(said.contains("registers no clients by itself; name a client with --client-id"), "{said}");
        assert_eq!((provider.count("registration"), provider.count("device_authorization")), (0, 0));
        drop(provider);
        let (provider, host) = file.met("client_id = \"public-dc-client\"\n");
        let (enrolled, claims) = file.enrolled(&provider, &host);
        assert!(enrolled["not_granted"].is_null(), "{enrolled}");
        let mut scopes = words(&claims["scope"]);
        scopes.sort_unstable();
        assert_eq!(scopes, ["email", "openid", "profile"], "{}", file.alias);
        assert_eq!(provider.count("registration"), 0);
    });
}
