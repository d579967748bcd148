//! An enrolment with a client that is there already: the agent has its secret and speaks to the issuer, this side
//! shows the code and keeps the pace. Touches the agent's socket, the terminal and, to learn what an issuer offers, a
//! helper.

use std::path::Path;

use super::Occasion;
use super::client::Origin;
use super::flow::device::Pace;
use super::flow::{Code, Obtained, cancelled, failure, is_uncertain, warn_of_uncertainty};
use super::person::Person;
use super::plan::Plan;
use super::report::Report;
use super::scopes::{Grantor, Shortfall};
use super::signals::Signals;
use crate::client::Agent;
use crate::clock::boot_time;
use crate::config::same_issuer;
use crate::helper::{Helper, HelperError};
use crate::issuer::wire::{Answer, ErrorClass, IssuerError, Request as Question};
use crate::outcome::{Stop, print_error};
use crate::paths::HELPER;
use crate::protocol::{Authorization, Authorized, DeviceCode, Enrolled, Poll, Polled, Request, Status};
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::text::printable;

/// The account whose client an enrolment can use: the one it replaces, or another one of the same issuer. A client that
/// somebody names, the user or the site, counts more; but not where it is the account's own that is asked for.
pub(super) fn client_of<'a>(status: &'a Status, plan: &Plan, occasion: Occasion) -> Option<&'a str> {
    let is_named = !matches!(plan.origin, Origin::Registered { initial_access_token: None });
    if is_named && occasion == Occasion::First {
        return None;
    }
    let is_of_issuer = |issuer: &str| same_issuer(issuer, &plan.provider.issuer);
    let names = status.accounts.iter().filter(|account| is_of_issuer(&account.issuer));
    let mut names = names.map(|account| account.name.as_str()).filter(|name| !is_locked(status, name));
    let own = names.clone().find(|name| *name == plan.account);
    own.or_else(|| names.next().filter(|_| !is_named))
}

fn is_locked(status: &Status, name: &str) -> bool {
    status.locked.iter().any(|locked| locked == name)
}

/// Obtains a consent with the client of `client_of`; `None` where that client cannot be used, and another is needed.
pub(super) fn run(
    agent: &mut Agent,
    plan: &mut Plan,
    client_of: &str,
    report: Report,
    person: Option<&mut Person>,
) -> Result<Option<Obtained>, Stop> {
    let wanted = wanted(plan, person)?;
    let mut asked = Authorization {
        account: plan.account.clone(),
        client_of: client_of.to_owned(),
        scope: wanted.clone(),
    };
    let code = match agent.ask(&Request::Authorize(asked.clone()))? {
        Authorized::Code(code) => code,
        Authorized::NoClient { error } => {
            print_error(&format!(
                "The client of account '{}' cannot be used: {}. {}",
                printable(client_of),
                printable(&error),
                match plan.origin {
                    Origin::Registered { .. } => "A new one is registered.",
                    Origin::Given(_) => "The site's own is used.",
                }
            ));
            return Ok(None);
        }
    };
    asked.scope = code.scope.clone();
    if let Some(name) = &code.client_name {
        plan.client_name.clone_from(name);
    }
    // Until here Ctrl-C leaves nothing behind: what the client may ask for is the agent's to keep.
    let signals = Signals::take_over()
        .map_err(|errno| failure(format!("cannot wait for signals: {}", errno.desc()), None))?;
    report.code(plan, &shown(&code))?;
    let (enrolled, issuer) = poll(agent, &signals, &asked, &code)?;
    let granted = enrolled.scope.clone();
    let shortfall = Shortfall::new(&wanted, &code.scope, &granted, Grantor::PolicyOrClient);
    Ok(Some(Obtained { issuer, granted, shortfall, explicit: plan.wish.explicit().clone(), enrolled }))
}

/// What is wanted. Where nobody has said, whoever is there is asked, once: the answer is the plan's from then on.
fn wanted(plan: &mut Plan, person: Option<&mut Person>) -> Result<ScopeSet, Stop> {
    let offered = offered(plan)?;
    if let Some(person) = person.filter(|_| plan.wish.is_open()) {
        let question = plan.wish.question(&plan.provider.issuer, &offered);
        plan.wish = plan.wish.answered(&person.ask(&question, None)?)?;
    }
    Ok(plan.wish.wanted(&offered))
}

