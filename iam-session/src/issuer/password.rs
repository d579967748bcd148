//! A token for a user name and a password (RFC 6749 §4.3). Pure; touches nothing.
//!
//! RFC 9700 §2.4 wants nobody to use this grant. It is here for `iam-session token --once`, where a site lets its
//! users do so, and nothing that comes of it is kept.

use super::call::{Call, Exchange, failure};
use super::token::Audience;
use super::wire::{Client, ErrorClass, IssuerError};
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// Who logs in, and for what.
pub(super) struct PasswordLogin<'r> {
    pub(super) username: &'r str,
    pub(super) password: &'r Secret,
    pub(super) scope: &'r ScopeSet,
    pub(super) audience: Audience<'r>,
}

/// `grant_type=password`.
pub(super) fn call<'r>(
    endpoint: &str,
    client: &'r Client,
    login: &PasswordLogin<'r>,
) -> Result<Call<'r>, IssuerError> {
    if login.scope.is_empty() {
        // RFC 6749 §3.3: no scope means whatever the issuer likes, at IAM all that the client may have.
        return Err(failure(ErrorClass::Refused, "the password was not sent: no scope is named"));
    }
    let scope = login.scope.to_string();
    let mut fields = vec![
        ("grant_type", "password"),
        ("username", login.username),
        ("password", login.password.expose()),
        ("scope", scope.as_str()),
    ];
    login.audience.add_to(&mut fields, Exchange::Password)?;
    Ok(Call::form(Exchange::Password, endpoint, client, &fields)?.hiding(login.password))
}

#[cfg(test)]
mod tests {
    use super::super::call::tests::{client, form_of};
    use super::super::wire::{AudienceMode, ClientAuth};
    use super::*;

    fn form(scope: &str, names: &str, mode: AudienceMode) -> Result<String, IssuerError> {
        let (client, password) = (client(ClientAuth::Post), Secret::new("p&ss wörd".into()));
        let scope = ScopeSet::parse(scope);
        let audience = Audience { names, mode };
        let login = PasswordLogin { username: "a l", password: &password, scope: &scope, audience };
        call("https://a.example/t", &client, &login).map(|call| form_of(&call))
    }

    #[test]
    fn name_password_scope_and_audience_are_sent() {
        let login = "grant_type=password&username=a+l&password=p%26ss+w%C3%B6rd&scope=openid";
        let client = "client_id=id%3A1&client_secret=s+cr%26t%25";
        assert_eq!(form("openid", "", AudienceMode::None).unwrap(), format!("{login}&{client}"));
        assert_eq!(
            form("openid", "x y", AudienceMode::Resource).unwrap(),
            format!("{login}&resource=x&resource=y&{client}")
        );
    }

    #[test]
    fn without_a_scope_the_password_is_not_sent() {
        assert_eq!(form("", "", AudienceMode::None).unwrap_err().class, ErrorClass::Refused);
        let error = form("openid", "x", AudienceMode::None).unwrap_err();
        assert_eq!(error.message, "the login by password was not attempted: this issuer takes no audience");
    }

    #[test]
    fn the_password_is_hidden_whatever_the_issuer_says() {
        let (client, password) = (client(ClientAuth::Public), Secret::new("hunter2".into()));
        let scope = ScopeSet::parse("openid");
        let audience = Audience { names: "", mode: AudienceMode::None };
        let login = PasswordLogin { username: "alice", password: &password, scope: &scope, audience };
        let call = call("https://a.example/t", &client, &login).unwrap();
        assert_eq!(call.quote("alice may not use hunter2"), "alice may not use [redacted]");
    }
}
