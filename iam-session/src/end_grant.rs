//! Ends an enrolment at its issuer: the two requests, and what an answer to one of them means. Touches nothing.
//!
//! A mint uses it when a user forgets or revokes, and root's tool when a user is revoked.

use crate::helper::HelperError;
use crate::issuer::wire::{Client, ErrorClass, HelperAnswer, HelperRequest, Operation, Transport};
use crate::store::Record;

/// What came of one of the requests.
#[derive(Debug)]
pub(crate) enum GrantEnd {
    Now,
    /// The issuer does not know it, or not any more.
    Before,
    /// The issuer itself has said that it does not: asking again is of no use.
    Refused(HelperError),
    /// It may work later. A proxy's page, a helper that does not start or a user who has yet to sign something say no
    /// more than that.
    NotYet(HelperError),
}

impl GrantEnd {
    /// What an answer says.
    pub(crate) fn by(answer: Result<HelperAnswer, HelperError>) -> Self {
        let class = match &answer {
            Ok(_) => return Self::Now,
            Err(HelperError::Issuer(error)) => Some(error.class),
            Err(_) => None,
        };
        match (class, answer) {
            (Some(ErrorClass::CredentialDead | ErrorClass::ClientGone), _) => Self::Before,
            (Some(ErrorClass::Refused), Err(error)) => Self::Refused(error),
            (_, Err(error)) => Self::NotYet(error),
            (_, Ok(_)) => Self::Now,
        }
    }
}

/// Revocation of a record's refresh token, where the issuer has an endpoint for it.
pub(crate) fn revocation(
    record: &Record,
    endpoint: Option<&str>,
    transport: &Transport,
) -> Option<HelperRequest> {
    Some(
        Operation::Revoke {
            endpoint: endpoint?.to_owned(),
            client: record.client.duplicate(),
            refresh_token: record.refresh_token.duplicate(),
        }
        .over(transport),
    )
}

/// Deletion of a client, where it is one that we registered and may manage.
pub(crate) fn deregistration(client: &Client, transport: &Transport) -> Option<HelperRequest> {
    Some(
        Operation::Deregister {
            registration_client_uri: client.registration_client_uri.clone()?,
            registration_access_token: client.registration_access_token.as_ref()?.duplicate(),
        }
        .over(transport),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::wire::IssuerError;

    #[test]
    fn only_a_refusal_of_the_issuer_is_definite() {
        use ErrorClass as E;
        let by = |class| {
            let error = IssuerError { class, message: "m".into(), status: None, retry_after: None };
            GrantEnd::by(Err(HelperError::Issuer(error)))
        };
        assert!(matches!(by(E::Refused), GrantEnd::Refused(_)));
        for class in
            [E::Unreachable, E::Busy, E::Malformed, E::AupUnsigned, E::UserSuspended, E::ClientSuspended]
        {
            assert!(matches!(by(class), GrantEnd::NotYet(_)), "{class:?}");
        }
        assert!(matches!(GrantEnd::by(Err(HelperError::Garbage)), GrantEnd::NotYet(_)));
        for class in [E::CredentialDead, E::ClientGone] {
            assert!(matches!(by(class), GrantEnd::Before), "what is gone need not be ended: {class:?}");
        }
        assert!(matches!(GrantEnd::by(Ok(HelperAnswer::Done)), GrantEnd::Now));
    }
}
