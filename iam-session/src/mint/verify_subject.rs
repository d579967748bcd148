//! Verifies an enrolment before it is sealed: what an imported refresh token was granted, and, if the site expects a
//! subject, whom it stands for. Asks the issuer through one helper.
//!
//! A user can replace the command line. So with `expect_subject` its word does not count: issuer, endpoints and
//! transport come from the site's file and from the issuer itself.

use std::time::Duration;

use super::Mint;
use super::enroll::unwanted;
use super::policy::Policy;
use crate::config::{ExpectedSubject, Provider};
use crate::helper::HelperError;
use crate::host::names;
use crate::issuer::wire::{Answer, ErrorClass, Request, TokenAnswer};
use crate::log::Level;
use crate::protocol::{Enrollment, Failure, FailureKind};
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::text::printable;

/// For a name service that is asked whose uid it is; a login is not waiting for this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of a claim that is not the expected one, the beginning says enough.
const MAX_SHOWN: usize = 100;

/// Whether the issuer has given another refresh token meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    Kept,
    Replaced,
}

impl Rotation {
    /// What whoever gave the refresh token must know where the enrolment fails after all.
    pub(crate) fn explain(self, failure: Failure) -> Failure {
        match self {
            Self::Kept => failure,
            Self::Replaced => {
                let replaced = "the issuer has replaced the refresh token that was given: obtain another one";
                Failure { info: Some(replaced.to_owned()), ..failure }
            }
        }
    }
}

impl Mint {
    /// Completes and checks an enrolment. Whatever refresh token the issuer gives meanwhile takes the place of the one
    /// before.
    pub(crate) fn vouch(
        &mut self,
        policy: &Policy,
        enrollment: &mut Enrollment,
    ) -> Result<Rotation, Failure> {
        let expecting = policy.expecting(&enrollment.issuer);
        let Some((provider, expected)) =
            expecting.and_then(|provider| Some((provider, provider.expect_subject.as_ref()?)))
        else {
            return if enrollment.imported { Ok(self.adopt(enrollment)?.1) } else { Ok(Rotation::Kept) };
        };
        self.confirm_login_name()?;
        let userinfo = self.pin(enrollment, provider)?;
        let (access_token, rotation) = match enrollment.imported {
            true => self.adopt(enrollment)?,
            false => self.refresh_for(expected, enrollment)?,
        };
        let said = self.claim(expected, enrollment, userinfo, access_token);
        let compared = said.and_then(|values| self.compare(expected, enrollment, &values));
        compared.map_err(|failure| {
            self.end_refused(enrollment, rotation, &failure);
            if enrollment.imported { rotation.explain(failure) } else { failure }
        })?;
        Ok(rotation)
    }

    /// The name that a login gave is the one its sshd knew. An agent without a login has it from the environment.
    fn confirm_login_name(&self) -> Result<(), Failure> {
        let user = &self.message.user;
        let found = names::uid_of(user, PATIENCE);
        if found.as_ref().is_ok_and(|uid| *uid == Some(self.message.uid)) {
            return Ok(());
        }
        let why = found.err().map(|error| format!(": {error}")).unwrap_or_default();
        Err(Failure::refused(format!("it cannot be told that uid {} is '{user}'{why}", self.message.uid))
            .advise("this site compares the login name with the issuer's: log in again"))
    }

    /// Replaces what was said of the issuer by what it says itself; gives its userinfo endpoint.
    fn pin(&mut self, enrollment: &mut Enrollment, provider: &Provider) -> Result<Option<String>, Failure> {
        let transport = provider.transport.clone();
        let request = Request::Discover { issuer: provider.issuer.clone(), transport: transport.clone() };
        let Answer::Discovered { issuer, endpoints, userinfo, .. } = self.ask(&request)? else {
            return Err(HelperError::Garbage.into());
        };
        (enrollment.issuer, enrollment.endpoints, enrollment.transport) = (issuer, endpoints, transport);
        enrollment.audience_mode = provider.audience_mode;
        Ok(userinfo)
    }

    /// What a refresh token from elsewhere was granted, as the issuer says; of it, what is wanted.
    fn adopt(&mut self, enrollment: &mut Enrollment) -> Result<(Secret, Rotation), Failure> {
        let request = Request::Adopt {
            endpoint: enrollment.endpoints.token.clone(),
            client: enrollment.client.duplicate(),
            refresh_token: enrollment.refresh_token.duplicate(),
            transport: enrollment.transport.clone(),
        };
        let (answer, rotation) = self.redeem(&request, enrollment)?;
        enrollment.states_scope = answer.scope.is_some();
        let granted = match answer.scope {
            Some(granted) if enrollment.scope.is_empty() => granted,
            Some(granted) => granted.intersect(&enrollment.scope),
            None => enrollment.scope.clone(),
        };
        if granted.is_empty() {
            return Err(rotation.explain(nothing_granted(enrollment)));
        }
        enrollment.scope = granted;
        enrollment.subject = answer.subject;
        Ok((answer.access_token, rotation))
    }

    fn refresh_for(
        &mut self,
        expected: &ExpectedSubject,
        enrollment: &mut Enrollment,
    ) -> Result<(Secret, Rotation), Failure> {
        let request = Request::Refresh {
            endpoint: enrollment.endpoints.token.clone(),
            client: enrollment.client.duplicate(),
            refresh_token: enrollment.refresh_token.duplicate(),
            scope: scope_for(expected, enrollment)?,
            audience: String::new(),
            audience_mode: enrollment.audience_mode,
            transport: enrollment.transport.clone(),
        };
        let (answer, rotation) = self.redeem(&request, enrollment)?;
        Ok((answer.access_token, rotation))
    }

