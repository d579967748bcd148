//! Seals what an enrolment obtained and puts its first token into the file. Touches store, cache and one helper.

use std::time::Duration;

use data_encoding::HEXLOWER;

use super::Mint;
use super::accounts::usage;
use super::client::Need;
use super::forget::{deregistration, revocation};
use super::policy::Policy;
use super::token::not_allowed;
use crate::account;
use crate::agent::freshness::Freshness;
use crate::agent::job::{Kind, TokenJob};
use crate::clock;
use crate::config::same_issuer;
use crate::log::Level;
use crate::protocol::{Enrolled, Enrollment, Failure, FailureKind};
use crate::store::{Opened, Record, Store, StoreError};

impl Mint {
    /// Seals an enrolment, until `by` on CLOCK_BOOTTIME: whoever asked is told by then that it failed, and may undo it
    /// at the issuer. That the first token cannot be had is told, and is no failure of the enrolment.
    pub(super) fn enroll(&mut self, enrollment: Enrollment, by: Duration) -> Result<Enrolled, Failure> {
        account::validate(&enrollment.account)
            .map_err(|error| usage(error.to_string(), "choose another name"))?;
        let policy = Policy::load(&self.message)?;
        if !policy.allows(&enrollment.issuer) {
            return Err(not_allowed(&enrollment.issuer));
        }
        let store = Store::create(&policy.store_dir(&self.message), self.message.uid)?;
        let locks = self.lock(&store, &self.patience())?;
        let enrolled = self.enroll_under_lock(&store, &policy, enrollment, by);
        self.release(locks);
        enrolled
    }

    fn enroll_under_lock(
        &mut self,
        store: &Store,
        policy: &Policy,
        enrollment: Enrollment,
        by: Duration,
    ) -> Result<Enrolled, Failure> {
        let name = enrollment.account.clone();
        let former = self.former(store, &name, &enrollment.issuer)?;
        if clock::boot_time() >= by {
            return Err(too_late());
        }
        // Which account was there first decides whose token is in the file: enrolled again it is no younger.
        let since = former.as_ref().map_or_else(clock::unix_time, |former| former.record.enrolled_at);
        self.seal(store, &name, enrollment, since)?;
        self.unsaved.remove(&name);
        let job = TokenJob { account: name.clone(), kind: Kind::Session, freshness: Freshness::Valid(0) };
        let trouble = self.token_under_lock(store, policy, &job).err();
        let record = self.open(store, &name)?.record;
        // The same again changes nothing, and what it names must live.
        let replaced =
            former.filter(|former| former.record.refresh_token.expose() != record.refresh_token.expose());
        if let Some(former) = replaced {
            self.forget_record(&HEXLOWER.encode(&former.id()));
            let is_replaced = former.record.client.client_id != record.client.client_id;
            let needless = is_replaced && matches!(self.need(store, &name, &former.record), Need::None);
            let client = if needless { FormerClient::Needless } else { FormerClient::Needed };
            self.former.push(Former { record: former.record, client });
        }
        Ok(Enrolled {
            session_scope: policy.session_scope(&record.issuer, &record.scope),
            account: name,
            token_file: self.runtime.places.token_file().display().to_string(),
            trouble,
        })
    }

    /// The record that is to be replaced. One that does not open is not ours to overwrite: another host may be
    /// able to read it.
    pub(super) fn former(&self, store: &Store, name: &str, issuer: &str) -> Result<Option<Opened>, Failure> {
        match self.open(store, name) {
            Ok(former) if same_issuer(&former.record.issuer, issuer) => Ok(Some(former)),
            Ok(former) => Err(usage(
                format!("account '{name}' is already one of {}", former.record.issuer),
                "choose another name with --account NAME",
            )),
            Err(StoreError::NoAccount { .. }) => Ok(None),
            Err(error) => Err(Failure {
                info: Some(format!(
                    "choose another name with --account NAME, or remove it with 'iam-session forget {name}'"
                )),
                ..Failure::from(error)
            }),
        }
    }

    fn seal(&self, store: &Store, name: &str, enrollment: Enrollment, since: u64) -> Result<(), Failure> {
        let key = self.message.keys.sealing().ok_or(StoreError::NoSealingKey)?;
        let record = Record::new(enrollment, since);
        let line = format!(
            "enrolled account={name} issuer={} subject={} scope=\"{}\"",
            record.issuer,
            record.subject.as_deref().unwrap_or("-"),
            record.scope
        );
        let mut opened = Opened::create(record, self.message.uid, key)?;
        let file = opened.seal(&store.record_path(name))?;
        store.write_record(name, &file)?;
        self.log.line(Level::Info, &line);
        Ok(())
    }

    /// Ends what enrolments have replaced, as far as the issuer lets it. They have been answered before: an issuer
    /// that hangs at this must not make them look failed.
    pub(super) fn retire_former(&mut self) {
        for former in std::mem::take(&mut self.former) {
            let is_needless = former.client == FormerClient::Needless;
            let deregistration = deregistration(&former.record).filter(|_| is_needless);
            for request in revocation(&former.record).into_iter().chain(deregistration) {
                let _ = self.ask(&request);
            }
        }
    }
}

/// A record that has been replaced.
pub(super) struct Former {
    record: Record,
    client: FormerClient,
}

/// Whether the client of such a record is still of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FormerClient {
    /// It is that of the record in its place, or of another account.
    Needed,
    /// It is nobody's.
    Needless,
}

impl Former {
    /// One whose refresh token alone is to be ended.
    pub(super) fn without_client(record: Record) -> Self {
        Self { record, client: FormerClient::Needed }
    }
}

fn too_late() -> Failure {
    Failure {
        error: "the enrolment could not be sealed in time: the home directory or another refresh held it up"
            .into(),
        info: Some("try again later".into()),
        kind: FailureKind::Failed,
    }
}
