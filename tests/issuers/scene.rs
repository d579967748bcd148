//! What the rows of the table have in common: two realms, and users who enrol there. Starts processes.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use support::{Enrolling, Host, Login, Output};

use crate::keycloak::{Keycloak, Realm};

/// A host, and two realms of one Keycloak.
pub(crate) struct Scene<'h> {
    pub(crate) host: &'h Host,
    /// Where everybody registers whatever they like.
    pub(crate) open: Realm<'h>,
    /// With the policies that Keycloak has by itself.
    pub(crate) strict: Realm<'h>,
}

impl<'h> Scene<'h> {
    pub(crate) fn new(host: &'h Host, keycloak: &'h Keycloak<'h>) -> Self {
        let open = keycloak.realm("Grid");
        open.remove_policies();
        Self { host, open, strict: keycloak.realm("strict") }
    }

    /// A user enrols, and says yes to all in a browser; gives the event at the end, which must be of this name, and what
    /// the command said besides.
    pub(crate) fn enrol(&self, realm: &Realm<'_>, user: &str, arguments: &str, end: &str) -> Value {
        let mut enrolling = Enrolling::running(self.host, user, &format!("enroll --json {arguments}"));
        let code = enrolling.event("device_code");
        realm.approve(&code, user);
        enrolling.event(end)
    }

    /// An enrolment that fails before there is a code.
    pub(crate) fn refused(&self, arguments: &str) -> String {
        // Where there is no provider's file, the CA is known by this.
        let command = format!("X509_CERT_DIR=/etc/iam-session iam-session enroll {arguments}");
        let output = self.host.ssh("alice", &command);
        assert_ne!(output.status, 0, "{output:?}");
        output.stderr
    }

    /// Ends the accounts of a user, whatever came of a row.
    pub(crate) fn forget(&self, user: &str) {
        self.open.configure("");
        let names = "iam-session list --json | grep -o '\"name\":\"[^\"]*\"' | cut -d'\"' -f4";
        self.host.ssh(user, &format!("for name in $({names}); do iam-session forget $name; done"));
    }
}

/// The claims of a token.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_else(|| panic!("no JWT: {token:?}"));
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

/// The scopes of a token's own claim, in order.
pub(crate) fn scopes(token: &str) -> String {
    let claims = claims(token);
    let mut scopes: Vec<&str> = claims["scope"].as_str().unwrap().split(' ').collect();
    scopes.sort_unstable();
    scopes.join(" ")
}

/// The token in a login's file.
pub(crate) fn filed(login: &Login) -> String {
    login.read(&login.env("BEARER_TOKEN_FILE").expect("no BEARER_TOKEN_FILE"))
}

/// Whether a command says this, whatever it does else.
pub(crate) fn says(output: &Output, words: &[&str]) {
    let all = format!("{}{}", output.stdout, output.stderr);
    for word in words {
        assert!(all.contains(word), "'{word}' is not in: {output:?}");
    }
}
