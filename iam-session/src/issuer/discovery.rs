//! The discovery document (OpenID Connect Discovery §4). Pure; touches nothing.

use super::body::{BodyError, Object};
use super::call::{Call, Exchange, Payload};
use super::url::{self, WELL_KNOWN};
use super::wire::{ClientAuth, Endpoints, HelperAnswer, IssuerError};

/// `GET <issuer>/.well-known/openid-configuration`.
pub(super) fn call(issuer: &str) -> Result<Call<'static>, IssuerError> {
    let mut call = Call::new(Exchange::Discovery, issuer, Payload::Get)?;
    let path = format!("{}{WELL_KNOWN}", call.url.path().trim_end_matches('/'));
    call.url.set_path(&path);
    call.url.set_query(None);
    Ok(call)
}

/// Where the issuer may be that is not where it was looked for: the same URL without what is looked for below it, else
/// one step further up.
pub(super) fn nearest(asked: &str) -> Option<String> {
    let mut url = url::endpoint(asked).ok()?;
    let path = url.path().trim_end_matches('/');
    let path = match path.strip_suffix(WELL_KNOWN) {
        Some(issuer) => format!("{issuer}/"),
        None => format!("{}/", &path[..path.rfind('/')?]),
    };
    url.set_path(&path);
    url.set_query(None);
    Some(url.into())
}

/// Reads the document that came for `asked`.
pub(super) fn answer(asked: &str, body: &[u8]) -> Result<HelperAnswer, BodyError> {
    let mut document = Object::parse(body)?;
    let issuer = document.require_text("issuer")?;
    if !is_same_issuer(asked, &issuer) {
        return Err(BodyError::AnotherIssuer(issuer));
    }
    let endpoints = Endpoints {
        token: endpoint(&mut document, "token_endpoint")?.ok_or(BodyError::Missing("token_endpoint"))?,
        device_authorization: endpoint(&mut document, "device_authorization_endpoint")?,
        registration: endpoint(&mut document, "registration_endpoint")?,
        revocation: endpoint(&mut document, "revocation_endpoint")?,
    };
    let userinfo = endpoint(&mut document, "userinfo_endpoint")?;
    let scopes_supported = document.scope("scopes_supported").unwrap_or_default();
    let auth_methods = auth_methods(&document);
    Ok(HelperAnswer::Discovered { issuer, endpoints, scopes_supported, auth_methods, userinfo })
}

/// Equal modulo one trailing slash: IAM's own name ends in one, its tokens' `iss` and people's habits may not.
fn is_same_issuer(asked: &str, issuer: &str) -> bool {
    let name = |text: &str| {
        let url = url::endpoint(text).ok().filter(|url| url.query().is_none())?;
        let text = String::from(url);
        Some(text.strip_suffix('/').map_or(text.clone(), str::to_owned))
    };
    name(asked).is_some_and(|asked| Some(asked) == name(issuer))
}

/// Absent is fine; present it must be an https URL. Another host than the issuer's is allowed: IAM's base URL
/// may differ from its name, and the document came over TLS from the issuer.
fn endpoint(document: &mut Object, field: &'static str) -> Result<Option<String>, BodyError> {
    let Some(text) = document.take_text(field) else { return Ok(None) };
    match url::endpoint(&text) {
        Ok(_) => Ok(Some(text)),
        Err(_) => Err(BodyError::Unusable(field, "is not a plain https URL")),
    }
}

/// Those that we know, in the document's order; Basic where it does not say (Discovery §3).
fn auth_methods(document: &Object) -> Vec<ClientAuth> {
    let field = "token_endpoint_auth_methods_supported";
    if !document.has(field) {
        return vec![ClientAuth::Basic];
    }
    document.texts(field).filter_map(ClientAuth::from_name).collect()
}

