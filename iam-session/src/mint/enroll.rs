//! Seals an enrolment and puts its first token into the file. Touches store, cache and one helper.

use data_encoding::HEXLOWER;

use super::Mint;
use super::accounts::usage;
use super::client::{ClientUse, share_a_holder};
use super::policy::{Policy, not_allowed};
use super::token::RECORD_SIZE;
use super::verify_subject::{NewGrant, RotatedToken};
use crate::account;
use crate::clock;
use crate::config::{Revocation, same_issuer};
use crate::directory::Draft;
use crate::end_grant::{deregistration, revocation};
use crate::issuer::wire::HelperRequest;
use crate::log::Level;
use crate::protocol::{Enrolled, Failure, FailureKind};
use crate::runtime::accounts::AccountBook;
use crate::runtime::freshness::Freshness;
use crate::runtime::token_wanted::{TokenJob, TokenKind};
use crate::store::{Opened, Record, Store, StoreError};

impl Mint {
    /// Seals an enrolment. `client_of` is the account whose client it was obtained with, if it was. That the first token
    /// cannot be had is told, and is no failure of the enrolment.
    pub(crate) fn enroll(
        &mut self,
        mut obtained: NewGrant,
        client_of: Option<&str>,
    ) -> Result<Enrolled, Failure> {
        account::validate(&obtained.account)
            .map_err(|error| usage(error.to_string(), "choose another name"))?;
        let policy = Policy::load(&self.message)?;
        if !policy.allows(&obtained.record.issuer) {
            return Err(not_allowed(&obtained.record.issuer));
        }
        let store = self.store_to_write(&policy)?;
        let locks = self.lock(&store, &self.patience())?;
        if let Some(account) = client_of {
            self.refresh_client(&store, account, &mut obtained.record);
        }
        let enrolled = self.enroll_under_lock(&store, &policy, obtained);
        self.release(locks);
        enrolled
    }

    /// The client as it is now that nobody else can change it: it was read before the user was asked, and a widening
    /// meanwhile may have brought it another secret.
    fn refresh_client(&mut self, store: &Store, account: &str, obtained: &mut Record) {
        // An account that is gone, or another one's by now, has nothing newer.
        let Ok(opened) = self.newest(store, account) else { return };
        let is_shared = self.may_share_client(&opened);
        let record = opened.record;
        if is_shared && share_a_holder(&record, obtained) {
            obtained.client = record.client;
            obtained.registered_scope = record.registered_scope;
        }
    }

    fn enroll_under_lock(
        &mut self,
        store: &Store,
        policy: &Policy,
        mut obtained: NewGrant,
    ) -> Result<Enrolled, Failure> {
        let name = obtained.account.clone();
        let former = self.former(store, policy, &name, &obtained.record.issuer)?;
        let former = former.map(|former| self.recover(store, &name, former).0);
        if self.message.keys.sealing().is_none() {
            return Err(StoreError::NoSealingKey.into());
        }
        // Made first, for verifying may have the issuer replace a refresh token that is in use elsewhere.
        let room = obtained.imported.then(|| store.reserve_record(&name, RECORD_SIZE)).transpose()?;
        let imported = obtained.imported;
        let given = obtained.record.refresh_token.duplicate();
        let verified = self.verify_subject(store, policy, &mut obtained).map_err(certainly);
        // Nobody else has one that came in its place.
        let is_replaced = obtained.record.refresh_token.expose() != given.expose();
        let stray = is_replaced.then(|| self.end_of_unkept(store, policy, &obtained.record)).flatten();
        let rotation = match verified {
            Ok(rotation) => rotation,
            Err(failure) => {
                self.endings.extend(stray);
                return Err(failure);
            }
        };
        // Which account was there first decides whose token is in the file: enrolled again it is no younger.
        let since = former.as_ref().map_or_else(clock::unix_time, |former| former.record.enrolled_at);
        let mut record = obtained.record;
        (record.enrolled_at, record.rotates) = (since, rotation == RotatedToken::Replaced);
        let sealed = self.seal(store, &name, record, room).map_err(|failure| {
            self.endings.extend(stray);
            if imported { rotation.explain(failure) } else { failure }
        })?;
        self.unsaved.remove(&name);
        let job = TokenJob { account: name.clone(), kind: TokenKind::Session, freshness: Freshness::New };
        let minted = self.token_under_lock(store, policy, &job);
        let trouble = minted.err().or_else(|| self.why_not_in_its_file(&name));
        // It is kept, and no failure from here on may have who asked undo it at the issuer: a store that cannot be read
        // now, or an unlock whose time is over meanwhile.
        let record = self.open(store, &name).map_or(sealed, |opened| opened.record);
        // The same again changes nothing, and what it names must live.
        let replaced =
            former.filter(|former| former.record.refresh_token.expose() != record.refresh_token.expose());
        if let Some(former) = replaced {
            self.forget_record(store, &HEXLOWER.encode(&former.id()));
            self.end_former(store, policy, &name, &former.record, &record);
        }
        let book = AccountBook::read(&self.runtime.agents);
        Ok(Enrolled {
            default_account: book.and_then(|book| book.default_account),
            session_scope: policy.session_scope(&record.issuer, &record.scope),
            ends_at: record.refresh_token_expires_at,
            scope: record.scope,
            issuer: record.issuer,
            account: name,
            token_file: self.runtime.places.token_file().display().to_string(),
            trouble,
        })
    }

