//! A provider, and a user's helper that speaks to it.

use serde_json::{Value, json};
use support::{Helper, Host, ISSUER, Provider};

/// A machine without agents, a provider, and alice's helper.
pub(crate) struct Scene {
    pub(crate) host: Host,
    pub(crate) provider: Provider,
    pub(crate) helper: Helper,
}

/// What a client has after the device flow.
pub(crate) struct Grant {
    pub(crate) endpoints: Value,
    pub(crate) client: Value,
    pub(crate) token: Value,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let host = Host::plan().without_agent().start();
        let provider = Provider::start(&host);
        let helper = Helper::start(&host, "alice");
        Self { host, provider, helper }
    }

    pub(crate) fn discover(&mut self) -> Value {
        self.helper.get(&request("discover", json!({"issuer": ISSUER})))
    }

    pub(crate) fn register(&mut self, endpoints: &Value, scope: &str) -> Value {
        self.helper.get(&registration(endpoints, scope))
    }

    /// The whole device flow, approved by alice.
    pub(crate) fn enroll(&mut self, scope: &str) -> Grant {
        let endpoints = self.discover()["endpoints"].take();
        let client = self.register(&endpoints, scope)["client"].take();
        self.enroll_client(endpoints, client, scope)
    }

    /// The same with a client that is there already.
    pub(crate) fn enroll_client(&mut self, endpoints: Value, client: Value, scope: &str) -> Grant {
        let device = self.device_code(&endpoints, &client, scope);
        self.provider.approve(device["user_code"].as_str().unwrap(), "alice");
        let token = self.helper.get(&poll(&endpoints, &client, &device));
        Grant { endpoints, client, token }
    }

    pub(crate) fn device_code(&mut self, endpoints: &Value, client: &Value, scope: &str) -> Value {
        let endpoint = &endpoints["device_authorization"];
        let fields = json!({"endpoint": endpoint, "client": client, "scope": scope, "takes_verifier": true});
        self.helper.get(&request("authorize_device", fields))
    }
}

impl Grant {
    pub(crate) fn refresh(&self, scope: &str, audience: &str) -> Value {
        self.refresh_with(&self.token["refresh_token"], scope, audience)
    }

    pub(crate) fn refresh_with(&self, refresh_token: &Value, scope: &str, audience: &str) -> Value {
        request(
            "refresh",
            json!({"endpoint": self.endpoints["token"], "client": self.client, "scope": scope,
                   "refresh_token": refresh_token, "audience": audience}),
        )
    }
}

pub(crate) fn request(name: &str, mut fields: Value) -> Value {
    fields["request"] = name.into();
    fields["transport"] = json!({"ca_file": "/etc/iam-session/iam.example.pem"});
    fields
}

pub(crate) fn registration(endpoints: &Value, scope: &str) -> Value {
    let fields = json!({"endpoint": endpoints["registration"], "client_name": "iam-session:test:alice",
                        "scope": scope, "auth": "client_secret_basic"});
    request("register", fields)
}

pub(crate) fn poll(endpoints: &Value, client: &Value, device: &Value) -> Value {
    let fields =
        json!({"endpoint": endpoints["token"], "client": client, "device_code": device["device_code"]});
    request("poll_device", fields)
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
