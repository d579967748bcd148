//! Clients that were registered for an enrolment which is not approved yet. Touches the store and one helper.
//!
//! Each is sealed before the user is shown anything, so that its end depends on nobody's memory: a command line that fails
//! or is interrupted has it ended, and any later mint ends what nobody can wait for any more.

use super::Mint;
use super::accounts::usage;
use super::client::ClientUse;
use super::policy::Policy;
use crate::clock::unix_time;
use crate::end_grant::{GrantEnd, deregistration};
use crate::log::Level;
use crate::protocol::{Cancelled, Failure};
use crate::store::{Opened, Pending, Record, Store, StoreError};
use crate::text::printable;

/// No code is believed to live longer (device_flow.rs), and its last poll may be on its way.
const LIFE: u64 = 35 * 60;
/// So long a client that cannot be deleted is tried again. Then it is left to the issuer.
const GIVE_UP: u64 = 24 * 60 * 60;
/// So much the clocks of hosts that share a store may differ. Nobody has begun what is said to be waited for longer.
const SKEW: u64 = 24 * 60 * 60;
/// So long one that does not open here, for it is sealed with another host's keys or those of a passphrase, is left to a
/// mint that opens it.
const LEAVE_TO_OTHERS: u64 = 30 * 24 * 60 * 60;
/// A person does one at a time. What cannot be ended must not fill the issuer or the store.
const MAX: usize = 8;

impl Mint {
    /// The file for a client that is to be registered.
    pub(crate) fn room_for_pending(&mut self, store: &Store, flow: &str) -> Result<Pending, Failure> {
        self.end_abandoned();
        let pending = Pending::new(flow, unix_time() + LIFE);
        let pending = pending.ok_or_else(|| usage("this is no name of a flow".to_owned(), "try again"))?;
        let mut others = store.pending()?;
        if others.iter().any(|other| other.flow == flow) {
            return Err(usage("this flow has begun already".to_owned(), "run the command again"));
        }
        // Nobody is kept out by those that are over and that only another host can end.
        let now = unix_time();
        others.retain(|other| !is_over(other, now) || self.open_pending(store, other).is_ok());
        if others.len() >= MAX {
            return Err(Failure::failed(format!("{MAX} enrolments of yours wait for an approval already"))
                .advise("approve one, or try again in an hour"));
        }
        Ok(pending)
    }

    /// Seals a client that has just been registered. What cannot be kept is ended.
    pub(crate) fn keep_pending(
        &mut self,
        store: &Store,
        pending: &Pending,
        record: Record,
    ) -> Result<Record, Failure> {
        let unwanted = deregistration(&record.client, &record.transport);
        let keep = || -> Result<Record, StoreError> {
            let key = self.message.keys.sealing().ok_or(StoreError::NoSealingKey)?;
            let mut opened = Opened::create(record, self.message.uid, key)?;
            let file = opened.seal(&store.path_of(pending.name()))?;
            store.write_pending(pending, &file)?;
            Ok(opened.record)
        };
        let kept = keep();
        match &kept {
            Ok(_) => self.flows.push(pending.flow.clone()),
            Err(_) => self.endings.extend(unwanted),
        }
        Ok(kept?)
    }

    /// The client of a flow, if it is there still.
    pub(crate) fn open_pending(
        &self,
        store: &Store,
        pending: &Pending,
    ) -> Result<Option<Opened>, StoreError> {
        self.serves(store)?;
        let Some(file) = store.read_pending(pending)? else { return Ok(None) };
        let path = store.path_of(pending.name());
        Ok(Some(Opened::open(&file, &path, self.message.uid, &self.message.keys)?))
    }

    /// Ends a flow that nobody waits for any more, and the client that was registered for it.
    pub(crate) fn cancel(&mut self, flow: &str) -> Result<Cancelled, Failure> {
        match self.end_flow(flow) {
            // One that was begun here has a client: what this means is told.
            Err(failure) if self.flows.iter().any(|begun| begun == flow) => {
                Ok(Cancelled { error: Some(format!("a client stays registered: {failure}")) })
            }
            ended => ended.map(|error| Cancelled { error }),
        }
    }

    fn end_flow(&mut self, flow: &str) -> Result<Option<String>, Failure> {
        let Some(store) = self.store(&Policy::load(&self.message)?)? else { return Ok(None) };
        let Some(pending) = store.pending_of(flow)? else { return Ok(None) };
        let locks = self.lock(&store, &self.patience())?;
        let error = self.end_pending(&store, &pending).err();
        self.release(locks);
        Ok(error)
    }

    /// Ends what nobody can wait for any more: its command line, or its mint, has died. Best effort, and no wait for
    /// another mint.
    pub(crate) fn end_abandoned(&mut self) {
        let store = Policy::load(&self.message).ok().and_then(|policy| self.store(&policy).ok().flatten());
        let Some(store) = store.filter(|store| self.serves(store).is_ok()) else { return };
        let now = unix_time();
        let mut over = store.pending().unwrap_or_default();
        // A command line speaks to one agent, and no other one is asked about its flow.
        let is_alone = !self.flows.is_empty() && !self.runtime.is_present(&self.message.session());
        over.retain(|pending| is_over(pending, now) || is_alone && self.flows.contains(&pending.flow));
        if over.is_empty() {
            return;
        }
        let Some(locks) = self.lock_now(&store) else { return };
        for pending in over {
            let opens = self.open_pending(&store, &pending).is_ok();
            if !opens && now.abs_diff(pending.until) < LEAVE_TO_OTHERS {
                continue;
            }
            let Err(error) = self.end_pending(&store, &pending) else { continue };
            self.log.event(Level::Warning, "error", &[("error", &error)]);
            if !opens || is_false(&pending, now) || pending.until + GIVE_UP <= now {
                let _ = store.remove_named(pending.name());
            } else {
                // It is enough that one issuer does not answer.
                break;
            }
        }
        self.release(locks);
    }

    /// Under the locks. Says what is left at the issuer, if something is.
    fn end_pending(&mut self, store: &Store, pending: &Pending) -> Result<(), String> {
        let record = match self.open_pending(store, pending) {
            Ok(Some(opened)) => opened.record,
            Ok(None) => return Ok(()),
            Err(error) => return Err(format!("a client stays registered: {error}")),
        };
        let stays = |why: String| {
            let name = record.client_name.as_deref().unwrap_or(&record.client.client_id);
            Err(format!("client '{}' stays registered at {}{why}", printable(name), record.issuer))
        };
        let ended = match (self.need(store, "", &record), deregistration(&record.client, &record.transport)) {
            (ClientUse::Account, _) => Ok(()),
            (ClientUse::Unknown(error), _) => return stays(format!(": an account may need it: {error}")),
            (ClientUse::None, None) => stays(String::new()),
            (ClientUse::None, Some(request)) => match GrantEnd::by(self.ask(&request)) {
                GrantEnd::Now | GrantEnd::Before => Ok(()),
                GrantEnd::Refused(error) => stays(format!(": {error}")),
                GrantEnd::NotYet(error) => return stays(format!(": {error}")),
            },
        };
        let _ = store.remove_named(pending.name());
        ended
    }
}

fn is_over(pending: &Pending, now: u64) -> bool {
    pending.until <= now || is_false(pending, now)
}

fn is_false(pending: &Pending, now: u64) -> bool {
    pending.until > now + LIFE + SKEW
}
