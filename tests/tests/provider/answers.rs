//! That the provider says what INDIGO IAM says: status and body of each answer, as they were recorded at one.

use serde_json::{Value, json};

use crate::scene::{Scene, text};

const SCOPE: &str = "openid offline_access storage.read:/";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A request by curl; gives the status and the body.
fn curl(scene: &Scene, arguments: &str) -> (u16, String) {
    let curl = "curl -s -w '\\n%{http_code}' --cacert /etc/iam-session/iam.example.pem";
    let output = scene.host.as_root().run(&format!("{curl} {arguments}")).successful().stdout;
    let (body, status) = output.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

fn says(scene: &Scene, arguments: &str, status: u16, error: &str, description: &str) {
    let (found, body) = curl(scene, arguments);
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{arguments}: {found} {body}"));
    let mut expected = json!({"error": error});
    if !description.is_empty() {
        expected["error_description"] = description.into();
    }
    assert_eq!((found, &body), (status, &expected), "{arguments}");
}

fn is_silent(scene: &Scene, arguments: &str, status: u16) {
    assert_eq!(curl(scene, arguments), (status, String::new()), "{arguments}");
}

fn post(path: &str, fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("--data-urlencode '{name}={value}' "));
    format!("{}https://iam.example{path}", fields.collect::<String>())
}

#[test]
fn a_registration_is_refused_in_free_text() {
    let scene = Scene::new();
    let register = |metadata: Value| {
        format!(
            "-H 'Content-Type: application/json' -d '{metadata}' https://iam.example/iam/api/client-registration"
        )
    };
    let client = |method: &str| {
        json!({"client_name": "iam-session:x", "scope": SCOPE, "token_endpoint_auth_method": method,
               "grant_types": [DEVICE_GRANT, "refresh_token"], "redirect_uris": [], "response_types": []})
    };
    is_silent(&scene, &register(client("bogus")), 400);
    let mut named = client("none");
    named["client_name"] = "abc".into();
    let length = "registerClient.request.clientName: Invalid length: must be between 4 and 256 characters";
    says(&scene, &register(named), 400, length, "");
    let mut grant = client("none");
    grant["grant_types"] = json!(["password"]);
    says(&scene, &register(grant), 400, "Grant type not allowed: password", "");
    scene.provider.set(json!({"initial_access_token": "t"}));
    let closed = "You do not have enough privileges to access this client registration API";
    says(&scene, &register(client("none")), 403, closed, "");
    scene.provider.set(json!({"registration": "disabled"}));
    says(&scene, &register(client("none")), 400, "Client registration is disabled", "");
    let (_, document) = curl(&scene, "https://iam.example/.well-known/openid-configuration");
    assert!(document.contains("registration_endpoint"), "discovery names it all the same");
}

#[test]
fn a_device_code_is_refused_by_each_of_its_reasons() {
    let scene = Scene::new();
    let code = |fields: &[(&str, &str)]| post("/devicecode", fields);
    is_silent(&scene, &format!("-u device-code-client:secret {}", code(&[("scope", "openid")])), 400);
    is_silent(&scene, &code(&[("client_id", "nobody"), ("scope", "openid")]), 404);
    let lacking = code(&[("client_id", "device-code-client"), ("scope", "compute.read")]);
    let scope = "One or more requested scope is not allowed for client 'device-code-client'";
    says(&scene, &lacking, 400, "invalid_scope", scope);
    let grant = format!("Unauthorized grant type: {DEVICE_GRANT}");
    let other = code(&[("client_id", "password-grant"), ("scope", "openid")]);
    says(&scene, &format!("-u password-grant:secret {other}"), 401, "invalid_client", &grant);
}

