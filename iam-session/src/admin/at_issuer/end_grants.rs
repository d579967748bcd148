//! `iam-session-admin end-grants`: opens a user's records with that user's keys, and ends their grants at the issuers
//! that root names. Becomes the system user first; touches its pipes and helpers.
//!
//! There is no Argon2 here: only the user can give a passphrase.

use crate::protocol::Failure;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use data_encoding::BASE64;

use super::{EndOutcome, GrantOutcome, GrantPart, KnownIssuer, Material, Ready};
use crate::admin::hand_over;
use crate::admin::subprocess::{MAX_LINE, Orders};
use crate::admin::system_user::SystemUser;
use crate::admin::user_files::Sealed;
use crate::config::same_issuer;
use crate::end_grant::{GrantEnd, deregistration, revocation};
use crate::helper::{self, Helper, HelperError};
use crate::issuer::wire::{Endpoints, HelperAnswer, Operation};
use crate::line::LineError;
use crate::origin::is_of_same_server;
use crate::outcome::{Exit, Outcome};
use crate::secret::Secret;
use crate::store::{Cover, Opened, Record, StoreError};

/// Of one client: a user has a handful of accounts, and more could only be meant to take our time.
const MAX_GRANTS: usize = 16;

/// A record that is open.
struct Grant {
    account: String,
    record: Record,
}

/// What is said, by several threads.
type Say<'a> = dyn Fn(&str, GrantPart) + Sync + 'a;

pub(in crate::admin) fn run() -> Outcome {
    let broken = |error: LineError| Failure::failed(error.to_string());
    let mut orders = Orders::from_standard_input();
    let system: SystemUser = orders.next().map_err(broken)?;
    system.become_for_good()?;
    hand_over(&Ready {}, MAX_LINE)?;
    let material: Material = orders.next().map_err(broken)?;
    let mut records: Vec<Sealed> = Vec::new();
    loop {
        match orders.next() {
            Ok(record) => records.push(record),
            Err(LineError::Closed) => break,
            Err(error) => return Err(broken(error).into()),
        }
    }
    let output = Mutex::new(());
    let say = |account: &str, what: GrantPart| {
        let said = GrantOutcome { account: account.to_owned(), what };
        let _whole_lines = output.lock();
        // Root that has gone reads nothing; what is begun is ended all the same.
        let _ = hand_over(&said, MAX_LINE);
    };
    end_all(material, records, &say);
    say("", GrantPart::All);
    Ok(Exit::Done)
}

/// Issuer by issuer, all at once: one that does not answer keeps no other waiting.
fn end_all(material: Material, records: Vec<Sealed>, say: &Say<'_>) {
    let mut grants: Vec<Vec<Grant>> = material.issuers.iter().map(|_| Vec::new()).collect();
    for sealed in records {
        match open(&sealed, &material) {
            Ok((issuer, grant)) => {
                if let Some(its) = grants.get_mut(issuer) {
                    its.push(grant);
                }
            }
            Err(what) => say(&sealed.account, what),
        }
    }
    let Material { keys, issuers, .. } = material;
    drop(keys);
    thread::scope(|scope| {
        for (known, grants) in issuers.iter().zip(grants) {
            scope.spawn(move || at(known, grants, say));
        }
    });
}

/// The issuer's number, and the grant; or why no issuer is asked about it.
fn open(sealed: &Sealed, material: &Material) -> Result<(usize, Grant), GrantPart> {
    let closed = |issuer: &str, client_id: &str, why: &str| GrantPart::NotReached {
        issuer: issuer.to_owned(),
        client_id: client_id.to_owned(),
        why: why.to_owned(),
    };
    let path = Path::new(&sealed.account);
    let file = BASE64.decode(sealed.file.as_bytes()).unwrap_or_default();
    let opened = Opened::open(&file, path, material.uid, &material.keys).map_err(|error| {
        let why = match error {
            StoreError::NoKey { .. } => "no node key of this host opens it".to_owned(),
            StoreError::Locked { .. } => "no node key of this host opens it, only a passphrase".to_owned(),
            error => error.to_string(),
        };
        let cover = Cover::read(&file, path, material.uid).ok();
        let said = cover.map(|cover| closed(&cover.issuer, &cover.client_id, &why));
        said.unwrap_or_else(|| closed("", "", &why))
    })?;
    let record = opened.record;
    let number = material.issuers.iter().position(|known| same_issuer(&known.issuer, &record.issuer));
    let unknown =
        || closed(&record.issuer, &record.client.client_id, "no file of the site's names this issuer");
    Ok((number.ok_or_else(unknown)?, Grant { account: sealed.account.clone(), record }))
}

/// All grants of one issuer, client by client.
fn at(known: &KnownIssuer, grants: Vec<Grant>, say: &Say<'_>) {
    if grants.is_empty() {
        return;
    }
    let mut helper = None;
    let request = Operation::Discover { issuer: known.issuer.clone() }.over(&known.transport);
    let endpoints = match helper::ask(&mut helper, &request) {
        Ok(HelperAnswer::Discovered { endpoints, .. }) => endpoints,
        answer => {
            let error = answer.err().unwrap_or(HelperError::Garbage);
            for grant in &grants {
                say(&grant.account, not_reached(grant, &error.to_string()));
            }
            return;
        }
    };
    let mut clients: Vec<Vec<Grant>> = Vec::new();
    for grant in grants {
        let client_id = &grant.record.client.client_id;
        let same = |client: &&mut Vec<Grant>| {
            client.first().is_some_and(|first| first.record.client.client_id == *client_id)
        };
        match clients.iter_mut().find(same) {
            Some(client) => client.push(grant),
            None => clients.push(vec![grant]),
        }
    }
    clients.iter().for_each(|grants| end_client(known, &endpoints, grants, &mut helper, say));
}

