//! A real Keycloak on a machine of the tests: its start, its administrator, its pages. Starts processes.

use serde_json::{Value, json};
use support::{Authority, Background, Host, Output};

/// Its name; the realms are below it.
const NAME: &str = "keycloak.example";
const PORT: &str = "8443";
const CA_FILE: &str = "/etc/iam-session/keycloak.example.pem";
const SCRIPT: &str = "/mnt/keycloak.py";
const PYTHON: &str = "/mnt/tools/python/bin/python";
const HOME: &str = "/mnt/keycloak";
/// What it says when it can be asked.
const READY: &str = "Listening on:";
/// What a grid site has besides Keycloak's own.
const SCOPES: [&str; 4] = ["wlcg", "storage.read:/", "storage.modify:/", "compute.read"];

/// The server. Dropping it ends it.
pub(crate) struct Keycloak<'h> {
    host: &'h Host,
    _server: Background,
}

/// One realm, which is an issuer.
pub(crate) struct Realm<'k> {
    keycloak: &'k Keycloak<'k>,
    pub(crate) name: &'static str,
}

impl<'h> Keycloak<'h> {
    /// Starts it with these realms, each by an import of realm.json.
    pub(crate) fn start(host: &'h Host, realms: &[&str]) -> Self {
        let authority = Authority::new();
        let identity = authority.identity(NAME);
        host.write(CA_FILE, &authority.certificate, 0o644);
        host.write("/mnt/keycloak.crt", &identity.certificate, 0o644);
        host.write("/mnt/keycloak.key", &identity.key, 0o600);
        host.write(SCRIPT, include_str!("keycloak.py"), 0o644);
        host.sandbox().append("/etc/hosts", &format!("127.0.0.1 {NAME}\n"));
        // What it writes beside its programs stays on the machine.
        let layers = "lowerdir=/mnt/tools/keycloak,upperdir=/mnt/kc/upper,workdir=/mnt/kc/work";
        let mount = format!("mount -t overlay -o {layers} overlay {HOME}");
        host.as_root().run(&format!("mkdir -p /mnt/kc/upper /mnt/kc/work {HOME} && {mount}")).successful();
        for realm in realms {
            let text = include_str!("realm.json").replace("REALM", realm);
            host.write(&format!("{HOME}/data/import/{realm}.json"), text, 0o644);
        }
        let mut server = Background::start(Self::command(host));
        while !server.line().contains(READY) {}
        Self { host, _server: server }
    }

    fn command(host: &Host) -> std::process::Command {
        let mut command = host.as_root().command("env");
        command.args([
            "KC_BOOTSTRAP_ADMIN_USERNAME=admin",
            "KC_BOOTSTRAP_ADMIN_PASSWORD=admin",
            "JAVA_OPTS_KC_HEAP=-Xms64m -Xmx384m",
            "JAVA_OPTS_GC=-XX:+UseSerialGC",
            "JAVA_OPTS_APPEND=-XX:TieredStopAtLevel=1",
        ]);
        command.arg(format!("{HOME}/bin/kc.sh")).args(["start", "--optimized", "--import-realm"]);
        command.args(["--cache=local", "--http-enabled=false", "--http-host=127.0.0.1"]);
        command.arg(format!("--hostname=https://{NAME}:{PORT}")).arg(format!("--https-port={PORT}"));
        command.arg("--https-certificate-file=/mnt/keycloak.crt");
        command.arg("--https-certificate-key-file=/mnt/keycloak.key");
        command.args(["--http-management-scheme=http", "--http-management-host=127.0.0.1"]);
        command
    }

    /// A realm, with a provider's file of the same name and the scopes that a grid site has.
    pub(crate) fn realm(&'h self, name: &'static str) -> Realm<'h> {
        let realm = Realm { keycloak: self, name };
        realm.configure("");
        for scope in SCOPES {
            realm.add_scope(scope, &[]);
        }
        realm
    }

    /// Which one it is.
    pub(crate) fn version(&self) -> String {
        let text = self.host.read(&format!("{HOME}/version.txt"));
        text.trim().rsplit(' ').next().unwrap_or_default().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut python = self.host.as_root().command("env");
        let base = format!("https://{NAME}:{PORT}");
        python.args([&format!("SSL_CERT_FILE={CA_FILE}"), PYTHON, SCRIPT, &base]).args(arguments);
        Output::of(&mut python, b"").successful()
    }

    /// Opens a page, signs in, says yes to all that it asks; gives what the last page says.
    fn visit(&self, url: &str, user: &str) -> String {
        self.run(&["page", url, user, user]).stdout
    }
}