impl ClientAuth {
    /// As registration and discovery spell it.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Basic, Self::Post, Self::Public].into_iter().find(|auth| auth.name() == name)
    }

    /// As registration and discovery spell it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::Public => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeSet;

    const IAM: &str = r#"{"issuer":"https://iam.example.org/","token_endpoint":"https://iam.example.org/token",
        "device_authorization_endpoint":"https://login.example.org/devicecode",
        "registration_endpoint":"https://iam.example.org/iam/api/client-registration",
        "revocation_endpoint":"https://iam.example.org/revoke","userinfo_endpoint":"https://iam.example.org/userinfo","scopes_supported":["openid","offline_access"],
        "token_endpoint_auth_methods_supported":["client_secret_basic","private_key_jwt","none"],"extra":{"a":[1]}}"#;

    #[test]
    fn the_document_is_looked_for_once_below_the_issuer() {
        for (issuer, url) in [
            ("https://iam.example.org", "https://iam.example.org/.well-known/openid-configuration"),
            ("https://iam.example.org/", "https://iam.example.org/.well-known/openid-configuration"),
            (
                "https://kc.example.org/realms/x/",
                "https://kc.example.org/realms/x/.well-known/openid-configuration",
            ),
            (
                "https://kc.example.org/realms/x",
                "https://kc.example.org/realms/x/.well-known/openid-configuration",
            ),
        ] {
            assert_eq!(call(issuer).unwrap().url.as_str(), url);
        }
        assert!(call("http://iam.example.org/").err().unwrap().message.contains("https://"));
        assert!(call("iam.example.org").is_err());
    }

    #[test]
    fn the_nearest_that_may_be_one_is_a_step_further_up() {
        for (asked, near) in [
            ("https://a.example/.well-known/openid-configuration", Some("https://a.example/")),
            (
                "https://a.example/realms/x/.well-known/openid-configuration",
                Some("https://a.example/realms/x/"),
            ),
            ("https://a.example/iam/", Some("https://a.example/")),
            ("https://a.example/a/b?c", Some("https://a.example/a/")),
            ("https://a.example/", None),
            ("https://a.example", None),
            ("http://a.example/x", None),
        ] {
            assert_eq!(nearest(asked).as_deref(), near, "{asked}");
        }
    }

    #[test]
    fn a_document_of_iam_is_read() {
        let found = answer("https://iam.example.org", IAM.as_bytes()).unwrap();
        let HelperAnswer::Discovered { issuer, endpoints, scopes_supported, auth_methods, userinfo } = found
        else {
            panic!()
        };
        assert_eq!(issuer, "https://iam.example.org/");
        assert_eq!(userinfo.as_deref(), Some("https://iam.example.org/userinfo"));
        assert_eq!(endpoints.device_authorization.as_deref(), Some("https://login.example.org/devicecode"));
        assert_eq!(scopes_supported, ScopeSet::parse("openid offline_access"));
        assert_eq!(auth_methods, [ClientAuth::Basic, ClientAuth::Public]);
    }

    #[test]
    fn an_issuer_without_device_flow_and_registration_is_fine() {
        let body = br#"{"issuer":"https://a.example","token_endpoint":"https://a.example/t","registration_endpoint":null}"#;
        let HelperAnswer::Discovered { endpoints, auth_methods, .. } =
            answer("https://a.example/", body).unwrap()
        else {
            panic!()
        };
        assert_eq!(
            (endpoints.device_authorization, endpoints.registration, endpoints.revocation),
            (None, None, None)
        );
        assert_eq!(auth_methods, [ClientAuth::Basic]);
    }

    #[test]
    fn another_issuer_is_refused() {
        for issuer in [
            "https://evil.example/",
            "https://iam.example.org//",
            "https://iam.example.org/x",
            "http://iam.example.org/",
            "https://iam.example.org/?a",
            "https://u@iam.example.org/",
            "iam.example.org",
        ] {
            let body = format!(r#"{{"issuer":"{issuer}","token_endpoint":"https://a.example/t"}}"#);
            let error = answer("https://iam.example.org/", body.as_bytes()).err().unwrap();
            assert_eq!(error, BodyError::AnotherIssuer(issuer.to_owned()));
        }
    }

    #[test]
    fn an_endpoint_is_plain_https_or_the_document_is_refused() {
        for url in
            ["http://a.example/t", "/t", "https://u:p@a.example/t", "https://a.example/t#f", "x\\u001b[2J"]
        {
            let body = IAM.replace("https://iam.example.org/revoke", url);
            assert!(
                matches!(answer("https://iam.example.org/", body.as_bytes()), Err(BodyError::Unusable(..))),
                "{url}"
            );
        }
        let body = IAM.replace("token_endpoint\"", "x\"");
        assert_eq!(
            answer("https://iam.example.org/", body.as_bytes()).err(),
            Some(BodyError::Missing("token_endpoint"))
        );
    }
}