    /// A refresh; a refresh token that comes with its answer is the enrolment's from then on.
    fn redeem(
        &mut self,
        request: &Request,
        enrollment: &mut Enrollment,
    ) -> Result<(TokenAnswer, Rotation), Failure> {
        self.may_ask()?;
        let mut answer = match self.ask(request) {
            Ok(Answer::Token(answer)) => answer,
            Ok(Answer::Unusable { error, refresh_token, .. }) => {
                enrollment.refresh_token = refresh_token;
                let failure = HelperError::Issuer(error).into();
                return Err(if enrollment.imported { Rotation::Replaced.explain(failure) } else { failure });
            }
            Ok(_) => return Err(HelperError::Garbage.into()),
            Err(error) => return Err(refused(error)),
        };
        let Some(token) = answer.refresh_token.take() else { return Ok((answer, Rotation::Kept)) };
        let same = token.expose() == enrollment.refresh_token.expose();
        enrollment.refresh_token = token;
        enrollment.refresh_token_expires_at = answer.refresh_token_expires_at;
        Ok((answer, if same { Rotation::Kept } else { Rotation::Replaced }))
    }

    fn claim(
        &mut self,
        expected: &ExpectedSubject,
        enrollment: &Enrollment,
        userinfo: Option<String>,
        access_token: Secret,
    ) -> Result<Vec<String>, Failure> {
        let endpoint = userinfo.ok_or_else(|| {
            Failure::failed(format!(
                "{} has no userinfo endpoint, and this site asks it who enrols",
                enrollment.issuer
            ))
            .advise("tell the site's administrators")
        })?;
        let claim = expected.claim().to_owned();
        let transport = enrollment.transport.clone();
        match self.ask(&Request::Userinfo { endpoint, access_token, claim, transport })? {
            Answer::Claim { values } => Ok(values),
            _ => Err(HelperError::Garbage.into()),
        }
    }

    fn compare(
        &self,
        expected: &ExpectedSubject,
        enrollment: &Enrollment,
        said: &[String],
    ) -> Result<(), Failure> {
        let (claim, wanted) = (expected.claim(), expected.value(&self.message.user));
        if said.contains(&wanted) {
            return Ok(());
        }
        let issuer = &enrollment.issuer;
        let (error, info) = match said.first() {
            Some(other) => (
                format!("{issuer} says that who approved has {claim} '{}', not '{wanted}'", shortened(other)),
                "sign in at the issuer as yourself; if you did, ask the site's administrators",
            ),
            None => (
                format!("{issuer} does not say the {claim} of who approved, and this site compares it"),
                "leave nothing out on the consent page; else ask the site's administrators",
            ),
        };
        Err(Failure::refused(error).advise(info))
    }

    /// What is not kept here must not live on at the issuer either; but a refresh token that came from elsewhere and
    /// is still good there is not ours to end. The client is deregistered by who registered it.
    fn end_refused(&mut self, enrollment: &Enrollment, rotation: Rotation, failure: &Failure) {
        let error = failure.to_string();
        let fields =
            [("account", enrollment.account.as_str()), ("issuer", &enrollment.issuer), ("error", &error)];
        self.log.event(Level::Warning, "refused", &fields);
        // One that was replaced meanwhile is ended by the enrolment, as in every other failure.
        let is_ours = !enrollment.imported && rotation == Rotation::Kept;
        if let Some(request) = unwanted(enrollment).filter(|_| is_ours) {
            let _ = self.ask(&request);
        }
    }
}

/// What an issuer says, as far as a line has room for it.
fn shortened(text: &str) -> String {
    printable(&text.chars().take(MAX_SHOWN).collect::<String>())
}

fn scope_for(expected: &ExpectedSubject, enrollment: &Enrollment) -> Result<ScopeSet, Failure> {
    let scope = expected.scope_of(&enrollment.scope);
    if scope.allows("openid") {
        return Ok(scope);
    }
    Err(Failure::refused(format!(
        "{} did not grant 'openid', and this site asks it who enrols",
        enrollment.issuer
    ))
    .advise("leave nothing out on the consent page; else ask the site's administrators"))
}

fn nothing_granted(enrollment: &Enrollment) -> Failure {
    let issuer = &enrollment.issuer;
    let (error, info) = match enrollment.states_scope {
        true => {
            (format!("{issuer} granted the refresh token none of these scopes"), "leave -s out: all are kept")
        }
        false => {
            (format!("{issuer} does not say what the refresh token was granted"), "name its scopes with -s")
        }
    };
    Failure::refused(error).advise(info)
}

/// A refresh token that was just obtained, or is said to be good, does not have to be enrolled for again.
fn refused(error: HelperError) -> Failure {
    let dead = matches!(&error, HelperError::Issuer(error)
        if matches!(error.class, ErrorClass::CredentialDead | ErrorClass::ClientGone));
    let failure = Failure::from(error);
    if !dead {
        return failure;
    }
    let info = "check that the refresh token is good, and that it was issued to this client";
    Failure { info: Some(info.into()), kind: FailureKind::Refused, ..failure }
}
