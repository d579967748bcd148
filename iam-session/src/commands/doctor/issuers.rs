//! Whether the issuers can be reached, and what their clocks say. Starts a helper for each; reads the site's files
//! and the user's.

use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::unistd::geteuid;

use super::deadline;
use super::finding::Finding;
use super::session::SessionLook;
use crate::clock::unix_time;
use crate::commands::providers_for_user::known_providers;
use crate::commands::status::advice;
use crate::config::{Providers, Site, same_issuer};
use crate::helper::{Helper, HelperError};
use crate::issuer::wire::{HelperAnswer, Operation, Transport};
use crate::paths::{HELPER, SITE_CONFIG};
use crate::text::duration;

/// A user has one or two; a site that lists more is not asked about all of them.
const MAX_ISSUERS: usize = 4;
/// A home that takes longer hangs.
const HOME: Duration = Duration::from_secs(3);
/// Who checks a token mostly allows for a minute.
const MAX_SKEW: u64 = 30;

/// How an issuer is reached, by its URL.
type Issuer = (String, Transport);

pub(super) fn look(session: &SessionLook) -> Vec<Finding> {
    let providers = providers();
    let mut findings = moved(session, &providers);
    let (wanted, left_out) = issuers(session, &providers);
    if wanted.is_empty() {
        let none = "none to ask: there is no account, and the site names no provider";
        findings.push(Finding::note("issuer", none, ""));
        return findings;
    }
    let not_asked = not_asked(&wanted, &left_out);
    let asked: Vec<_> = wanted
        .into_iter()
        .map(|(issuer, transport)| {
            thread::spawn(move || judge(&issuer, &ask(&issuer, transport), unix_time()))
        })
        .collect();
    findings.extend(asked.into_iter().flat_map(|thread| thread.join().unwrap_or_default()));
    findings.extend(not_asked);
    findings
}

/// Accounts of issuers that have another URL by now.
fn moved(session: &SessionLook, providers: &Providers) -> Vec<Finding> {
    let accounts = session.status.iter().flat_map(|status| &status.accounts);
    let moved = |account| {
        let what = advice::moved(account, providers)?;
        Some(Finding::wrong("issuer", &what, &advice::follow(account)))
    };
    accounts.filter_map(moved).collect()
}

/// That there are more than were asked.
fn not_asked(wanted: &[Issuer], left_out: &[Issuer]) -> Option<Finding> {
    let names =
        |issuers: &[Issuer]| issuers.iter().map(|(issuer, _)| issuer.as_str()).collect::<Vec<_>>().join(", ");
    let what = || format!("asked were {}, and not {}", names(wanted), names(left_out));
    (!left_out.is_empty()).then(|| Finding::note("issuer", &what(), ""))
}

/// Those of the accounts; without an account, the site's default or all of its few. And those that are too many.
fn issuers(session: &SessionLook, providers: &Providers) -> (Vec<Issuer>, Vec<Issuer>) {
    let site = Site::load(Path::new(SITE_CONFIG)).unwrap_or_default();
    let mut wanted: Vec<Issuer> = Vec::new();
    let mut add = |issuer: &str, transport: Transport| {
        if !wanted.iter().any(|(known, _)| same_issuer(known, issuer)) {
            wanted.push((issuer.to_owned(), transport));
        }
    };
    let accounts = || session.status.iter().flat_map(|status| &status.accounts);
    for account in accounts() {
        let transport = providers.by_issuer(&account.issuer).map(|provider| provider.transport.clone());
        add(&account.issuer, transport.unwrap_or_default());
    }
    if accounts().next().is_none() {
        let default = site.default_provider.as_deref();
        let chosen = providers.iter().filter(|provider| default.is_none_or(|alias| alias == provider.alias));
        chosen.for_each(|provider| add(&provider.issuer, provider.transport.clone()));
    }
    let left_out = wanted.split_off(wanted.len().min(MAX_ISSUERS));
    (wanted, left_out)
}

