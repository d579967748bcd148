//! The refresh, and the token response of every grant (RFC 6749 §5.1, §6). Pure; touches nothing.

use super::body::{BodyError, Object, is_visible, scope_of};
use super::call::{Call, Exchange, failure};
use super::wire::{AudienceMode, Client, ErrorClass, HelperAnswer, IssuerError, TokenAnswer};
use crate::jwt::Jwt;
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// Longest token; HTCondor reads 16 KiB, xrootd less.
const MAX_TOKEN: usize = 16 * 1024;
/// Life of a token of which neither the response nor the token itself says how long it lives: short, so that
/// the worst is an early refresh. WLCG profile 1.3: at least 15 min.
const DEFAULT_LIFE: i64 = 600;
/// Longest life we believe.
const MAX_LIFE: u64 = 365 * 86400;

/// OpenID Connect Core §2: `sub` has at most 255 characters.
const MAX_NAME: usize = 256;

/// What a refresh asks for besides the client.
pub(super) struct ExpectedToken<'r> {
    pub(super) refresh_token: &'r Secret,
    pub(super) scope: &'r ScopeSet,
    pub(super) audience: Audience<'r>,
}

/// Who a token is for.
#[derive(Clone, Copy)]
pub(super) struct Audience<'r> {
    /// Space-separated; empty for the issuer's default.
    pub(super) names: &'r str,
    /// How the issuer takes it.
    pub(super) mode: AudienceMode,
}

/// `grant_type=refresh_token`.
pub(super) fn refresh<'r>(
    endpoint: &str,
    client: &'r Client,
    wanted: &ExpectedToken<'r>,
) -> Result<Call<'r>, IssuerError> {
    if wanted.scope.is_empty() {
        // RFC 6749 §6: no scope means all that was granted, and a session token is narrow.
        return Err(failure(ErrorClass::Refused, "the refresh was not attempted: it names no scope"));
    }
    let scope = wanted.scope.to_string();
    let mut fields = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", wanted.refresh_token.expose()),
        ("scope", scope.as_str()),
    ];
    wanted.audience.add_to(&mut fields, Exchange::Refresh)?;
    Ok(Call::form(Exchange::Refresh, endpoint, client, &fields)?.hiding(wanted.refresh_token))
}

/// The same without a scope: the answer tells all that was granted (RFC 6749 §6).
pub(super) fn adopt<'r>(
    endpoint: &str,
    client: &'r Client,
    refresh_token: &'r Secret,
) -> Result<Call<'r>, IssuerError> {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
    Ok(Call::form(Exchange::Refresh, endpoint, client, &fields)?.hiding(refresh_token))
}

impl<'r> Audience<'r> {
    /// Adds it to the form of a request at the token endpoint.
    pub(super) fn add_to(
        self,
        fields: &mut Vec<(&'r str, &'r str)>,
        exchange: Exchange,
    ) -> Result<(), IssuerError> {
        match self.mode {
            _ if self.names.trim().is_empty() => (),
            AudienceMode::Audience => fields.push(("audience", self.names)),
            AudienceMode::Resource => {
                fields.extend(self.names.split_whitespace().map(|audience| ("resource", audience)));
            }
            AudienceMode::None => {
                let message = format!("{exchange} was not attempted: this issuer takes no audience");
                return Err(failure(ErrorClass::AudienceRefused, &message));
            }
        }
        Ok(())
    }
}

/// Reads a token response.
pub(super) fn answer(body: &[u8]) -> Result<HelperAnswer, BodyError> {
    let mut fields = Object::parse(body)?;
    if fields.has("token_type") && !is_bearer(&mut fields) {
        return Err(BodyError::Unusable("token_type", "is not Bearer"));
    }
    let access_token = token(&mut fields, "access_token")?.ok_or(BodyError::Missing("access_token"))?;
    let refresh_token = token(&mut fields, "refresh_token")?;
    let jwt = read(&access_token);
    Ok(HelperAnswer::Token(TokenAnswer {
        expires_in: life(&fields, jwt.as_ref())?,
        scope: fields.scope("scope"),
        refresh_token_expires_at: refresh_token.as_ref().and_then(end),
        refresh_token,
        subject: id_token_subject(&mut fields).or_else(|| name(jwt.as_ref()?, "sub")),
        jti: jwt.as_ref().and_then(|jwt| name(jwt, "jti")),
        own_scope: jwt.as_ref().and_then(|jwt| scope_of(jwt.claims().get("scope")?)),
        audience: jwt.map(|jwt| jwt.audiences().into_iter().map(str::to_owned).collect()),
        access_token,
    }))
}

