//! The OpenID provider of the tests, in a sandbox. Starts node; speaks to it over its pipes.

use std::fs;
use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Mutex;

use serde_json::{Map, Value, json};

use crate::certificate::Authority;
use crate::host::Host;
use crate::output;
use crate::stream::Stream;

/// The issuer's URL, with IAM's slash at the end.
pub const ISSUER: &str = "https://iam.example/";
/// The CA that vouches for the provider, in the sandbox.
pub(crate) const CA_FILE: &str = "/etc/iam-session/iam.example.pem";
/// Where the programs look for CAs that no provider's file names.
const GRID_CA_FILE: &str = "/etc/grid-security/certificates/provider.pem";
const ADDRESS: &str = "127.0.0.1";
const PORT: &str = "443";
const TLS: &str = "/mnt/tls";
const QUIET: &str = "/mnt/quiet.py";
const BROWSER: &str = "/mnt/browser.py";
pub(crate) const PYTHON: &str = "/mnt/tools/python/bin/python";
const ERRORS: &str = "/mnt/provider.log";

/// A provider that answers as INDIGO IAM does (tests/provider). Dropping it ends it.
pub struct Provider {
    node: Child,
    control: Mutex<Control>,
    /// Who stands in its place while it is [`Provider::quiet`].
    stand_in: Mutex<Option<Child>>,
    /// The CA that vouches for it.
    pub(crate) authority: Authority,
}

/// Where a connection to an issuer that is out of reach gets stuck.
#[derive(Clone, Copy, Debug)]
pub enum Stuck {
    /// No packet is answered.
    Connecting,
    /// The connection comes about, and then nothing does.
    Handshaking,
}

struct Control {
    commands: ChildStdin,
    answers: Stream,
}

impl Provider {
    /// Starts one in the sandbox of `host`, and makes it known there as the provider `wlcg`.
    ///
    /// # Panics
    /// It does not come up.
    pub fn start(host: &Host) -> Self {
        let provider = Self::serve(host, ISSUER);
        host.sandbox().write(CA_FILE, &provider.authority.certificate, 0o644);
        host.configure_provider("wlcg", &format!("issuer = \"{ISSUER}\"\nca_file = \"{CA_FILE}\"\n"));
        provider
    }

    /// Starts one in the place of a real issuer, which no file of the host need tell apart: it has that URL, and a
    /// certificate that the host trusts.
    ///
    /// # Panics
    /// It does not come up.
    pub fn start_as(host: &Host, issuer: &str) -> Self {
        // It is at one place by itself, the root of its server.
        let path = issuer.trim_end_matches('/').splitn(4, '/').nth(3).map(|path| format!("/{path}"));
        let root = issuer.strip_suffix(path.as_deref().unwrap_or_default()).unwrap_or(issuer);
        let provider = Self::serve(host, &format!("{}/", root.trim_end_matches('/')));
        provider.set(json!({"also_at": path}));
        host.sandbox().write(GRID_CA_FILE, &provider.authority.certificate, 0o644);
        provider
    }

    fn serve(host: &Host, issuer: &str) -> Self {
        let sandbox = host.sandbox();
        let authority = Authority::new();
        let name = issuer.split('/').nth(2).expect("no URL");
        // Each by the name that the command `certificate` knows it by.
        for (file, identity) in [
            ("tls", authority.identity(name)),
            ("expired", authority.expired_identity(name)),
            ("another_name", authority.identity("another.example")),
        ] {
            sandbox.write(&format!("{TLS}/{file}.pem"), &identity.certificate, 0o644);
            sandbox.write(&format!("{TLS}/{file}.key"), &identity.key, 0o600);
        }
        sandbox.append("/etc/hosts", &format!("127.0.0.1 {name}\n"));

        sandbox.write(ERRORS, "", 0o644);
        let errors = fs::OpenOptions::new().append(true).open(sandbox.path(ERRORS)).unwrap();
        let mut node = sandbox
            .command("/mnt/tools/node")
            .args(["/mnt/provider/main.mjs", issuer, ADDRESS, PORT, TLS])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let (commands, answers) = (node.stdin.take().unwrap(), Stream::new(node.stdout.take().unwrap()));
        let mut control = Control { commands, answers };
        assert_eq!(control.answer(), "listening", "see {ERRORS}");
        sandbox.write(QUIET, include_str!("quiet.py"), 0o644);
        Self { node, control: Mutex::new(control), stand_in: Mutex::new(None), authority }
    }

    /// A user approves the code that a device shows.
    pub fn approve(&self, user_code: &str, user: &str) {
        self.command("approve", json!({"user_code": user_code, "user": user}));
    }

    /// The same in a browser on `host`, page by page; gives the title of the last page.
    pub fn approve_in_browser(
        &self,
        host: &Host,
        verification_uri: &str,
        user_code: &str,
        user: &str,
    ) -> String {
        host.write(BROWSER, include_str!("browser.py"), 0o644);
        let mut python = host.as_root().command(PYTHON);
        python.args([BROWSER, verification_uri, user_code, user]);
        output::run(&mut python, b"").successful().stdout.trim_end().to_owned()
    }

