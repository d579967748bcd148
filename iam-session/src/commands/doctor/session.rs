//! The agent, the enrolment and the token as the agent tells of them. Touches the agent's socket.

use std::env;
use std::path::PathBuf;

use super::finding::Finding;
use crate::client::{AgentClient, ClientError, Places};
use crate::clock::unix_time;
use crate::commands::status::advice;
use crate::paths::ENV_TOKEN_FILE;
use crate::protocol::{Account, End, Failure, Request, Sealing, Status};
use crate::text::duration;

/// What is known of the session, for the checks that follow.
#[derive(Debug, Default)]
pub(super) struct SessionLook {
    pub(super) status: Option<Status>,
    /// The socket that answered.
    pub(super) answered: Option<PathBuf>,
    /// The token file: the agent's, or the one that the environment names.
    pub(super) token_file: Option<PathBuf>,
}

impl SessionLook {
    /// The account whose token is in the file.
    pub(super) fn account(&self) -> Option<&Account> {
        self.status.as_ref().and_then(Status::default_account)
    }
}

pub(super) fn look(places: &Places) -> (SessionLook, Vec<Finding>) {
    if places.uid() == 0 {
        // Its environment may be a user's (su, sudo -E), and name that user's files and sockets.
        let note = Finding::note("agent", "root has none: run this as the user who has no token", "");
        return (SessionLook::default(), vec![note]);
    }
    let named = env::var_os(ENV_TOKEN_FILE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let asked = AgentClient::find(places).and_then(|mut agent| {
        let status: Status = agent.ask(&Request::Status {})?;
        Ok((status, agent.path().to_owned()))
    });
    match asked {
        Ok((status, socket)) => {
            let findings = judge(&status, env!("CARGO_PKG_VERSION"), unix_time());
            let token_file = Some(PathBuf::from(&status.token_file));
            (SessionLook { status: Some(status), answered: Some(socket), token_file }, findings)
        }
        Err(error) => {
            let finding = absent(error);
            (SessionLook { token_file: named, ..SessionLook::default() }, vec![finding])
        }
    }
}

fn absent(error: ClientError) -> Finding {
    let failure = Failure::from(error);
    Finding::wrong("agent", &failure.error, &failure.info.unwrap_or_default())
}

fn judge(status: &Status, installed: &str, now: u64) -> Vec<Finding> {
    let mut findings = vec![agent(status, installed)];
    if status.accounts.is_empty() {
        let said = status.trouble.as_ref().map_or("you have not enrolled", |trouble| trouble.error.as_str());
        findings.push(Finding::wrong("enrolment", said, &advice::next(status, now)));
        return findings;
    }
    findings.extend(status.accounts.iter().map(|account| enrolment(account, status, now)));
    findings.extend(status.passphrase_too.iter().map(|name| passphrase_too(name)));
    findings.push(token(status, now));
    findings
}

fn passphrase_too(name: &str) -> Finding {
    let what = format!("{name} can be opened with a passphrase, too, since an earlier version");
    Finding::note("enrolment", &what, &format!("enrol again: iam-session reenroll {name}"))
}

fn agent(status: &Status, installed: &str) -> Finding {
    let Status { pid, version, ends, sealing, .. } = status;
    if version != installed {
        let what = format!("process {pid} is of version {version}, installed is {installed}");
        return Finding::note("agent", &what, "the next login has the new one");
    }
    // A login that finds no node key goes on without: nothing that was sealed by one opens.
    if *ends == End::Login && *sealing != Sealing::Node {
        let what =
            format!("process {pid} was given no node key: enrolments of this host do not open by themselves");
        return Finding::note("agent", &what, "administrator: see 'iam-session doctor' as root");
    }
    Finding::ok("agent", &format!("process {pid} answers, version {version}"))
}

fn enrolment(account: &Account, status: &Status, now: u64) -> Finding {
    let Account { name, issuer, .. } = account;
    if status.locked.contains(name) {
        return Finding::wrong("enrolment", &format!("{name} is locked"), "run 'iam-session unlock'");
    }
    if let Some(error) = &account.last_error {
        let age = duration(now.saturating_sub(error.at));
        let what = format!("{name}: {age} ago, {}", error.failure.error);
        return Finding::wrong("enrolment", &what, error.failure.info.as_deref().unwrap_or_default());
    }
    let again = format!("run 'iam-session reenroll {name}'");
    match account.enrollment_ends_at {
        Some(end) if end <= now => {
            Finding::wrong("enrolment", &format!("{name} ended {} ago", duration(now - end)), &again)
        }
        Some(end) if end < now + advice::ENDS_SOON => {
            Finding::note("enrolment", &format!("{name} ends in {}", duration(end - now)), &again)
        }
        Some(end) => {
            Finding::ok("enrolment", &format!("{name} at {issuer}, ends in {}", duration(end - now)))
        }
        None => Finding::ok("enrolment", &format!("{name} at {issuer}")),
    }
}

fn token(status: &Status, now: u64) -> Finding {
    let Some(account) = status.default_account() else {
        let what = "no account is the one whose token is in the file";
        return Finding::wrong("token", what, "set default_account in ~/.config/iam-session/config.toml");
    };
    match (account.token_expires_at.filter(|end| *end > now), &status.trouble) {
        (Some(end), _) => {
            let left = duration(end - now);
            Finding::ok("token", &format!("{left} left, with '{}'", account.session_scope))
        }
        (None, Some(trouble)) => {
            Finding::wrong("token", &trouble.error, trouble.info.as_deref().unwrap_or_default())
        }
        (None, None) => {
            Finding::wrong("token", "there is none", "run 'iam-session token'; its error says why")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Severity;
    use crate::commands::status::tests::{NOW, account, last_error, status, unreachable};

    fn wrong(status: &Status) -> Vec<String> {
        let found =
            judge(status, "0.1.0", NOW).into_iter().filter(|finding| finding.state == Severity::Wrong);
        found
            .map(|finding| {
                format!("{}: {}; {}", finding.check, finding.what, finding.mend.unwrap_or_default())
            })
            .collect()
    }

    #[test]
    fn a_session_with_a_token_is_well() {
        assert_eq!(wrong(&status(vec![account("wlcg")])), Vec::<String>::new());
    }

    #[test]
    fn who_has_not_enrolled_is_told_to() {
        assert_eq!(wrong(&status(vec![])), ["enrolment: you have not enrolled; run 'iam-session enroll'"]);
    }

    #[test]
    fn what_keeps_the_token_away_is_told_with_what_to_do() {
        let mut failing = account("wlcg");
        failing.last_error = Some(last_error());
        failing.token_expires_at = None;
        let mut session = status(vec![failing]);
        session.trouble = Some(unreachable());
        assert_eq!(
            wrong(&session),
            [
                "enrolment: wlcg: 3 min ago, cannot reach wlcg.example; try again later",
                "token: cannot reach wlcg.example; try again later"
            ]
        );
        let mut locked = status(vec![account("wlcg")]);
        locked.locked = vec!["wlcg".into()];
        assert_eq!(wrong(&locked), ["enrolment: wlcg is locked; run 'iam-session unlock'"]);
    }

    #[test]
    fn an_account_that_a_passphrase_opens_since_an_earlier_version_is_named() {
        let mut session = status(vec![account("wlcg"), account("cms")]);
        session.passphrase_too = vec!["wlcg".into()];
        let found = judge(&session, "0.1.0", NOW);
        let notes: Vec<&Finding> = found.iter().filter(|finding| finding.state == Severity::Note).collect();
        assert_eq!(notes.len(), 1);
        assert!(notes[0].what.starts_with("wlcg can be opened with a passphrase"));
        assert_eq!(notes[0].mend.as_deref(), Some("enrol again: iam-session reenroll wlcg"));
    }

    #[test]
    fn an_agent_of_another_version_is_told() {
        let found = judge(&status(vec![account("wlcg")]), "0.2.0", NOW);
        assert_eq!(
            (found[0].state, found[0].mend.as_deref()),
            (Severity::Note, Some("the next login has the new one"))
        );
    }
}
