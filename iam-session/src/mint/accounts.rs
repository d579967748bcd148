//! Jobs about an account as a whole: `use`, `keep` and `rename`. Touches store, locks and runtime directory. A new
//! consent is in `device_flow`, the end of an account in `forget`.

use super::Mint;
use super::job::{AccountDone, AccountJob};
use super::policy::Policy;
use super::scan_store::no_place;
use crate::account;
use crate::clock::Now;
use crate::log::Level;
use crate::protocol::{Failure, Renamed, Used};
use crate::runtime::extra_token_files::{ExtraTokenFiles, MAX_KEPT};
use crate::runtime::freshness::Freshness;
use crate::runtime::token_file::{self, ForeignToken};
use crate::runtime::token_wanted::{TokenJob, TokenKind};
use crate::store::{Store, StoreError};

impl Mint {
    pub(crate) fn account_job(&mut self, job: AccountJob) -> Result<AccountDone, Failure> {
        Ok(match job {
            AccountJob::Enroll(beginning) => AccountDone::Begun(self.begin(&beginning)?),
            AccountJob::Poll { ticket } => AccountDone::Polled(self.poll(&ticket)?),
            AccountJob::Cancel { flow } => AccountDone::Cancelled(self.cancel(&flow)?),
            AccountJob::Import(import) => AccountDone::Imported(self.import(*import)?),
            AccountJob::Use { account } => {
                AccountDone::Used(self.with_account(&account, |mint, policy, store| {
                    mint.use_account(policy, store, &account)
                })?)
            }
            AccountJob::Keep { account } => {
                AccountDone::Used(self.with_account(&account, |mint, policy, store| {
                    mint.keep_account(policy, store, &account)
                })?)
            }
            AccountJob::Rename { account, to } => AccountDone::Renamed(self.rename(&account, to)?),
            AccountJob::End { account, ending } => AccountDone::Ended(self.end_account(&account, ending)?),
        })
    }

    /// Does something with an account that is there, under both locks.
    pub(crate) fn with_account<T>(
        &mut self,
        name: &str,
        act: impl FnOnce(&mut Self, &Policy, &Store) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.with_account_though_locked(name, |mint, policy, store| {
            mint.serves(store)?;
            act(mint, policy, store)
        })
    }

    /// The same, whether or not the user has locked this host.
    pub(crate) fn with_account_though_locked<T>(
        &mut self,
        name: &str,
        act: impl FnOnce(&mut Self, &Policy, &Store) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        account::validate(name).map_err(|error| usage(error.to_string(), LISTED))?;
        let policy = Policy::load(&self.message)?;
        let no_account = || StoreError::NoAccount { account: name.to_owned() };
        let store = self.store(&policy)?.ok_or_else(no_account)?;
        self.under_locks(&store, |mint| match store.has(name)? {
            true => act(mint, &policy, &store),
            false => Err(no_account().into()),
        })
    }

    fn use_account(&mut self, policy: &Policy, store: &Store, name: &str) -> Result<Used, Failure> {
        if let Some((other, place)) = policy.configured_account().filter(|(other, _)| *other != name) {
            return Err(Failure::refused(format!(
                "{place} says default_account = \"{other}\", which counts more"
            ))
            .advise(format!("change that line to \"{name}\", or take it out")));
        }
        store.choose_default(name)?;
        self.log.event(Level::Info, "in_use", &[("account", name)]);
        let trouble = self.session_token_under_lock(policy, store, name);
        let file = self.runtime.places.token_file_name();
        if trouble.is_some() {
            // What is in the file is another account's.
            self.note(token_file::retract(&self.runtime, &file, None, Now::read()));
        } else {
            // The user wants this one there, whoever has put what into it.
            self.align_files(Some(policy), &self.look_with(policy), ForeignToken::Replace);
        }
        Ok(Used {
            account: name.to_owned(),
            token_file: self.runtime.places.token_file().display().to_string(),
            trouble,
        })
    }