/// The refresh token of a response that is otherwise of no use, and its `exp`.
pub(super) fn salvage(body: &[u8]) -> Option<(Secret, Option<u64>)> {
    let mut fields = Object::parse(body).ok()?;
    let refresh_token = token(&mut fields, "refresh_token").ok()??;
    let expires_at = end(&refresh_token);
    Some((refresh_token, expires_at))
}

/// Matched without case (RFC 6749 §5.1). A DPoP or MAC token is of no use in a file.
fn is_bearer(fields: &mut Object) -> bool {
    fields.take_text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"))
}

/// A token that will be one line of a file and one field of a form. Absent, null and empty are the same; any
/// other type is not harmless, for a rotated refresh token would be lost.
fn token(fields: &mut Object, field: &'static str) -> Result<Option<Secret>, BodyError> {
    match fields.take_text(field).map(Secret::new) {
        Some(token) if is_visible(token.expose(), MAX_TOKEN) => Ok(Some(token)),
        Some(_) => Err(BodyError::Unusable(field, "is not one line of visible ASCII")),
        None if fields.has(field) => Err(BodyError::Unusable(field, "is not a text")),
        None => Ok(None),
    }
}

/// Seconds from now: the response's word, but not more than the token's own dates give it.
fn life(fields: &Object, jwt: Option<&Jwt>) -> Result<u64, BodyError> {
    let stated = fields.number("expires_in");
    let own = || i64::try_from(jwt?.expires_at()?.checked_sub(jwt?.date("iat")?)?).ok();
    match u64::try_from(stated.into_iter().chain(own()).min().unwrap_or(DEFAULT_LIFE)) {
        Ok(life @ 1..) => Ok(life.min(MAX_LIFE)),
        _ => Err(BodyError::Unusable("expires_in", "says that the token has already ended")),
    }
}

fn id_token_subject(fields: &mut Object) -> Option<String> {
    let token = Secret::new(fields.take_text("id_token")?);
    name(&read(&token)?, "sub")
}

/// Shown on terminals and written into logs: no control character, no bidirectional override, not endless, not empty.
pub(super) fn name(jwt: &Jwt, claim: &str) -> Option<String> {
    let name = jwt.text(claim)?;
    let is_short = (1..=MAX_NAME).contains(&name.chars().count());
    let is_plain = name.chars().all(|c| c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric());
    (is_short && is_plain).then(|| name.to_owned())
}

/// `None` for a token that is not to be read by us.
fn read(token: &Secret) -> Option<Jwt> {
    Jwt::read(token.expose().as_bytes()).ok()
}

fn end(token: &Secret) -> Option<u64> {
    read(token)?.expires_at()
}

#[cfg(test)]
mod tests {
    use super::super::call::tests::{client, form_of};
    use super::super::wire::ClientAuth;
    use super::*;
    use crate::jwt::tests::jwt_of;