#[test]
fn a_poll_names_its_code() {
    let mut scene = Scene::new();
    let endpoints = scene.discover()["endpoints"].take();
    let client = json!({"client_id": "public-dc-client", "auth": "none"});
    let device = scene.device_code(&endpoints, &client, SCOPE);
    let poll = |code: &str| {
        post(
            "/token",
            &[("client_id", "public-dc-client"), ("grant_type", DEVICE_GRANT), ("device_code", code)],
        )
    };
    let code = text(&device["device_code"]).to_owned();
    let waits = format!("Authorization pending for code: {code}");
    says(&scene, &poll(&code), 400, "authorization_pending", &waits);
    says(&scene, &poll("wrong"), 400, "invalid_grant", "Invalid device code: wrong");
}

#[test]
fn a_refresh_is_refused_by_each_of_its_reasons() {
    let mut scene = Scene::new();
    let endpoints = scene.discover()["endpoints"].take();
    let client =
        json!({"client_id": "device-code-client", "client_secret": "secret", "auth": "client_secret_basic"});
    let grant = scene.enroll_client(endpoints, client, SCOPE);
    let token = text(&grant.token["refresh_token"]).to_owned();
    let refresh = |client: &str, scope: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &token), ("scope", scope)];
        format!("-u {client} {}", post("/token", &fields))
    };
    let good = "device-code-client:secret";
    says(&scene, &refresh("device-code-client:wrong", "openid"), 401, "unauthorized", "Bad credentials");
    says(&scene, &refresh("nobody:secret", "openid"), 401, "unauthorized", "Bad credentials");
    let lacking = "Scope 'compute.read' not allowed for client 'device-code-client'";
    says(&scene, &refresh(good, "compute.read"), 400, "invalid_scope", lacking);
    says(&scene, &refresh(good, "wlcg"), 400, "invalid_scope", "Up-scoping is not allowed.");
    let dead = post("/token", &[("grant_type", "refresh_token"), ("refresh_token", "dead")]);
    let gone = "Refresh token for value dead was not found";
    says(&scene, &format!("-u {good} {dead}"), 401, "invalid_token", gone);
    let form = [("client_id", "device-code-client"), ("client_secret", "wrong")];
    let by_form =
        post("/token", &[("grant_type", "refresh_token"), ("refresh_token", &token), form[0], form[1]]);
    says(&scene, &by_form, 401, "invalid_client", "Bad client credentials");
    let of_another = post(
        "/token",
        &[("client_id", "public-dc-client"), ("grant_type", "refresh_token"), ("refresh_token", &token)],
    );
    says(&scene, &of_another, 401, "invalid_client", "Client does not own the presented refresh token");
}

#[test]
fn a_revocation_is_answered_to_basic_alone() {
    let scene = Scene::new();
    let revoke = |fields: &[(&str, &str)]| post("/revoke", fields);
    let unknown = revoke(&[("token", "unknown")]);
    is_silent(&scene, &format!("-u device-code-client:secret {unknown}"), 200);
    is_silent(&scene, &format!("-u public-dc-client: {unknown}"), 200);
    is_silent(&scene, &revoke(&[("token", "unknown"), ("client_id", "public-dc-client")]), 302);
    let wrong = [("token", "unknown"), ("client_id", "device-code-client"), ("client_secret", "wrong")];
    is_silent(&scene, &revoke(&wrong), 405);
    let nobody = "Full authentication is required to access this resource";
    says(&scene, &unknown, 401, "unauthorized", nobody);
    says(&scene, &format!("-u device-code-client:wrong {unknown}"), 401, "unauthorized", "Bad credentials");
}

#[test]
fn who_asks_at_a_wrong_address_is_to_log_in() {
    let scene = Scene::new();
    let nobody = "Full authentication is required to access this resource";
    says(&scene, "https://iam.example/iam/.well-known/openid-configuration", 401, "unauthorized", nobody);
    let client = "https://iam.example/iam/api/client-registration/some";
    says(&scene, client, 400, "Invalid registration access token", "");
    let userinfo = "-H 'Authorization: Bearer dead' https://iam.example/userinfo";
    says(&scene, userinfo, 401, "invalid_token", "Invalid access token: dead");
}