/// What the issuer lists, where the wish depends on it.
fn offered(plan: &Plan) -> Result<ScopeSet, Stop> {
    if !plan.wish.depends_on_offer() {
        return Ok(ScopeSet::default());
    }
    let request = Question::Discover {
        issuer: plan.provider.issuer.clone(),
        transport: plan.provider.transport.clone(),
    };
    match Helper::start(Path::new(HELPER))?.ask(&request, None)? {
        Answer::Discovered { scopes_supported, .. } => Ok(scopes_supported),
        _ => Err(HelperError::Garbage.into()),
    }
}

fn shown(code: &DeviceCode) -> Code {
    Code {
        device_code: code.device_code.duplicate(),
        code_verifier: None,
        user_code: code.user_code.clone(),
        verification_uri: code.verification_uri.clone(),
        verification_uri_complete: code.verification_uri_complete.clone(),
        expires_in: code.expires_in,
        interval: code.interval,
    }
}

type Granted = (Enrolled, String);

fn poll(agent: &Agent, signals: &Signals, asked: &Authorization, code: &DeviceCode) -> Result<Granted, Stop> {
    let mut pace = Pace::new(code.interval, code.expires_in, boot_time());
    loop {
        let pause = pace.next(boot_time()).map_err(Stop::from)?;
        signals.wait(pause).map_err(|_| Stop::from(cancelled()))?;
        let request = Request::Poll(Poll {
            authorization: asked.clone(),
            device_code: code.device_code.duplicate(),
            code_verifier: code.code_verifier.as_ref().map(Secret::duplicate),
        });
        // A connection of its own each time: an agent that is short of room lets go of those that ask nothing.
        let ask = || agent.another()?.ask_unless(&request, Some(signals.descriptor()));
        let error = match ask() {
            Ok(Polled::Enrolled { enrolled, issuer }) => return Ok((enrolled, issuer)),
            Ok(Polled::Pending {}) => answered(ErrorClass::AuthorizationPending, ""),
            Ok(Polled::SlowDown {}) => answered(ErrorClass::SlowDown, ""),
            Ok(Polled::Denied {}) => answered(ErrorClass::AccessDenied, ""),
            Ok(Polled::Expired {}) => answered(ErrorClass::ExpiredToken, ""),
            Ok(Polled::Unreachable { error, retry_after }) => {
                IssuerError { retry_after, ..answered(ErrorClass::Unreachable, &error) }
            }
            Err(error) => {
                let stop = Stop::from(error);
                if is_uncertain(&stop) {
                    warn_of_uncertainty();
                }
                return Err(stop);
            }
        };
        pace.answered(error).map_err(Stop::from)?;
    }
}

fn answered(class: ErrorClass, message: &str) -> IssuerError {
    IssuerError { class, message: message.to_owned(), status: None, retry_after: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::enroll::EnrollArgs;
    use crate::commands::status::tests::{account, status};
    use crate::config::{Provider, Site};

    fn chosen(locked: &[&str], name: &str) -> Option<String> {
        chosen_with(None, locked, name, Occasion::First)
    }

    fn chosen_with(sites: Option<&str>, locked: &[&str], name: &str, occasion: Occasion) -> Option<String> {
        let mut status = status(vec![account("other"), account("a"), account("b")]);
        status.accounts[0].issuer = "https://other.example/".into();
        status.locked = locked.iter().map(|&name| name.to_owned()).collect();
        let client_id = sites.map(str::to_owned);
        let provider = Provider { client_id, ..Provider::unlisted("https://wlcg.example", "wlcg") };
        let args = EnrollArgs { account: Some(name.into()), ..EnrollArgs::default() };
        let origin = Origin::of(&args, &provider, None).unwrap();
        let plan = Plan::new(&args, provider, origin, &Site::default(), &status, None).unwrap();
        client_of(&status, &plan, occasion).map(str::to_owned)
    }

    #[test]
    fn the_sites_client_counts_more_unless_it_is_the_accounts_own_that_is_asked_for() {
        assert_eq!(chosen_with(Some("sites"), &[], "b", Occasion::First), None);
        assert_eq!(chosen_with(Some("sites"), &[], "b", Occasion::Again).as_deref(), Some("b"));
        assert_eq!(chosen_with(Some("sites"), &["b"], "b", Occasion::Again), None);
    }

    #[test]
    fn the_client_is_that_of_the_account_itself_or_of_another_one_of_its_issuer() {
        assert_eq!(chosen(&[], "b").as_deref(), Some("b"));
        assert_eq!(chosen(&[], "new").as_deref(), Some("a"));
        assert_eq!(chosen(&["a"], "new").as_deref(), Some("b"));
        assert_eq!(chosen(&["a", "b"], "new"), None);
    }
}
