//! Ends a revoked user's enrolments at their issuers. Reads /etc/iam-session; starts a reader of the user's store, and
//! a process without privileges that opens the records and speaks to issuers.
//!
//! A record is the user's word. Root's own files say which issuers are asked, and how they are reached. The endpoints
//! come from the issuers themselves, now. Nothing in the user's store is changed.

mod end_grants;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::end_grants::run as run_end_grants;
use super::subprocess::Subprocess;
use super::user::UserEntry;
use super::user_files::{FileReader, Records, Sealed, Skipped};
use crate::config::{Providers, Site, same_issuer};
use crate::host::node_keys;
use crate::issuer::wire::Transport;
use crate::line::LineError;
use crate::paths;
use crate::store::Keyring;

/// Of an issuer that answers slowly (the helper waits 45 s for each answer), for some enrolments of one user.
const PATIENCE: Duration = Duration::from_secs(300);

/// An issuer that root's own files name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KnownIssuer {
    issuer: String,
    transport: Transport,
    /// Clients that are the site's, and not one user's.
    shared_clients: Vec<String>,
}

/// What opens the records, and who is asked.
#[derive(Debug, Serialize, Deserialize)]
struct Material {
    uid: u32,
    keys: Keyring,
    issuers: Vec<KnownIssuer>,
}

