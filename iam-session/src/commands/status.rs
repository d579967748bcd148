//! `iam-session status`: shows how the session stands, and what to do next. Touches the agent's socket, and reads the
//! configuration to show its mistakes.

pub(in crate::commands) mod advice;
pub(super) mod layout;

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Parser;
use nix::unistd::geteuid;
use serde::Serialize;

use self::advice::Environment;
use super::print_json;
use super::read_token_file::read_token_file;
use crate::client::{AgentClient, Places};
use crate::clock::unix_time;
use crate::config::{ConfigError, Providers, Site, User};
use crate::outcome::{Exit, Outcome, print, warn};
use crate::paths::SITE_CONFIG;
use crate::protocol::{FailureKind, Request, Status};

/// Show the session, its agent, the accounts and what to do next.
#[derive(Debug, Default, Parser)]
#[command(name = "status", bin_name = "iam-session status")]
pub(crate) struct StatusArgs {
    /// Print one object instead
    #[arg(long)]
    json: bool,
}

/// What `--json` prints: the agent's answer and what we add to it.
#[derive(Serialize)]
struct StatusReply<'a> {
    #[serde(flatten)]
    status: &'a Status,
    socket: &'a Path,
    warnings: &'a [String],
    next: &'a str,
}

pub(crate) fn run(args: &StatusArgs) -> Outcome {
    let places = Places::of_environment();
    let mut agent = AgentClient::find(&places)?;
    let status: Status = agent.ask(&Request::Status {})?;
    let now = unix_time();
    let mut warnings = Environment::read(&places).warnings(&status, agent.path(), now);
    warnings.extend(advice::others_token(&status, now));
    warnings.extend(advice::damage(&status, now));
    warnings.extend(advice::unlogged(&status));
    warnings.extend(mistakes().iter().map(ConfigError::to_string));
    let providers = Providers::load(Path::new(SITE_CONFIG)).unwrap_or_default();
    warnings.extend(status.accounts.iter().filter_map(|account| advice::moved(account, &providers)));
    let useless = useless_token(&status, now);
    warnings.extend(useless.iter().map(|(what, _)| what.clone()));
    let follow = status.default_account().filter(|account| advice::moved(account, &providers).is_some());
    let next = match (advice::next(&status, now), follow, useless) {
        (_, Some(account), _) if !status.lock.host_locked => advice::follow(account),
        (next, _, Some((_, mend))) if next == advice::ALL_IS_WELL => mend,
        (next, ..) => next,
    };
    if args.json {
        print_json(&StatusReply { status: &status, socket: agent.path(), warnings: &warnings, next: &next })?;
    } else {
        print(layout::render(&status, &next, now).as_bytes())?;
        warnings.iter().for_each(|warning| warn(warning));
    }
    Ok(exit(&status, now))
}

/// What is wrong with the token in the file for those who are to take it, and what to do.
fn useless_token(status: &Status, now: u64) -> Option<(String, String)> {
    let account = status.default_account().filter(|it| it.token_expires_at.is_some_and(|end| end > now))?;
    let (_, token) = read_token_file(Path::new(&status.token_file)).ok()?;
    advice::no_use_to_storage(&token, account)
}

/// Root may have a user's HOME, as after `su`: what is there is not root's to open.
fn is_ours(home: &Path) -> bool {
    !geteuid().is_root() || fs::metadata(home).is_ok_and(|home| home.uid() == 0)
}

/// The home whose configuration is the caller's own.
pub(super) fn own_home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute() && is_ours(home))
}

/// What is wrong with the configuration. The agent goes on with what it has; here is where it is read.
pub(super) fn mistakes() -> Vec<ConfigError> {
    let site = Path::new(SITE_CONFIG);
    let user = own_home().map(|home| User::load(&home));
    [Site::load(site).err(), Providers::load(site).err(), user.and_then(Result::err)]
        .into_iter()
        .flatten()
        .collect()
}

/// Good as long as a token is in the file, whatever else is wrong; but who has locked this host is served none.
fn exit(status: &Status, now: u64) -> Exit {
    if status.lock.host_locked {
        return Exit::With(FailureKind::Locked);
    }
    match (status.default_account(), &status.trouble) {
        (Some(account), _) if account.token_expires_at.is_some_and(|end| end > now) => Exit::Done,
        (_, Some(trouble)) => Exit::With(trouble.kind),
        (_, None) if status.accounts.is_empty() => Exit::With(FailureKind::NotEnrolled),
        (_, None) => Exit::With(FailureKind::Failed),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::ExportChoice;
    use crate::protocol::{Account, End, Failure, LastError, LockState, Sealing};
    use crate::scope::ScopeSet;

    /// 2026-11-24T01:23:31Z.
    pub(in crate::commands) const NOW: u64 = 1_795_483_411;

    pub(in crate::commands) fn account(name: &str) -> Account {
        Account {
            name: name.into(),
            issuer: "https://wlcg.example/".into(),
            client_id: "5b0e6a6a-0000".into(),
            subject: Some("5a1c".into()),
            scope: ScopeSet::parse("openid offline_access storage.read:/"),
            session_scope: ScopeSet::parse("openid storage.read:/"),
            enrollment_ends_at: Some(NOW + 29 * 86_400),
            token_expires_at: Some(NOW + 47 * 60),
            token_asked_at: None,
            kept_file: None,
            last_error: None,
        }
    }

    pub(in crate::commands) fn status(accounts: Vec<Account>) -> Status {
        Status {
            session: "0123456789abcdef0123456789abcdef".into(),
            version: "0.1.0".into(),
            pid: 4711,
            user: "alice".into(),
            token_file: "/run/user/1000/bt_u1000-iam".into(),
            trouble: None,
            default_account: accounts.first().map(|account| account.name.clone()),
            accounts,
            locked: Vec::new(),
            passphrase_too: Vec::new(),
            others_token_until: None,
            token_file_damage: None,
            log_unreachable: None,
            export: ExportChoice::Yes,
            sealing: Sealing::Node,
            ends: End::Login,
            lock: LockState::default(),
        }
    }

    pub(in crate::commands) fn unreachable() -> Failure {
        Failure::unreachable("cannot reach wlcg.example").advise("try again later")
    }

    pub(in crate::commands) fn last_error() -> LastError {
        LastError { failure: unreachable(), at: NOW - 180, next_attempt_at: Some(NOW + 300) }
    }

    #[test]
    fn a_token_in_the_file_is_success() {
        let mut status = status(vec![account("wlcg")]);
        assert_eq!(exit(&status, NOW), Exit::Done);
        status.trouble = Some(unreachable());
        assert_eq!(exit(&status, NOW), Exit::Done);
        status.lock.host_locked = true;
        assert_eq!(exit(&status, NOW), Exit::With(FailureKind::Locked));
    }

    #[test]
    fn without_one_the_trouble_decides() {
        let mut status = status(vec![account("wlcg")]);
        assert_eq!(exit(&status, NOW + 3600), Exit::With(FailureKind::Failed));
        status.trouble = Some(unreachable());
        assert_eq!(exit(&status, NOW + 3600), Exit::With(FailureKind::Unreachable));
        status.trouble = None;
        status.accounts.clear();
        assert_eq!(exit(&status, NOW), Exit::With(FailureKind::NotEnrolled));
    }
}