/// The site's and the user's own, who may need a CA or a proxy of theirs. Those of a home that hangs, or with a mistake
/// in them, are left out; another check tells that.
fn providers() -> Providers {
    let own = if geteuid().is_root() { None } else { deadline::first(HOME, known_providers) };
    match own {
        Some(Ok(providers)) => providers,
        _ => Providers::load(Path::new(SITE_CONFIG)).unwrap_or_default(),
    }
}

/// The Date of its answer, where it gave one.
fn ask(issuer: &str, transport: Transport) -> Result<Option<u64>, HelperError> {
    let mut helper =
        if geteuid().is_root() { Helper::start_for_root() } else { Helper::start(Path::new(HELPER)) }?;
    match helper.ask(&Operation::Probe { issuer: issuer.to_owned() }.over(&transport), None)? {
        HelperAnswer::Reached { date } => Ok(date),
        _ => Err(HelperError::Garbage),
    }
}

fn judge(issuer: &str, answer: &Result<Option<u64>, HelperError>, now: u64) -> Vec<Finding> {
    let date = match answer {
        Ok(date) => *date,
        Err(error) => {
            let text = error.to_string();
            let certificate = text.contains("certificate");
            let mend = if certificate {
                "if the certificate is of another CA, the administrator sets ca_file or ca_dir in the issuer's file; \
                 if it is not valid at this time, look at this host's clock"
            } else {
                "if this host has to use a proxy, the administrator sets 'proxy' in the issuer's file"
            };
            return vec![Finding::wrong("issuer", &text, mend)];
        }
    };
    vec![Finding::ok("issuer", &format!("{issuer} answers")), clock(issuer, date, now)]
}

fn clock(issuer: &str, date: Option<u64>, now: u64) -> Finding {
    const CHECK: &str = "clock";
    let Some(date) = date else {
        return Finding::unknown(CHECK, &format!("{issuer} does not say what time it is"));
    };
    let skew = now.abs_diff(date);
    if skew <= MAX_SKEW {
        return Finding::ok(CHECK, &format!("within {MAX_SKEW} s of that of {issuer}"));
    }
    let direction = if now > date { "ahead of" } else { "behind" };
    let what = format!(
        "this host's is {} {direction} that of {issuer}: tokens look ended, or not yet valid",
        duration(skew)
    );
    Finding::wrong(CHECK, &what, "administrator: see 'chronyc tracking'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Severity;

    #[test]
    fn a_clock_that_is_off_is_told_with_its_direction() {
        assert_eq!(clock("I", Some(1000), 1030).state, Severity::Ok);
        assert_eq!(clock("I", None, 1030).state, Severity::Unknown);
        let behind = clock("I", Some(1300), 1000);
        assert!(
            behind.state == Severity::Wrong && behind.what.contains("5 min behind that of I"),
            "{behind:?}"
        );
        assert!(clock("I", Some(1000), 8200).what.contains("2 h ahead of"));
    }

    #[test]
    fn who_was_not_asked_is_told() {
        let issuers = |names: &[&str]| -> Vec<_> {
            names.iter().map(|name| ((*name).to_owned(), Transport::default())).collect()
        };
        assert_eq!(not_asked(&issuers(&["A"]), &[]), None);
        let told = not_asked(&issuers(&["A", "B"]), &issuers(&["W"])).unwrap();
        assert_eq!((told.state, told.what.as_str()), (Severity::Note, "asked were A, B, and not W"));
    }

    #[test]
    fn a_certificate_and_a_network_are_mended_in_different_places() {
        let error = |text: &str| {
            Err(HelperError::Issuer(crate::issuer::wire::IssuerError {
                class: crate::issuer::wire::ErrorClass::Unreachable,
                message: text.to_owned(),
                status: None,
                retry_after: None,
            }))
        };
        let mend = |text| judge("I", &error(text), 0).remove(0).mend.unwrap();
        assert!(mend("invalid peer certificate").contains("ca_file"));
        assert!(mend("connection refused").contains("proxy"));
    }
}