fn not_reached(grant: &Grant, why: &str) -> GrantPart {
    let Record { issuer, client, .. } = &grant.record;
    GrantPart::NotReached { issuer: issuer.clone(), client_id: client.client_id.clone(), why: why.to_owned() }
}

/// First the refresh tokens of one client, then the client, whatever has become of them: a token that came last may be
/// in none of the records, and goes with its client.
fn end_client(
    known: &KnownIssuer,
    endpoints: &Endpoints,
    grants: &[Grant],
    helper: &mut Option<Helper>,
    say: &Say<'_>,
) {
    for grant in grants.iter().skip(MAX_GRANTS) {
        say(&grant.account, not_reached(grant, "there are too many accounts of this client"));
    }
    let mut managed: Vec<(&str, &Secret)> = Vec::new();
    let mut standing = RecordState::default();
    // A client that waits for an approval has no grant yet.
    let granted = |grant: &&Grant| !grant.record.refresh_token.expose().is_empty();
    for grant in grants.iter().take(MAX_GRANTS).filter(granted) {
        let endpoint = endpoints.revocation.as_deref();
        let came = match revocation(&grant.record, endpoint, &known.transport) {
            Some(request) => came_of(helper::ask(helper, &request)),
            None => EndOutcome::Not("it offers no revocation".to_owned()),
        };
        standing.unknown |= came == EndOutcome::Unknown;
        standing.known |= came == EndOutcome::Ended;
        say(&grant.account, GrantPart::Grant(came));
    }
    let mut answers: Vec<(&str, Option<GrantEnd>)> = Vec::new();
    // All of them: records that say little must not hide the one that says how the client is deleted.
    for grant in grants {
        let client = &grant.record.client;
        let management =
            client.registration_client_uri.as_deref().zip(client.registration_access_token.as_ref());
        let Some((uri, token)) = management else {
            if !granted(&grant) {
                say(&grant.account, not_reached(grant, "its issuer lets nobody delete this client"));
            }
            continue;
        };
        let is_done = managed.iter().any(|(known, one)| (*known, one.expose()) == (uri, token.expose()));
        if is_done || known.shared_clients.contains(&client.client_id) {
            continue;
        }
        managed.push((uri, token));
        let is_theirs = endpoints.registration.as_deref().is_some_and(|ours| is_of_same_server(uri, ours));
        let request = deregistration(client, &known.transport).filter(|_| is_theirs);
        let ended = request.map(|request| GrantEnd::by(helper::ask(helper, &request)));
        standing.deleted |= matches!(ended, Some(GrantEnd::Now));
        answers.push((&grant.account, ended));
    }
    for (account, ended) in answers {
        say(account, GrantPart::Client(standing.of(ended)));
    }
}

/// What is known of a client by what the issuer has answered so far.
#[derive(Clone, Copy, Debug, Default)]
struct RecordState {
    /// It has ended a grant of it.
    known: bool,
    /// It does not know it, or one of its grants.
    unknown: bool,
    /// It has deleted it.
    deleted: bool,
}

impl RecordState {
    /// What came of one record's word on how the client is deleted; none was asked that is another server's.
    fn of(self, ended: Option<GrantEnd>) -> EndOutcome {
        match ended {
            None => {
                EndOutcome::Not("the record names another server for that than the issuer has".to_owned())
            }
            Some(GrantEnd::Now) => EndOutcome::Ended,
            // It does not know the client, so neither its token (RFC 7592, section 2.3).
            Some(GrantEnd::Before | GrantEnd::Refused(_)) if self.deleted => EndOutcome::Unknown,
            Some(GrantEnd::Refused(_)) if self.unknown && !self.known => EndOutcome::Unknown,
            // It is the token that it does not know: that of a client can have been replaced.
            Some(GrantEnd::Before) if self.known => {
                EndOutcome::Not("the issuer does not take the registration token of the record".to_owned())
            }
            Some(ended) => came(ended),
        }
    }
}

fn came_of(answer: Result<HelperAnswer, HelperError>) -> EndOutcome {
    came(GrantEnd::by(answer))
}

fn came(ended: GrantEnd) -> EndOutcome {
    match ended {
        GrantEnd::Now => EndOutcome::Ended,
        GrantEnd::Before => EndOutcome::Unknown,
        GrantEnd::Refused(error) | GrantEnd::NotYet(error) => EndOutcome::Not(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_the_issuer_has_just_known_is_not_gone_because_its_token_is_not_taken() {
        let before = || Some(GrantEnd::Before);
        let refused = || Some(GrantEnd::Refused(HelperError::Garbage));
        let known = RecordState { known: true, ..RecordState::default() };
        assert!(matches!(known.of(before()), EndOutcome::Not(_)));
        // A decoy that names the same client.
        let decoyed = RecordState { unknown: true, ..known };
        assert!(
            matches!(decoyed.of(before()), EndOutcome::Not(_))
                && matches!(decoyed.of(refused()), EndOutcome::Not(_))
        );
        let gone = RecordState { unknown: true, ..RecordState::default() };
        assert_eq!((gone.of(before()), gone.of(refused())), (EndOutcome::Unknown, EndOutcome::Unknown));
        let deleted = RecordState { deleted: true, ..known };
        assert_eq!(
            (deleted.of(Some(GrantEnd::Now)), deleted.of(before())),
            (EndOutcome::Ended, EndOutcome::Unknown)
        );
        assert!(matches!(deleted.of(None), EndOutcome::Not(_)));
    }
}
