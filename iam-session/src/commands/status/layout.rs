//! The status as a person reads it. Pure; touches nothing.

use crate::protocol::{Account, LastError, Status};
use crate::text::{duration, printable, utc};

/// The longest label and two spaces.
const LABEL: usize = 12;

/// Lines of `label  value`, what an agent or an issuer said made printable.
struct LabelledLines(String);

impl LabelledLines {
    fn add(&mut self, label: &str, value: &str) {
        self.0.push_str(&format!("{label:LABEL$}{}\n", printable(value)));
    }

    fn gap(&mut self) {
        self.0.push('\n');
    }
}

pub(super) fn render(status: &Status, next: &str, now: u64) -> String {
    let mut lines = LabelledLines(String::new());
    lines.add("session", &status.session);
    lines.add("agent", &format!("version {}, process {}", status.version, status.pid));
    lines.add("token file", &status.token_file);
    if let Some(until) = status.lock.unlocked_until {
        lines.add("unlocked", &format!("for {}, until {}", duration(until.saturating_sub(now)), utc(until)));
    }
    for account in &status.accounts {
        lines.gap();
        let is_default = status.default_account.as_ref() == Some(&account.name);
        let note = match (is_default, account.token_expires_at.is_some_and(|end| end > now)) {
            (true, true) => " (its token is in the file)",
            (true, false) => " (its token goes into the file)",
            (false, _) => "",
        };
        lines.add("account", &format!("{}{note}", account.name));
        describe(&mut lines, account, is_default, now);
    }
    lines.gap();
    if let Some(trouble) = &status.trouble {
        lines.add("trouble", &trouble.error);
    }
    lines.add("next", next);
    lines.0
}

fn describe(lines: &mut LabelledLines, account: &Account, is_default: bool, now: u64) {
    lines.add("issuer", &account.issuer);
    if let Some(subject) = &account.subject {
        lines.add("subject", subject);
    }
    if !account.client_id.is_empty() {
        lines.add("client", &account.client_id);
    }
    lines.add("granted", &account.scope.to_string());
    if is_default || account.kept_file.is_some() {
        lines.add("in the file", &account.session_scope.to_string());
    }
    if let Some(file) = &account.kept_file {
        lines.add("own file", file);
    }
    lines.add("token", &token(account, now));
    lines.add("enrolment", &enrolment(account.enrollment_ends_at, now));
    if let Some(error) = &account.last_error {
        lines.add("last error", &last_error(error, now));
    }
}

fn token(account: &Account, now: u64) -> String {
    let asked = account.token_asked_at.map(|since| {
        format!("; one has been asked for since {}, {}", utc(since), duration(now.saturating_sub(since)))
    });
    let asked = asked.unwrap_or_default();
    match account.token_expires_at {
        Some(end) if end > now => format!("{} left, until {}", duration(end - now), utc(end)),
        Some(end) => format!("ended {} ago{asked}", duration(now - end)),
        None => format!("none{asked}"),
    }
}

pub(in crate::commands) fn enrolment(ends_at: Option<u64>, now: u64) -> String {
    match ends_at {
        Some(end) if end > now => format!("ends in {}, {}", duration(end - now), utc(end)),
        Some(end) => format!("ended {} ago, {}", duration(now - end), utc(end)),
        None => "the issuer names no end; unused for weeks it may end".to_owned(),
    }
}

fn last_error(error: &LastError, now: u64) -> String {
    let age = duration(now.saturating_sub(error.at));
    let again = match error.next_attempt_at {
        Some(at) if at > now => format!("; next attempt in {}", duration(at - now)),
        Some(_) => "; next attempt now".to_owned(),
        None => String::new(),
    };
    format!("{age} ago, {}: {}{again}", utc(error.at), error.failure.error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::{NOW, account, last_error as some_error, status, unreachable};

    #[test]
    fn a_session_in_order() {
        assert_eq!(
            render(&status(vec![account("wlcg")]), "nothing", NOW),
            "session     0123456789abcdef0123456789abcdef\n\
             agent       version 0.1.0, process 4711\n\
             token file  /run/user/1000/bt_u1000-iam\n\
             \n\
             account     wlcg (its token is in the file)\n\
             issuer      https://wlcg.example/\n\
             subject     5a1c\n\
             client      5b0e6a6a-0000\n\
             granted     offline_access openid storage.read:/\n\
             in the file openid storage.read:/\n\
             token       47 min left, until 2026-11-24T02:10:31Z\n\
             enrolment   ends in 29 days, 2026-12-23T01:23:31Z\n\
             \n\
             next        nothing\n"
        );
    }

    #[test]
    fn trouble_is_told_with_its_time() {
        let mut account = account("wlcg");
        account.subject = None;
        account.token_expires_at = Some(NOW - 60);
        account.enrollment_ends_at = None;
        account.last_error = Some(some_error());
        let mut status = status(vec![account]);
        status.trouble = Some(unreachable());
        let text = render(&status, "wait", NOW);
        assert!(text.ends_with(
            "token       ended 1 min ago\n\
             enrolment   the issuer names no end; unused for weeks it may end\n\
             last error  3 min ago, 2026-11-24T01:20:31Z: cannot reach wlcg.example; next attempt in 5 min\n\
             \n\
             trouble     cannot reach wlcg.example\n\
             next        wait\n"
        ));
    }

    #[test]
    fn only_what_is_in_a_file_is_said_to_be_there() {
        let mut first = account("wlcg");
        first.token_expires_at = None;
        let text = render(&status(vec![first, account("cms")]), "wait", NOW);
        assert!(text.contains("account     wlcg (its token goes into the file)\n"), "{text}");
        let (_, second) = text.split_once("account     cms\n").unwrap();
        assert!(!second.contains("in the file"), "{text}");
    }

    #[test]
    fn a_token_that_is_asked_for_is_told_with_its_time_where_there_is_none() {
        let line = |token_expires_at| {
            let asked = Account { token_expires_at, token_asked_at: Some(NOW - 40), ..account("wlcg") };
            let text = render(&status(vec![asked]), "wait", NOW);
            text.lines().find_map(|line| line.strip_prefix("token       ")).unwrap().to_owned()
        };
        assert_eq!(line(None), "none; one has been asked for since 2026-11-24T01:22:51Z, 40 s");
        assert_eq!(
            line(Some(NOW - 60)),
            "ended 1 min ago; one has been asked for since 2026-11-24T01:22:51Z, 40 s"
        );
        assert_eq!(line(Some(NOW + 60)), "1 min left, until 2026-11-24T01:24:31Z");
    }

    #[test]
    fn until_when_a_passphrase_has_opened_it_is_told() {
        let mut status = status(vec![]);
        status.lock.unlocked_until = Some(NOW + 7 * 3600);
        let text = render(&status, "nothing", NOW);
        assert!(text.contains(
            "token file  /run/user/1000/bt_u1000-iam\n\
             unlocked    for 7 h, until 2026-11-24T08:23:31Z\n"
        ));
    }

    #[test]
    fn what_an_issuer_says_cannot_move_the_cursor() {
        let mut account = account("wlcg");
        account.subject = Some("x\x1b[2J\nnext  run evil".into());
        let text = render(&status(vec![account]), "nothing", NOW);
        assert!(text.contains("subject     x\\x1b[2J\\x0anext  run evil\n"));
    }
}