    /// A user refuses it.
    pub fn deny(&self, user_code: &str) {
        self.command("deny", json!({"user_code": user_code}));
    }

    /// An administrator ends all that a user was granted.
    pub fn revoke_user(&self, user: &str) {
        self.command("revoke_user", json!({"user": user}));
    }

    /// An administrator deletes all clients that were registered.
    pub fn delete_clients(&self) {
        self.command("delete_clients", json!({}));
    }

    /// How many requests came of a kind: `discovery` `registration` `client` `deregistration` `device_authorization`
    /// `poll` `refresh` `revocation` …; `revocation_led_astray`, those by form that were led to the pages; and `reuse`,
    /// refreshes with a token that had been replaced.
    pub fn count(&self, kind: &str) -> u64 {
        self.command("counts", json!({}))[kind].as_u64().unwrap_or(0)
    }

    /// What it has given to clients and nobody else may learn: refresh tokens, client secrets, registration access
    /// tokens, device codes.
    pub fn secrets(&self) -> Vec<String> {
        let secrets = self.command("secrets", json!({}));
        secrets.as_array().unwrap().iter().map(|secret| secret.as_str().unwrap().to_owned()).collect()
    }

    /// Changes settings (tests/provider/settings.mjs), as in `json!({"rotate": true})`.
    pub fn set(&self, values: Value) {
        self.command("set", json!({"values": values}));
    }

    /// From now on fails in this way (a row of tests/provider/faults.mjs), as in
    /// `json!({"fault": "status", "status": 503, "retry_after": 30, "at": ["refresh"], "times": 1})`.
    pub fn fail_with(&self, fault: Value) {
        self.command("fail", fault);
    }

    /// Fails no more.
    pub fn heal(&self) {
        self.command("heal", json!({}));
    }

    /// Shows another certificate: `tls` (the good one), `expired` or `another_name`.
    pub fn show_certificate(&self, name: &str) {
        self.command("certificate", json!({"name": name}));
    }

    /// Listens no more, and forgets nothing.
    pub fn stop(&self) {
        self.command("stop", json!({}));
    }

    /// Is out of reach without saying so.
    pub fn quiet(&self, host: &Host, stuck: Stuck) {
        self.stop();
        let stage = match stuck {
            Stuck::Connecting => "connect",
            Stuck::Handshaking => "handshake",
        };
        let mut command = host.sandbox().command(PYTHON);
        command.args([QUIET, ADDRESS, PORT, stage]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut python = command.spawn().unwrap();
        assert_eq!(Stream::new(python.stdout.take().unwrap()).line().as_deref(), Some("quiet"));
        *self.stand_in.lock().unwrap() = Some(python);
    }

    /// Listens again, after [`Provider::stop`] or [`Provider::quiet`].
    pub fn restart(&self) {
        if let Some(mut python) = self.stand_in.lock().unwrap().take() {
            drop(python.stdin.take());
            python.wait().unwrap();
        }
        self.command("start", json!({}));
    }

    /// The claims of an access token that this provider signed and that is valid now.
    ///
    /// # Panics
    /// It is not.
    pub fn verify(&self, token: &str) -> Value {
        self.command("verify", json!({"token": token.trim_end()}))
    }

    /// Whether this provider signed the token and it is valid now.
    pub fn accepts(&self, token: &str) -> bool {
        self.ask("verify", json!({"token": token.trim_end()})).is_ok()
    }

    fn command(&self, name: &str, fields: Value) -> Value {
        self.ask(name, fields).unwrap_or_else(|error| panic!("the provider's {name}: {error}"))
    }

    fn ask(&self, name: &str, fields: Value) -> Result<Value, Value> {
        let Value::Object(mut command) = fields else { panic!("{fields} is not an object") };
        command.insert("command".to_owned(), name.into());
        // A test that failed in one thread must not hide why from the others.
        let mut control = self.control.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        control.send(command);
        control.read()
    }
}

impl Control {
    fn send(&mut self, command: Map<String, Value>) {
        let line = format!("{}\n", Value::Object(command));
        self.commands.write_all(line.as_bytes()).expect("the provider has ended");
    }

    fn read(&mut self) -> Result<Value, Value> {
        let mut answer: Map<String, Value> = serde_json::from_str(&self.answers.until("\n")).unwrap();
        match answer.remove("error") {
            Some(error) => Err(error),
            None => Ok(answer.remove("ok").unwrap_or_default()),
        }
    }

    fn answer(&mut self) -> Value {
        self.read().unwrap()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // nsenter ends, and with it the pipe from which node reads its commands.
        self.node.kill().unwrap_or_default();
        drop(self.stand_in.lock().map(|mut python| python.take()));
        self.node.wait().map(|_| ()).unwrap_or_default();
    }
}