    fn keep_account(&mut self, policy: &Policy, store: &Store, name: &str) -> Result<Used, Failure> {
        let kept = ExtraTokenFiles::read(&self.runtime.agents).with(name).ok_or_else(|| {
            Failure::failed(format!("{MAX_KEPT} accounts have a file of their own already"))
                .advise("log out of all sessions to be rid of those")
        })?;
        kept.write(&self.runtime.agents).map_err(|error| no_place(&error))?;
        self.log.event(Level::Info, "kept", &[("account", name)]);
        let trouble = self.session_token_under_lock(policy, store, name);
        let token_file = self.runtime.places.kept_file(name).display().to_string();
        Ok(Used { account: name.to_owned(), token_file, trouble })
    }

    /// Sees to an account's session token and to all files; says why there is none.
    fn session_token_under_lock(&mut self, policy: &Policy, store: &Store, name: &str) -> Option<Failure> {
        let job =
            TokenJob { account: name.to_owned(), kind: TokenKind::Session, freshness: Freshness::Valid(0) };
        let trouble = self.token_under_lock(store, policy, &job).err();
        if trouble.is_some() {
            self.show(policy);
        }
        trouble
    }

    /// Makes known what has changed in the store. Its failure is told; what was done is done all the same.
    pub(crate) fn show(&self, policy: &Policy) {
        let book = self.look_with(policy);
        let _ = self.publish_book(&book);
        self.align_files(Some(policy), &book, ForeignToken::Leave);
    }

    fn rename(&mut self, name: &str, to: String) -> Result<Renamed, Failure> {
        account::validate(&to).map_err(|error| usage(error.to_string(), "choose another name"))?;
        self.with_account(name, |mint, policy, store| mint.rename_under_lock(policy, store, name, to))
    }

    /// The record's bytes stay as they are: a name is a file's name and nothing else.
    fn rename_under_lock(
        &mut self,
        policy: &Policy,
        store: &Store,
        name: &str,
        to: String,
    ) -> Result<Renamed, Failure> {
        if store.has(&to)? {
            let error = format!("there is an account '{to}' already");
            return Err(usage(error, "choose another name, or 'iam-session forget' that one first"));
        }
        // Best effort: a record that does not open keeps what lies beside it, which goes along.
        if let Ok(opened) = self.open(store, name) {
            self.recover(store, name, opened);
        }
        let was_chosen = store.default_account().as_deref() == Some(name);
        let trouble = store.rename(name, &to)?;
        self.unsaved.rename(name, &to);
        self.log.event(Level::Info, "renamed", &[("account", name), ("to", &to)]);
        let chosen = if was_chosen { store.choose_default(&to) } else { Ok(()) };
        let is_kept = ExtraTokenFiles::read(&self.runtime.agents).contains(name);
        if is_kept {
            self.forget_kept(name, Some(&to));
        }
        self.show(policy);
        let configured = policy.configured_account().filter(|(configured, _)| *configured == name);
        let stale = configured.map(|(_, place)| format!("{place} still says default_account = \"{name}\""));
        let lost = chosen.err().map(|error| format!("whose token is in the file was forgotten: {error}"));
        let kept_file = is_kept.then(|| self.runtime.places.kept_file(&to).display().to_string());
        let trouble = trouble.map(|error| format!("not all that belongs to it has the new name: {error}"));
        Ok(Renamed { account: to, kept_file, note: stale.or(lost).or(trouble) })
    }

    /// Keeps no file for `name` any more, but perhaps one for who has its place. The caller holds the mint lock.
    pub(crate) fn forget_kept(&self, name: &str, successor: Option<&str>) {
        let before = ExtraTokenFiles::read(&self.runtime.agents);
        if !before.contains(name) {
            return;
        }
        let without = before.without(name);
        let kept = match successor {
            Some(successor) => without.clone().with(successor).unwrap_or(without),
            None => without,
        };
        self.note(kept.write(&self.runtime.agents));
        let file = self.runtime.places.kept_file_name(name);
        self.note(token_file::retract(&self.runtime, &file, None, Now::read()));
    }
}

const LISTED: &str = "'iam-session list' shows your accounts";

pub(crate) fn usage(error: String, info: &str) -> Failure {
    Failure::usage(error).advise(info)
}