/// What came of a record. One that was opened has several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GrantOutcome {
    pub(super) account: String,
    pub(super) what: GrantPart,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum GrantPart {
    Grant(EndOutcome),
    Client(EndOutcome),
    /// No issuer was asked about it.
    NotReached {
        issuer: String,
        client_id: String,
        why: String,
    },
    /// All has been said; of no record.
    All,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EndOutcome {
    /// It is ended.
    Ended,
    /// The issuer does not know it, or not any more.
    Unknown,
    /// It is not ended; why.
    Not(String),
}

/// What is told of a whole user.
#[derive(Debug, Default)]
pub(super) struct AtIssuer {
    /// A line each.
    pub(super) done: Vec<String>,
    /// What is not ended, or may not be.
    pub(super) not_done: Vec<String>,
}

/// Ends all enrolments that can be found, and says what became of each.
pub(super) fn end(account: &UserEntry, reader: FileReader) -> AtIssuer {
    let mut told = AtIssuer::default();
    let directory = Path::new(paths::SITE_CONFIG);
    let read = || Ok((Site::load(directory)?, Providers::load(directory)?));
    let (site, providers) = match read() {
        Ok(read) => read,
        Err(error) => {
            let error: crate::config::ConfigError = error;
            told.not_done.push(format!("no issuer was asked: {error}"));
            return told;
        }
    };
    let store = site.store_dir.expand(&account.name, account.uid, Path::new(&account.home));
    let first = providers.iter().map(|provider| provider.alias.clone()).collect();
    let records = reader.records(&store, first);
    told.of_reading(&records, account);
    if !records.sealed.is_empty() {
        let keys = || node_keys::keyring(account.uid);
        let (said, trouble) = ask(reader, account.uid, keys, known(&site, &providers), &records.sealed);
        said.iter().for_each(|said| told.of(said));
        let unfinished = |why| format!("not all was ended, clients least of all: {why}");
        told.not_done.extend(trouble.map(unfinished));
        told.done.push("the user's store is left as it is; what was ended opens nothing any more".to_owned());
    }
    told
}

/// All issuers that the site's files name, each with the transport of the first file that does.
fn known(site: &Site, providers: &Providers) -> Vec<KnownIssuer> {
    let mut all: Vec<KnownIssuer> = Vec::new();
    for provider in providers.iter() {
        let client = provider.client_id.clone();
        match all.iter_mut().find(|known| same_issuer(&known.issuer, &provider.issuer)) {
            Some(known) => known.shared_clients.extend(client),
            None => all.push(KnownIssuer {
                issuer: provider.issuer.clone(),
                transport: provider.transport.clone(),
                shared_clients: client.into_iter().collect(),
            }),
        }
    }
    for issuer in site.allowed_issuers.iter().flatten() {
        if !all.iter().any(|known| same_issuer(&known.issuer, issuer)) {
            let (issuer, transport) = (issuer.clone(), Transport::default());
            all.push(KnownIssuer { issuer, transport, shared_clients: Vec::new() });
        }
    }
    all
}

/// Has the records opened and ended. What came before the deadline counts; of each of the others it is said that nothing
/// is known, and why that was not all. `keys` is asked for when the process has become the system user.
fn ask(
    reader: FileReader,
    uid: u32,
    keys: impl FnOnce() -> Keyring,
    issuers: Vec<KnownIssuer>,
    records: &[Sealed],
) -> (Vec<GrantOutcome>, Option<String>) {
    let mut said: Vec<GrantOutcome> = Vec::new();
    let asked = || -> Result<(), LineError> {
        let mut process = Subprocess::start("end-grants", PATIENCE)?;
        process.tell(&reader.system)?;
        let Ready {} = process.next()?;
        process.tell(&Material { uid, keys: keys(), issuers })?;
        records.iter().try_for_each(|sealed| process.tell(sealed))?;
        process.told_all();
        hear(|| process.next(), &mut said)
    };
    let trouble = match asked() {
        Ok(()) => None,
        Err(LineError::Closed) => Some("nothing more came back".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    let why = trouble.as_deref().unwrap_or("nothing came back");
    let heard: BTreeSet<&str> = said.iter().map(|said| said.account.as_str()).collect();
    let unheard: BTreeSet<&str> = records.iter().map(|sealed| sealed.account.as_str()).collect();
    let unheard: Vec<GrantOutcome> =
        unheard.difference(&heard).map(|account| not_heard_of(account, why)).collect();
    said.extend(unheard);
    (said, trouble)
}

/// Takes what is said until that is all.
fn hear(
    mut next: impl FnMut() -> Result<GrantOutcome, LineError>,
    said: &mut Vec<GrantOutcome>,
) -> Result<(), LineError> {
    loop {
        match next()? {
            GrantOutcome { what: GrantPart::All, .. } => return Ok(()),
            more => said.push(more),
        }
    }
}

/// Told by the process that has become the system user.
#[derive(Debug, Serialize, Deserialize)]
struct Ready {}

fn not_heard_of(account: &str, why: &str) -> GrantOutcome {
    let (issuer, client_id) = (String::new(), String::new());
    GrantOutcome {
        account: account.to_owned(),
        what: GrantPart::NotReached { issuer, client_id, why: why.to_owned() },
    }
}

impl AtIssuer {
    fn of_reading(&mut self, records: &Records, account: &UserEntry) {
        if let Some(trouble) = &records.trouble {
            self.not_done.push(format!("the store of {} could not be read: {trouble}", account.name));
        } else if records.sealed.is_empty() && records.skipped.is_empty() {
            self.done.push(format!("{} has no enrolment on this host", account.name));
        }
        for Skipped { name, why } in &records.skipped {
            self.not_done.push(format!("not reached: '{name}' in the user's store: {why}"));
        }
        if let others @ 1.. = records.others {
            self.done.push(format!("files in the user's store that are no records: {others}"));
        }
    }

    fn of(&mut self, said: &GrantOutcome) {
        let GrantOutcome { account, what } = said;
        let (done, line) = match what {
            GrantPart::All => return,
            GrantPart::Grant(EndOutcome::Ended) => {
                (true, format!("account '{account}': revoked at the issuer"))
            }
            GrantPart::Grant(EndOutcome::Unknown) => {
                (true, format!("account '{account}': the issuer does not know the grant, or not any more"))
            }
            GrantPart::Grant(EndOutcome::Not(why)) => {
                (false, format!("account '{account}': may still be good at the issuer: {why}"))
            }
            GrantPart::Client(EndOutcome::Ended) => {
                (true, format!("account '{account}': its client deleted at the issuer"))
            }
            GrantPart::Client(EndOutcome::Unknown) => {
                (true, format!("account '{account}': the issuer does not know the client, or not any more"))
            }
            GrantPart::Client(EndOutcome::Not(why)) => {
                (false, format!("account '{account}': its client stays at the issuer: {why}"))
            }
            GrantPart::NotReached { issuer, client_id, why } => {
                let of = if issuer.is_empty() {
                    String::new()
                } else {
                    format!(" of {issuer}, client {client_id}")
                };
                (false, format!("not reached: account '{account}'{of}: {why}"))
            }
        };
        let lines = if done { &mut self.done } else { &mut self.not_done };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Provider;

    #[test]
    fn what_is_cut_off_after_a_grant_is_told_apart_from_what_is_all() {
        let grant = GrantOutcome { account: "a".into(), what: GrantPart::Grant(EndOutcome::Ended) };
        let all = GrantOutcome { account: String::new(), what: GrantPart::All };
        let heard = |mut lines: Vec<GrantOutcome>| {
            let mut said = Vec::new();
            lines.reverse();
            let end = hear(|| lines.pop().ok_or(LineError::Closed), &mut said);
            (said.len(), end.is_ok())
        };
        assert_eq!(heard(vec![grant.clone(), all]), (1, true));
        assert_eq!(heard(vec![grant]), (1, false), "its client may not have been reached");
    }

    #[test]
    fn only_issuers_of_the_sites_own_files_are_known() {
        let provider = |issuer: &str, client: Option<&str>| Provider {
            client_id: client.map(str::to_owned),
            ..Provider::unlisted(issuer, "x")
        };
        let providers =
            Providers::of(vec![provider("https://a/", None), provider("https://A", Some("public"))]);
        let site =
            Site { allowed_issuers: Some(vec!["https://a".into(), "https://b/".into()]), ..Site::default() };
        let known = known(&site, &providers);
        let issuers: Vec<&str> = known.iter().map(|known| known.issuer.as_str()).collect();
        assert_eq!(issuers, ["https://a/", "https://b/"]);
        assert_eq!(known[0].shared_clients, ["public"]);
    }

    #[test]
    fn what_is_not_ended_is_told_apart_from_what_is() {
        let mut told = AtIssuer::default();
        let what = [
            GrantPart::Grant(EndOutcome::Not("down".into())),
            GrantPart::Client(EndOutcome::Ended),
            GrantPart::NotReached {
                issuer: "https://x/".into(),
                client_id: "c".into(),
                why: "unknown".into(),
            },
        ];
        for what in what {
            told.of(&GrantOutcome { account: "a".into(), what: what.clone() });
            told.of(&GrantOutcome { account: "a".into(), what });
        }
        assert_eq!(told.done, ["account 'a': its client deleted at the issuer"], "and each line once");
        assert_eq!(
            told.not_done,
            [
                "account 'a': may still be good at the issuer: down",
                "not reached: account 'a' of https://x/, client c: unknown"
            ]
        );
    }
}
