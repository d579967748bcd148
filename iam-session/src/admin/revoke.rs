//! `iam-session-admin revoke` and `unrevoke`: list a user, who then gets no agent, and end what the user has. Touch
//! /etc/iam-session/revoked; end agents; start what `user_files` and `at_issuer` start.

mod ending;
mod report;

use clap::Parser;
use nix::sys::signal::{SigSet, Signal};

use self::ending::ProcessEnding;
use self::report::RevokeReport;
use super::at_issuer::{self, AtIssuer};
use super::kill::count;
use super::revoked_file::{self, ListedLine};
use super::sessions::who;
use super::system_user::{self, FilesOf};
use super::user::UserEntry;
use super::user_files::{FileReader, LiveToken};
use super::{audit, runtime, say};
use crate::outcome::{Exit, Outcome};
use crate::protocol::Failure;
use crate::text::{printable, utc};

/// End a user's agents, and start no more: list the user in /etc/iam-session/revoked.
#[derive(Debug, Parser)]
pub(super) struct RevokeUserArgs {
    /// A user name or a uid
    user: String,
    /// Also revoke the enrolments at their issuers, and delete their clients there
    #[arg(long)]
    at_issuer: bool,
}

/// Give a user agents again.
#[derive(Debug, Parser)]
pub(super) struct UnrevokeArgs {
    /// A user name or a uid
    user: String,
}

pub(super) fn run(args: &RevokeUserArgs) -> Outcome {
    // A connection that drops in the middle of it must not end it there.
    let _ = SigSet::from(Signal::SIGHUP).thread_block();
    let (account, uid) = who(&args.user)?;
    if uid == Some(0) {
        return Err(Failure::failed("root never has an agent").advise("give another user").into());
    }
    let mut report = RevokeReport::default();
    let ending = uid.map(|uid| (uid, ending::begin(uid)));
    let name = list(&args.user, account.as_ref(), uid, &mut report)?;
    revoke(args, account.as_ref(), ending, &name, &mut report);
    report.tell()
}

/// What follows the list. Each step is tried, whatever becomes of those before it.
fn revoke(
    args: &RevokeUserArgs,
    account: Option<&UserEntry>,
    ending: Option<(u32, ProcessEnding)>,
    name: &str,
    report: &mut RevokeReport,
) {
    let Some((uid, ending)) = ending else {
        report.failed(
            Failure::failed(format!(
                "{name} is listed, but no such user is known: agents may live, and are found by the uid alone"
            ))
            .advise(
                "give the uid: 'iam-session-admin revoke UID'; 'iam-session-admin sessions' lists the agents",
            ),
        );
        return;
    };
    let ended = ending::end_all(ending, uid);
    let runtime = runtime::of(uid, &ended.agents);
    audit(&format!("ended {} of {name}", count(ended.agents.len())));
    report.say(format!("ended {} of {}", count(ended.agents.len()), printable(name)));
    if ended.jobs > 0 {
        report.say(format!("ended what worked for them: {}", processes(ended.jobs)));
    }
    ended.trouble.into_iter().for_each(|failure| report.failed(failure));
    let Some(account) = account else {
        report.failed(
            Failure::failed(format!(
                "{name} is listed, but no such user is known, so nothing else can be looked at"
            ))
            .advise("if the home is still there, the issuer's administrators can end the enrolments"),
        );
        return;
    };
    let reader = match system_user::find() {
        Ok(system) => FileReader { system, files: FilesOf { uid, gid: account.gid } },
        Err(Failure { error, info, kind }) => {
            let error = format!("{error}: what {name} has left was not removed, and no issuer was asked");
            return report.failed(Failure { error, info, kind });
        }
    };
    let cleared = reader.clear(runtime);
    tell_tokens(&cleared.tokens, report);
    if let Some(trouble) = cleared.trouble {
        report.warn(format!("token files and cached tokens of {name} may be left: {}", printable(&trouble)));
    }
    if args.at_issuer {
        at_issuer(account, reader, report);
    } else {
        report.say(format!(
            "what is enrolled stays good at the issuers: 'iam-session-admin revoke {} --at-issuer', or have the user disabled there",
            printable(name)
        ));
    }
}

fn processes(number: usize) -> String {
    if number == 1 { "1 process".to_owned() } else { format!("{number} processes") }
}

/// Account by account. What the user's store holds is not changed.
fn at_issuer(account: &UserEntry, reader: FileReader, report: &mut RevokeReport) {
    let AtIssuer { done, not_done } = at_issuer::end(account, reader);
    for line in done.iter().chain(&not_done) {
        audit(&format!("of {}, {line}", account.name));
    }
    done.iter().for_each(|line| report.say(printable(line)));
    not_done.iter().for_each(|line| report.warn(printable(line)));
}

pub(super) fn unrevoke(args: &UnrevokeArgs) -> Outcome {
    let (account, uid) = who(&args.user)?;
    let changed = revoked_file::remove(&listed(&args.user, account.as_ref(), uid))?;
    let user = printable(&args.user);
    match changed {
        true => say(&format!(
            "{user} is not in {} any more, and gets an agent at the next login",
            revoked_file::REVOKED
        ))?,
        false => say(&format!("{user} was not in {}", revoked_file::REVOKED))?,
    }
    if changed {
        audit(&format!("gives agents to {user} again"));
    }
    Ok(Exit::Done)
}

fn listed<'a>(user: &'a str, account: Option<&'a UserEntry>, uid: Option<u32>) -> ListedLine<'a> {
    let mut names: Vec<&str> = account.map(|account| account.name.as_str()).into_iter().collect();
    names.push(user);
    ListedLine { names, uid }
}

fn list(
    user: &str,
    account: Option<&UserEntry>,
    uid: Option<u32>,
    report: &mut RevokeReport,
) -> Result<String, Failure> {
    let name = account.map_or_else(|| user.to_owned(), |account| account.name.clone());
    let added = revoked_file::add(&listed(user, account, uid))?;
    audit(&format!("revoked {name}"));
    let shown = printable(&name);
    report.say(match added {
        true => {
            format!(
                "{shown} is listed in {}: no login on this host gets an agent or a key",
                revoked_file::REVOKED
            )
        }
        false => format!("{shown} was listed in {} already", revoked_file::REVOKED),
    });
    report.say(format!("each host has a list of its own: copy {} to all of them", revoked_file::REVOKED));
    Ok(name)
}

fn tell_tokens(tokens: &[LiveToken], report: &mut RevokeReport) {
    if tokens.is_empty() {
        return report.say(
            "no access token is known that lives; one that was copied is good until it ends".to_owned(),
        );
    }
    report.say("access tokens that were given out stay good until they end:".to_owned());
    for token in tokens {
        let jti = token.jti.as_deref().unwrap_or("unknown");
        let audience = if token.audience.is_empty() { "the issuer's default" } else { &token.audience };
        let LiveToken { issuer, scope, .. } = token;
        let line = format!(
            "until {}  jti {jti}  of {issuer}  scope '{scope}'  audience {audience}",
            utc(token.expires_at)
        );
        report.say(format!("  {}", printable(&line)));
    }
}