    /// Why an account's token, which was minted, is not in its file, if it is not.
    fn why_not_in_its_file(&self, name: &str) -> Option<Failure> {
        let book = AccountBook::read(&self.runtime.agents)?;
        let entry = book.find(Some(name))?;
        Some(self.last_failures(&entry.record_id).of_session()?.failure)
    }

    /// Revocation of a grant that is not kept, unless what an account has would end with it: some issuers end all that a
    /// user has granted to the client, and one may give the refresh token again that it gave before.
    pub(crate) fn end_of_unkept(
        &self,
        store: &Store,
        policy: &Policy,
        record: &Record,
    ) -> Option<HelperRequest> {
        let has_it = |opened: Opened| opened.record.refresh_token.expose() == record.refresh_token.expose();
        let is_kept = store.accounts().ok()?.iter().any(|name| self.open(store, name).is_ok_and(has_it));
        let ends_all = policy.revocation(&record.issuer) == Revocation::Grant;
        let is_needed = is_kept || ends_all && !matches!(self.need(store, "", record), ClientUse::None);
        let request = revocation(record, record.endpoints.revocation.as_deref(), &record.transport);
        request.filter(|_| !is_needed)
    }

    /// Ends what was replaced, but for what would end with it and is still of use.
    fn end_former(&mut self, store: &Store, policy: &Policy, name: &str, former: &Record, record: &Record) {
        // Another issuer may have given the same id.
        let is_replaced = former.client.client_id != record.client.client_id
            || !same_issuer(&former.issuer, &record.issuer);
        let is_needless = is_replaced && matches!(self.need(store, name, former), ClientUse::None);
        if is_needless || policy.revocation(&former.issuer) == Revocation::Token {
            let endpoint = former.endpoints.revocation.as_deref();
            self.endings.extend(revocation(former, endpoint, &former.transport));
        }
        let needless = deregistration(&former.client, &former.transport).filter(|_| is_needless);
        self.endings.extend(needless);
    }

    /// The record that is to be replaced: one of the same issuer, or of the one that the site says it was. One that does
    /// not open is not ours to overwrite: another host may be able to read it.
    pub(crate) fn former(
        &self,
        store: &Store,
        policy: &Policy,
        name: &str,
        issuer: &str,
    ) -> Result<Option<Opened>, Failure> {
        let is_replaced = |former: &str| same_issuer(former, issuer) || policy.has_moved(former, issuer);
        match self.open(store, name) {
            Ok(former) if is_replaced(&former.record.issuer) => Ok(Some(former)),
            Ok(former) => Err(usage(
                format!("account '{name}' is already one of {}", former.record.issuer),
                "choose another name with --account NAME",
            )),
            Err(StoreError::NoAccount { .. }) => Ok(None),
            Err(error @ StoreError::HostLocked) => Err(error.into()),
            Err(error) => Err(Failure {
                info: Some(format!(
                    "choose another name with --account NAME, or remove it with 'iam-session forget {name}'"
                )),
                ..Failure::from(error)
            }),
        }
    }

    /// `room` is what was made for it before.
    fn seal(
        &self,
        store: &Store,
        name: &str,
        record: Record,
        room: Option<Draft<'_>>,
    ) -> Result<Record, Failure> {
        let key = self.message.keys.sealing().ok_or(StoreError::NoSealingKey)?;
        let (issuer, subject) = (record.issuer.clone(), record.subject.clone().unwrap_or_default());
        let scope = record.scope.to_string();
        let mut opened = Opened::create(record, self.message.uid, key)?;
        let file = opened.seal(&store.record_path(name))?;
        let written = match room {
            Some(room) => room.commit(&file).map_err(StoreError::from),
            None => store.write_record(name, &file),
        };
        if let Err(error) = written {
            // Where it is in its place all the same, who asked must not undo at the issuer what is sealed here: a
            // directory that cannot be synced is renamed in all the same, and so may be one on a file server whose
            // answer was lost.
            if store.read_record(name).ok().as_ref() != Some(&file) {
                return Err(error.into());
            }
            self.log.event(Level::Warning, "error", &[("account", name), ("error", &error.to_string())]);
        }
        // What was begun for the record before is of no use to this one.
        let _ = store.remove_unfinished(name);
        let fields = [("account", name), ("issuer", &issuer), ("subject", &subject), ("scope", &scope)];
        self.log.event(Level::Info, "enrolled", &fields);
        Ok(opened.record)
    }

    /// Ends what enrolments have replaced or did not keep, as far as the issuer lets it. They have been answered
    /// before: an issuer that hangs at this must not make them look failed.
    pub(crate) fn end_what_is_left(&mut self) {
        for request in std::mem::take(&mut self.endings) {
            let _ = self.ask(&request);
        }
    }
}

/// That an issuer was out of reach ends the enrolment: its consent is used up, and trying again later is of no use.
fn certainly(failure: Failure) -> Failure {
    let kind = if failure.kind == FailureKind::Unreachable { FailureKind::Failed } else { failure.kind };
    Failure { kind, ..failure }
}
