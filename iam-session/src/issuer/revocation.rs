//! Revocation of a refresh token (RFC 7009). Pure; touches nothing.

use super::call::{Call, Exchange};
use super::wire::{Client, ClientAuth, IssuerError};
use crate::secret::Secret;

/// The answer has no content worth reading: 200 also for a token that the issuer does not know (§2.2).
pub(super) fn call<'r>(
    endpoint: &str,
    client: &'r Client,
    refresh_token: &'r Secret,
) -> Result<Call<'r>, IssuerError> {
    by(client.auth, endpoint, client, refresh_token)
}

/// The same by Basic, where an issuer has led a form astray: IAM redirects it to its pages, though it has revoked, and
/// what it says to Basic is true. It goes where the form went.
pub(super) fn by_basic<'r>(
    endpoint: &str,
    client: &'r Client,
    refresh_token: &'r Secret,
    refused: &IssuerError,
) -> Option<Result<Call<'r>, IssuerError>> {
    let redirected = matches!(refused.status, Some(300..=399)) && client.auth != ClientAuth::Basic;
    redirected.then(|| by(ClientAuth::Basic, endpoint, client, refresh_token))
}

fn by<'r>(
    auth: ClientAuth,
    endpoint: &str,
    client: &'r Client,
    refresh_token: &'r Secret,
) -> Result<Call<'r>, IssuerError> {
    let fields = [("token", refresh_token.expose()), ("token_type_hint", "refresh_token")];
    Ok(Call::form_by(auth, Exchange::Revocation, endpoint, client, &fields)?.hiding(refresh_token))
}

#[cfg(test)]
mod tests {
    use super::super::call::tests::{client, form_of};
    use super::*;

    #[test]
    fn the_token_and_its_kind_are_sent() {
        let (client, token) = (client(ClientAuth::Public), Secret::new("refresh-1".into()));
        let call = call("https://a.example/revoke", &client, &token).unwrap();
        assert_eq!(form_of(&call), "token=refresh-1&token_type_hint=refresh_token&client_id=id%3A1");
        assert_eq!(call.quote("refresh-1"), "[redacted]");
    }
}