impl Realm<'_> {
    /// Its URL.
    pub(crate) fn issuer(&self) -> String {
        format!("https://{NAME}:{PORT}/realms/{}", self.name)
    }

    /// Writes the provider's file.
    pub(crate) fn configure(&self, lines: &str) {
        let text = format!("issuer = \"{}\"\nca_file = \"{CA_FILE}\"\n{lines}", self.issuer());
        self.keycloak.host.configure_provider(self.name, &text);
    }

    fn api(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let path = format!("/{}{path}", self.name);
        let body = body.map(|body| body.to_string());
        let mut arguments = vec!["api", method, path.as_str()];
        arguments.extend(body.as_deref());
        serde_json::from_str(&self.keycloak.run(&arguments).stdout).unwrap()
    }

    /// Changes the realm.
    pub(crate) fn change(&self, fields: Value) {
        self.api("PUT", "", Some(fields));
    }

    /// A client scope, which every client that is registered may ask for.
    pub(crate) fn add_scope(&self, name: &str, mappers: &[Value]) {
        let shown = json!({"include.in.token.scope": "true", "display.on.consent.screen": "true"});
        let scope = json!({"name": name, "protocol": "openid-connect", "attributes": shown, "protocolMappers": mappers});
        let id = self.api("POST", "/client-scopes", Some(scope))["id"].take();
        self.api("PUT", &format!("/default-optional-client-scopes/{}", id.as_str().unwrap()), None);
    }

    /// A scope whose tokens are for `audience`.
    pub(crate) fn add_audience_scope(&self, name: &str, audience: &str) {
        let mapper = json!({"name": "aud", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
                            "config": {"included.custom.audience": audience, "access.token.claim": "true"}});
        self.add_scope(name, &[mapper]);
    }

    /// A public client with the device flow.
    pub(crate) fn add_client(&self, id: &str, attributes: Value, fields: Value) {
        let mut all = json!({"oauth2.device.authorization.grant.enabled": "true"});
        all.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        let mut client = json!({"clientId": id, "enabled": true, "publicClient": true, "consentRequired": true,
                                "standardFlowEnabled": false, "attributes": all});
        client.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.api("POST", "/clients", Some(client));
    }

    /// The ids of a client: its own, and that of the administrator's interface.
    fn client(&self, id: &str) -> Option<Value> {
        let found = self.api("GET", &format!("/clients?clientId={id}"), None);
        found.as_array().unwrap().first().cloned()
    }

    /// Changes a client.
    pub(crate) fn change_client(&self, id: &str, fields: Value) {
        let mut client = self.client(id).unwrap();
        client.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let path = format!("/clients/{}", client["id"].as_str().unwrap());
        // An empty answer is an object without an id.
        self.api("PUT", &path, Some(client));
    }

    /// Whether there is such a client.
    pub(crate) fn has_client(&self, id: &str) -> bool {
        self.client(id).is_some()
    }

    /// All clients that registered themselves here.
    pub(crate) fn registered_clients(&self) -> Vec<String> {
        let clients = self.api("GET", "/clients", None);
        let ours =
            clients.as_array().unwrap().iter().filter(|client| {
                client["name"].as_str().is_some_and(|name| name.starts_with("iam-session:"))
            });
        ours.map(|client| client["clientId"].as_str().unwrap().to_owned()).collect()
    }

    /// Has everybody register whatever they like.
    pub(crate) fn remove_policies(&self) {
        let kind = "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy";
        let policies = self.api("GET", &format!("/components?type={kind}"), None);
        for policy in policies.as_array().unwrap() {
            self.api("DELETE", &format!("/components/{}", policy["id"].as_str().unwrap()), None);
        }
    }

    /// A token with which a client can be registered.
    pub(crate) fn initial_access_token(&self) -> String {
        let made =
            self.api("POST", "/clients-initial-access", Some(json!({"count": 5, "expiration": 86400})));
        made["token"].as_str().unwrap().to_owned()
    }

    /// The sessions that a user has kept with a client by offline_access.
    pub(crate) fn offline_sessions(&self, client: &str) -> u64 {
        let id = self.client(client).unwrap()["id"].take();
        let count =
            self.api("GET", &format!("/clients/{}/offline-session-count", id.as_str().unwrap()), None);
        count["count"].as_u64().unwrap()
    }

    /// The user opens the page that a device shows, and says yes.
    pub(crate) fn approve(&self, code: &Value, user: &str) -> String {
        let field = |name: &str| code[name].as_str().map(str::to_owned);
        let url = field("verification_uri_complete").or_else(|| field("verification_uri")).unwrap();
        self.keycloak.visit(&url, user)
    }
}
