//! Verifies an enrolment before it is sealed: what an imported refresh token was granted, and, if the site expects a
//! subject, whom it stands for. Asks the issuer through one helper.
//!
//! Issuer, endpoints and transport come from the site's file and from the issuer itself, whatever the record says. A user
//! can name certificates to trust, and a record of an earlier version holds what a command line said.

use std::time::Duration;

use super::Mint;
use super::policy::Policy;
use crate::config::{ExpectedSubject, Provider};
use crate::helper::HelperError;
use crate::host::names;
use crate::issuer::wire::{ErrorClass, HelperAnswer, HelperRequest, Operation, TokenAnswer};
use crate::log::Level;
use crate::protocol::{Failure, FailureKind};
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::store::{Record, Store};
use crate::text::printable;

/// For a name service that is asked whose uid it is; a login is not waiting for this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of a claim that is not the expected one, the beginning says enough.
const MAX_SHOWN: usize = 100;

/// What an enrolment obtained.
pub(crate) struct NewGrant {
    /// What the account is to be called.
    pub(crate) account: String,
    /// What is to be sealed.
    pub(crate) record: Record,
    /// Whether the refresh token was obtained elsewhere: then `scope` is what is wanted of it, all if empty, and what
    /// was granted is asked of the issuer before anything is sealed.
    pub(crate) imported: bool,
}

/// Whether the issuer has given another refresh token meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RotatedToken {
    Kept,
    Replaced,
}

impl RotatedToken {
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
    pub(crate) fn verify_subject(
        &mut self,
        store: &Store,
        policy: &Policy,
        obtained: &mut NewGrant,
    ) -> Result<RotatedToken, Failure> {
        let expecting = policy.expecting(&obtained.record.issuer);
        let Some((provider, expected)) =
            expecting.and_then(|provider| Some((provider, provider.expect_subject.as_ref()?)))
        else {
            return if obtained.imported { Ok(self.adopt(obtained)?.1) } else { Ok(RotatedToken::Kept) };
        };
        let wanted = self.expected_value(provider, expected)?;
        let userinfo = self.pin(obtained, provider)?;
        let (access_token, rotation) = match obtained.imported {
            true => self.adopt(obtained)?,
            false => self.refresh_for(expected, obtained)?,
        };
        let said = self.claim(expected, obtained, userinfo, access_token);
        let compared = said.and_then(|values| compare(expected.claim(), &wanted, obtained, &values));
        compared.map_err(|failure| {
            self.end_refused(store, policy, obtained, rotation, &failure);
            if obtained.imported { rotation.explain(failure) } else { failure }
        })?;
        Ok(rotation)
    }

    /// Refuses a user of whom nothing can be expected: before anybody is asked to approve.
    pub(crate) fn can_be_verified(&self, policy: &Policy, issuer: &str) -> Result<(), Failure> {
        let expecting = policy.expecting(issuer);
        match expecting.and_then(|provider| Some((provider, provider.expect_subject.as_ref()?))) {
            Some((provider, expected)) => self.expected_value(provider, expected).map(|_| ()),
            None => Ok(()),
        }
    }

    /// What the claim must equal. No name that is made of the login name may be another user's of this host: with `%Lu`
    /// ALICE would pass for alice, and with `%n` alice@ad.example would.
    fn expected_value(&self, provider: &Provider, expected: &ExpectedSubject) -> Result<String, Failure> {
        let user = self.login_name()?;
        let value = expected.value(&user, &provider.subject_domains).map_err(|error| {
            Failure::refused(format!("it cannot be told who '{user}' is at {}: {error}", provider.issuer))
                .advise("ask the site's administrators: see expect_subject in iam-session-issuers(5)")
        })?;
        for name in &value.other_names {
            if names::is_number(name) {
                return Err(self.unknown(&user, &format!("whether '{name}' is another user cannot be asked")));
            }
            let other = names::user_called(name, PATIENCE)
                .map_err(|error| self.unknown(&user, &error.to_string()))?;
            if other.is_some_and(|other| other.uid != self.message.uid) {
                return Err(Failure::refused(format!(
                    "'{user}' is compared as '{name}', who is another user of this host"
                ))
                .advise("ask the site's administrators: see expect_subject in iam-session-issuers(5)"));
            }
        }
        Ok(value.text)
    }

