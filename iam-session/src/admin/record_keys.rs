//! Which keys open the records of users. Root's side starts this program to become each user. The user's side reads
//! what records say in clear, in the store that the site's configuration names.
//!
//! It is the user's word, and about the user's own enrolments alone.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use serde::{Deserialize, Serialize};

use super::become_user::{self, Ids};
use super::hand_over;
use super::parallel::parallel;
use super::user::UserEntry;
use crate::config::Site;
use crate::line::{Lines, Wait};
use crate::outcome::{Exit, Outcome};
use crate::paths;
use crate::store::{Cover, Store};

/// A home on a file server that does not answer must not hold up the look at the others.
const PATIENCE: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 16;
const MAX_LINE: usize = 64 * 1024;

#[derive(Debug, Parser)]
pub(super) struct RecordKeysArgs {
    #[command(flatten)]
    whose: Ids,
    user: String,
    home: PathBuf,
}

/// One user's store.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Covers {
    pub(super) records: Vec<Covered>,
    /// What could not be read.
    pub(super) unread: Vec<String>,
}

/// One record.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Covered {
    pub(super) account: String,
    /// Of which each opens it, in hexadecimal.
    pub(super) keys: HashSet<String>,
}

/// As the user.
pub(super) fn run(args: &RecordKeysArgs) -> Outcome {
    let uid = args.whose.become_user()?;
    let covers = read(args, uid.as_raw());
    hand_over(&covers, MAX_LINE)?;
    Ok(Exit::Done)
}

fn read(args: &RecordKeysArgs, uid: u32) -> Covers {
    let mut covers = Covers::default();
    let site = match Site::load(Path::new(paths::SITE_CONFIG)) {
        Ok(site) => site,
        Err(error) => return Covers { unread: vec![error.to_string()], ..covers },
    };
    let path = site.store_dir.expand(&args.user, uid, &args.home);
    let listed = Store::open(&path, uid)
        .and_then(|store| store.map(|store| Ok((store.accounts()?, store))).transpose());
    let (accounts, store) = match listed {
        Ok(Some(listed)) => listed,
        Ok(None) => return covers,
        Err(error) => return Covers { unread: vec![error.to_string()], ..covers },
    };
    for account in accounts {
        let file = store.read_record(&account);
        match file.and_then(|file| Cover::read(&file, &store.record_path(&account), uid)) {
            Ok(cover) => {
                let keys = cover.keys.iter().map(|key| key.to_hexadecimal()).collect();
                covers.records.push(Covered { account, keys });
            }
            Err(error) => covers.unread.push(error.to_string()),
        }
    }
    covers
}

/// As root: what there is of each, or `None` where nothing came back.
pub(super) fn of(accounts: &[UserEntry]) -> Vec<(&UserEntry, Option<Covers>)> {
    let mut all = parallel(accounts.iter().collect(), AT_ONCE, |account| (account, of_user(account)));
    all.sort_by_key(|(account, _)| account.uid);
    all
}

fn of_user(account: &UserEntry) -> Option<Covers> {
    let arguments = [account.name.clone(), account.home.clone()];
    let mut user = become_user::start((account.uid, account.gid), "record-keys", arguments)?;
    let line = Lines::new(MAX_LINE).next(&mut user.answers, Wait::at_most(PATIENCE));
    serde_json::from_slice(&line.ok()?).ok()
}