    fn jwt(payload: &str) -> String {
        jwt_of(r#"{"alg":"none"}"#, payload, "")
    }

    fn read(body: &str) -> Result<TokenAnswer, BodyError> {
        match answer(body.as_bytes())? {
            HelperAnswer::Token(token) => Ok(token),
            other => panic!("{other:?}"),
        }
    }

    fn form(audience: &str, audience_mode: AudienceMode) -> Result<String, ErrorClass> {
        let client = client(ClientAuth::Basic);
        let (token, scope) = (Secret::new("rt".into()), ScopeSet::parse("storage.read:/ openid"));
        let audience = Audience { names: audience, mode: audience_mode };
        let wanted = ExpectedToken { refresh_token: &token, scope: &scope, audience };
        refresh("https://a.example/t", &client, &wanted)
            .map(|call| form_of(&call))
            .map_err(|error| error.class)
    }

    #[test]
    fn a_refresh_names_its_scope_and_its_audience() {
        let plain = "grant_type=refresh_token&refresh_token=rt&scope=openid+storage.read%3A%2F";
        assert_eq!(form("", AudienceMode::Audience).unwrap(), plain);
        assert_eq!(form(" ", AudienceMode::None).unwrap(), plain);
        assert_eq!(form("a b", AudienceMode::Audience).unwrap(), format!("{plain}&audience=a+b"));
        assert_eq!(form("a b", AudienceMode::Resource).unwrap(), format!("{plain}&resource=a&resource=b"));
        assert_eq!(form("a", AudienceMode::None), Err(ErrorClass::AudienceRefused));
    }

    #[test]
    fn what_a_token_is_good_for_is_what_it_says_itself() {
        let rights = |claims: &str, stated: &str| {
            let token = jwt(claims);
            read(&format!(r#"{{"access_token":"{token}"{stated}}}"#))
                .unwrap()
                .rights()
                .map(|it| it.to_string())
        };
        let wide = r#","scope":"openid email offline_access storage.modify:/ storage.read:/""#;
        // Keycloak, with an offline refresh token.
        let own = rights(r#"{"scope":"storage.read:/a"}"#, wide).unwrap();
        assert_eq!(own, "email offline_access openid storage.read:/a");
        assert_eq!(rights(r#"{"scope":""}"#, r#","scope":"storage.read:/""#).as_deref(), Some(""));
        assert_eq!(rights(r#"{"scope":["a","b"]}"#, "").as_deref(), Some("a b"));
        assert_eq!(rights(r#"{"sub":"x"}"#, r#","scope":"a""#).as_deref(), Some("a"));
        assert_eq!(rights(r#"{"sub":"x"}"#, ""), None);
        let opaque = read(r#"{"access_token":"at","scope":"storage.read:/"}"#).unwrap();
        assert_eq!(opaque.rights(), Some(ScopeSet::parse("storage.read:/")));
    }

    #[test]
    fn an_audience_that_is_missing_is_named_where_it_can_be_read() {
        let missing = |token: &str, wanted: &str| {
            read(&format!(r#"{{"access_token":"{token}"}}"#)).unwrap().missing_audience(wanted)
        };
        let one = jwt(r#"{"aud":"https://a"}"#);
        let two = jwt(r#"{"aud":["https://a","b"]}"#);
        assert!(missing(&one, "https://a").is_empty() && missing(&two, "b https://a").is_empty());
        assert_eq!(missing(&one, "https://a https://a/"), ["https://a/"]);
        assert_eq!(missing(&jwt("{}"), "b"), ["b"]);
        assert!(missing(&jwt("{}"), "").is_empty() && missing("opaque", "b").is_empty());
    }

    #[test]
    fn a_refresh_without_a_scope_is_not_sent() {
        let (client, token, scope) =
            (client(ClientAuth::Basic), Secret::new("rt".into()), ScopeSet::parse(""));
        let audience = Audience { names: "", mode: AudienceMode::None };
        let wanted = ExpectedToken { refresh_token: &token, scope: &scope, audience };
        assert_eq!(
            refresh("https://a.example/t", &client, &wanted).err().unwrap().class,
            ErrorClass::Refused
        );
    }

    #[test]
    fn an_answer_of_iam_is_read() {
        let access = jwt(r#"{"sub":"sub-at","jti":"jti-1","iat":1,"exp":3601}"#);
        let refresh = jwt(r#"{"jti":"r","exp":1900000000}"#);
        let id = jwt(r#"{"sub":"sub-id"}"#);
        let token = read(&format!(
            r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":3599,"scope":"openid storage.read:/",
                "refresh_token":"{refresh}","id_token":"{id}"}}"#
        ))
        .unwrap();
        assert_eq!(token.access_token.expose(), access);
        assert_eq!((token.expires_in, token.refresh_token_expires_at), (3599, Some(1_900_000_000)));
        assert_eq!((token.subject.as_deref(), token.jti.as_deref()), (Some("sub-id"), Some("jti-1")));
        assert_eq!(token.scope, Some(ScopeSet::parse("openid storage.read:/")));
    }

    #[test]
    fn a_refresh_token_is_saved_from_an_answer_that_is_otherwise_useless() {
        for body in [
            r#"{"access_token":"a","expires_in":0,"refresh_token":"new"}"#,
            r#"{"access_token":7,"refresh_token":"new"}"#,
            r#"{"token_type":"mac","access_token":"a","refresh_token":"new"}"#,
        ] {
            assert!(read(body).is_err());
            assert_eq!(salvage(body.as_bytes()).unwrap().0.expose(), "new", "{body}");
        }
        for body in ["", "<html>", "{}", r#"{"refresh_token":7}"#, r#"{"refresh_token":""}"#] {
            assert!(salvage(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn an_opaque_token_is_as_good() {
        let token =
            read(r#"{"access_token":"opaque","token_type":"bearer","refresh_token":null,"id_token":4}"#)
                .unwrap();
        assert_eq!(token.expires_in, 600);
        assert!(token.scope.is_none() && token.refresh_token.is_none() && token.subject.is_none());
    }

    #[test]
    fn life_is_what_the_answer_says_and_never_more_than_the_token_itself_has() {
        let (short, long) = (jwt(r#"{"iat":1000,"exp":2000}"#), jwt(r#"{"iat":1000,"exp":9000000000}"#));
        for (access, stated, life) in [
            (&long, r#","expires_in":"3600""#, 3600),
            (&long, r#","expires_in":3599.5"#, 3599),
            (&long, r#","expires_in":9223372036854775808"#, MAX_LIFE),
            (&short, r#","expires_in":3600"#, 1000),
            (&short, r#","expires_in":900"#, 900),
        ] {
            let found = read(&format!(r#"{{"access_token":"{access}"{stated}}}"#)).unwrap();
            assert_eq!(found.expires_in, life, "{stated}");
        }
        let access = short;
        for (stated, life) in [
            (r#","expires_in":{}"#, Ok(1000)),
            (r#","expires_in":"soon""#, Ok(1000)),
            (r#","expires_in":null"#, Ok(1000)),
            ("", Ok(1000)),
            (r#","expires_in":0"#, Err(())),
            (r#","expires_in":-1"#, Err(())),
            (r#","expires_in":"-9""#, Err(())),
            (r#","expires_in":0.5"#, Err(())),
        ] {
            let found =
                read(&format!(r#"{{"access_token":"{access}"{stated}}}"#)).map(|token| token.expires_in);
            assert_eq!(found.map_err(drop), life, "{stated}");
        }
        let backwards = jwt(r#"{"iat":2000,"exp":1000}"#);
        assert_eq!(read(&format!(r#"{{"access_token":"{backwards}"}}"#)).unwrap().expires_in, 600);
        let equal = jwt(r#"{"iat":1000,"exp":1000}"#);
        assert!(read(&format!(r#"{{"access_token":"{equal}"}}"#)).is_err());
    }

    #[test]
    fn what_cannot_be_a_token_is_refused() {
        let huge = "x".repeat(MAX_TOKEN + 1);
        for body in [
            "",
            "<html><body>Welcome</body></html>",
            "[]",
            "{}",
            r#"{"access_token":null}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":["a"]}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"a\n"}"#,
            r#"{"access_token":"a\u0000"}"#,
            r#"{"access_token":"ä"}"#,
            r#"{"access_token":"a","token_type":"DPoP"}"#,
            r#"{"access_token":"a","token_type":1}"#,
            r#"{"access_token":"a","refresh_token":1}"#,
            r#"{"access_token":"a","refresh_token":"b\r\nc"}"#,
            &format!(r#"{{"access_token":"{huge}"}}"#),
            r#"{"access_token":"a","expires_in":3600"#,
        ] {
            assert!(read(body).is_err(), "{body:.60}");
        }
    }
    #[test]
    fn hostile_names_are_dropped() {
        let sub = |sub: &str| name(&Jwt::read(jwt(&format!(r#"{{"sub":{sub}}}"#)).as_bytes()).ok()?, "sub");
        let long = "x".repeat(MAX_NAME + 1);
        for text in ["a\\u001b[2Jb", "a\\nb", "\\u202eevil", "a\\u0000", "", &long] {
            assert_eq!(sub(&format!("\"{text}\"")), None, "{text:.12}");
        }
        assert_eq!(sub("1"), None);
        assert_eq!(sub("\"Jürgen 漢\"").as_deref(), Some("Jürgen 漢"));
    }
}