    /// The name of whoever logged in, as the name service spells it: sshd has it as it was typed. An agent without a
    /// login has it from the environment.
    fn login_name(&self) -> Result<String, Failure> {
        let user = &self.message.user;
        match names::user_called(user, PATIENCE) {
            Ok(Some(known)) if known.uid == self.message.uid => Ok(known.name),
            Ok(_) => Err(self.unknown(user, "")),
            Err(error) => Err(self.unknown(user, &error.to_string())),
        }
    }

    fn unknown(&self, user: &str, why: &str) -> Failure {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        Failure::refused(format!("it cannot be told that uid {} is '{user}'{why}", self.message.uid))
            .advise("this site compares the login name with the issuer's: log in again")
    }

    /// Replaces what was said of the issuer by what it says itself; gives its userinfo endpoint.
    fn pin(&mut self, obtained: &mut NewGrant, provider: &Provider) -> Result<Option<String>, Failure> {
        let transport = provider.transport.clone();
        let request = Operation::Discover { issuer: provider.issuer.clone() }.over(&transport);
        let HelperAnswer::Discovered { issuer, endpoints, userinfo, .. } = self.ask(&request)? else {
            return Err(HelperError::Garbage.into());
        };
        (obtained.record.issuer, obtained.record.endpoints, obtained.record.transport) =
            (issuer, endpoints, transport);
        obtained.record.audience_mode = provider.audience_mode;
        Ok(userinfo)
    }

    /// What a refresh token from elsewhere was granted, as the issuer says; of it, what is wanted.
    fn adopt(&mut self, obtained: &mut NewGrant) -> Result<(Secret, RotatedToken), Failure> {
        let request = Operation::Adopt {
            endpoint: obtained.record.endpoints.token.clone(),
            client: obtained.record.client.duplicate(),
            refresh_token: obtained.record.refresh_token.duplicate(),
        }
        .over(&obtained.record.transport);
        let (answer, rotation) = self.redeem(&request, obtained)?;
        obtained.record.states_scope = answer.scope.is_some();
        let granted = match answer.scope {
            Some(granted) if obtained.record.scope.is_empty() => granted,
            Some(granted) => granted.intersect(&obtained.record.scope),
            None => obtained.record.scope.clone(),
        };
        if granted.is_empty() {
            return Err(rotation.explain(nothing_granted(obtained)));
        }
        obtained.record.scope = granted;
        obtained.record.subject = answer.subject;
        Ok((answer.access_token, rotation))
    }

    fn refresh_for(
        &mut self,
        expected: &ExpectedSubject,
        obtained: &mut NewGrant,
    ) -> Result<(Secret, RotatedToken), Failure> {
        let request = Operation::Refresh {
            endpoint: obtained.record.endpoints.token.clone(),
            client: obtained.record.client.duplicate(),
            refresh_token: obtained.record.refresh_token.duplicate(),
            scope: scope_for(expected, obtained)?,
            audience: String::new(),
            audience_mode: obtained.record.audience_mode,
        }
        .over(&obtained.record.transport);
        let (answer, rotation) = self.redeem(&request, obtained)?;
        Ok((answer.access_token, rotation))
    }

    /// A refresh; a refresh token that comes with its answer is the enrolment's from then on.
    fn redeem(
        &mut self,
        request: &HelperRequest,
        obtained: &mut NewGrant,
    ) -> Result<(TokenAnswer, RotatedToken), Failure> {
        self.may_ask()?;
        let mut answer = match self.ask(request) {
            Ok(HelperAnswer::Token(answer)) => answer,
            Ok(HelperAnswer::Unusable { error, refresh_token, .. }) => {
                obtained.record.refresh_token = refresh_token;
                let failure = HelperError::Issuer(error).into();
                return Err(if obtained.imported {
                    RotatedToken::Replaced.explain(failure)
                } else {
                    failure
                });
            }
            Ok(_) => return Err(HelperError::Garbage.into()),
            Err(error) => return Err(refused(error)),
        };
        let Some(token) = answer.refresh_token.take() else { return Ok((answer, RotatedToken::Kept)) };
        let same = token.expose() == obtained.record.refresh_token.expose();
        obtained.record.refresh_token = token;
        obtained.record.refresh_token_expires_at = answer.refresh_token_expires_at;
        Ok((answer, if same { RotatedToken::Kept } else { RotatedToken::Replaced }))
    }

    fn claim(
        &mut self,
        expected: &ExpectedSubject,
        obtained: &NewGrant,
        userinfo: Option<String>,
        access_token: Secret,
    ) -> Result<Vec<String>, Failure> {
        let endpoint = userinfo.ok_or_else(|| {
            Failure::failed(format!(
                "{} has no userinfo endpoint, and this site asks it who enrols",
                obtained.record.issuer
            ))
            .advise("tell the site's administrators")
        })?;
        let claim = expected.claim().to_owned();
        let request = Operation::Userinfo { endpoint, access_token, claim };
        match self.ask(&request.over(&obtained.record.transport))? {
            HelperAnswer::Claim { values } => Ok(values),
            _ => Err(HelperError::Garbage.into()),
        }
    }

    /// What is not kept here must not live on at the issuer either; but a refresh token that came from elsewhere and
    /// is still good there is not ours to end.
    fn end_refused(
        &mut self,
        store: &Store,
        policy: &Policy,
        obtained: &NewGrant,
        rotation: RotatedToken,
        failure: &Failure,
    ) {
        let error = failure.to_string();
        let fields =
            [("account", obtained.account.as_str()), ("issuer", &obtained.record.issuer), ("error", &error)];
        self.log.event(Level::Warning, "refused", &fields);
        // One that was replaced meanwhile is ended by the enrolment, as in every other failure.
        let is_ours = !obtained.imported && rotation == RotatedToken::Kept;
        let unkept = if is_ours { self.end_of_unkept(store, policy, &obtained.record) } else { None };
        if let Some(request) = unkept {
            let _ = self.ask(&request);
        }
    }
}

/// What an issuer says, as far as a line has room for it.
fn shortened(text: &str) -> String {
    printable(&text.chars().take(MAX_SHOWN).collect::<String>())
}

fn scope_for(expected: &ExpectedSubject, obtained: &NewGrant) -> Result<ScopeSet, Failure> {
    let scope = expected.scope_of(&obtained.record.scope);
    if scope.allows("openid") {
        return Ok(scope);
    }
    Err(Failure::refused(format!(
        "{} did not grant 'openid', and this site asks it who enrols",
        obtained.record.issuer
    ))
    .advise("leave nothing out on the consent page; else ask the site's administrators"))
}

fn nothing_granted(obtained: &NewGrant) -> Failure {
    let issuer = &obtained.record.issuer;
    let (error, info) = match obtained.record.states_scope {
        true => {
            (format!("{issuer} granted the refresh token none of these scopes"), "leave -s out: all are kept")
        }
        false => {
            (format!("{issuer} does not say what the refresh token was granted"), "name its scopes with -s")
        }
    };
    Failure::refused(error).advise(info)
}

fn compare(claim: &str, wanted: &String, obtained: &NewGrant, said: &[String]) -> Result<(), Failure> {
    if said.contains(wanted) {
        return Ok(());
    }
    let issuer = &obtained.record.issuer;
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
