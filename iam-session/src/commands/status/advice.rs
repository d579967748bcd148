//! What to do next, and what in the caller's environment is in the way. Reads the environment, nothing else.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::client::{Places, another_owner, forget_the_others};
use crate::config::Providers;
use crate::jwt::Jwt;
use crate::paths::{ENV_SOCKET, ENV_TOKEN_FILE};
use crate::protocol::{Account, Failure, Sealing, Status};
use crate::runtime::file_damage::{DamageNote, FileDamage};
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::shell::ShellSyntax;
use crate::text::duration;

/// As long as the hint at login is given before an enrolment ends.
pub(in crate::commands) const ENDS_SOON: u64 = 7 * 24 * 60 * 60;

/// By this scope INDIGO IAM makes a client's tokens as the WLCG profile wants them.
const WLCG: &str = "wlcg";

/// What is said where nothing is to be done.
pub(super) const ALL_IS_WELL: &str = "nothing: all is well";

/// The one thing to do next.
pub(in crate::commands) fn next(status: &Status, now: u64) -> String {
    if let Some(info) = status.trouble.as_ref().and_then(|trouble| trouble.info.as_ref()) {
        return info.clone();
    }
    let Some(account) = status.default_account().or(status.accounts.first()) else {
        return match status.sealing {
            Sealing::Nothing => {
                "choose a passphrase with 'iam-session unlock', then run 'iam-session enroll'"
            }
            _ => "run 'iam-session enroll'",
        }
        .to_owned();
    };
    if account.enrollment_ends_at.is_some_and(|end| end < now + ENDS_SOON) {
        return format!("the enrolment ends soon: run '{}'", again(account));
    }
    let last_error = |account: &Account| account.last_error.as_ref().map(|error| how_to_mend(&error.failure));
    match status.trouble.as_ref().map(how_to_mend).or_else(|| last_error(account)) {
        Some(mending) => mending,
        None if account.token_expires_at.is_none_or(|end| end <= now) => {
            "there is no token yet: 'iam-session token' waits for one, and says why it does not come"
                .to_owned()
        }
        None => {
            let others = status.accounts.iter().filter(|other| other.name != account.name);
            let mending = |other: &Account| match other.enrollment_ends_at {
                Some(end) if end < now + ENDS_SOON => {
                    Some(format!("the enrolment ends soon: run '{}'", again(other)))
                }
                _ => last_error(other),
            };
            let first =
                others.into_iter().find_map(|other| Some(format!("{}: {}", other.name, mending(other)?)));
            first.unwrap_or_else(|| ALL_IS_WELL.to_owned())
        }
    }
}

fn how_to_mend(failure: &Failure) -> String {
    failure.info.clone().unwrap_or_else(|| "run 'iam-session doctor'".to_owned())
}

/// What is in the file, where that is not ours.
pub(in crate::commands) fn others_token(status: &Status, now: u64) -> Option<String> {
    let left = status.others_token_until?.saturating_sub(now);
    Some(format!(
        "another program has put a token into the token file, and it stays for {}; run 'iam-session token --force' for ours",
        duration(left)
    ))
}

/// That an account's issuer has another URL by now, as the site says.
pub(in crate::commands) fn moved(account: &Account, providers: &Providers) -> Option<String> {
    let successor = providers.successor_of(&account.issuer)?;
    Some(format!("account '{}': {} has moved to {}", account.name, account.issuer, successor.issuer))
}

/// What an account needs that [`moved`].
pub(in crate::commands) fn follow(account: &Account) -> String {
    format!("run '{}'", again(account))
}

/// That storage takes no such token (WLCG token profile), where the session's is meant for it, and what to do.
pub(in crate::commands) fn no_use_to_storage(token: &[u8], account: &Account) -> Option<(String, String)> {
    let is_for_storage = account.session_scope.iter().any(|scope| scope.starts_with("storage."));
    let jwt = Jwt::read(token.trim_ascii()).ok().filter(|_| is_for_storage)?;
    let lacks =
        match (jwt.claims().get("scope").is_some_and(|scope| !scope.is_null()), jwt.audiences().is_empty()) {
            (true, false) => return None,
            (false, false) => "'scope'",
            (true, true) => "'aud'",
            (false, true) => "'scope' and no 'aud'",
        };
    let mend = match account.scope.allows(WLCG) {
        true => format!("ask the issuer's administrators for WLCG tokens for client '{}'", account.client_id),
        false => format!("run '{} -s \"{}\"'", again(account), account.scope.union(&ScopeSet::parse(WLCG))),
    };
    Some((format!("the token in the file has no {lacks}, and storage refuses such a token"), mend))
}

/// What was wrong with the token file, and what to do about it.
pub(in crate::commands) fn damage(status: &Status, now: u64) -> Option<String> {
    let DamageNote { found, at } = status.token_file_damage?;
    let advice = match found {
        FileDamage::RefreshToken => "end that refresh token where it came from, by logging out there",
        _ => "see which program uses BEARER_TOKEN_FILE; 'iam-session run --no-token' runs it without",
    };
    let ago = duration(now.saturating_sub(at));
    Some(format!("{}, {ago} ago, and it is put right by itself; {advice}", found.text()))
}

/// That the site's log has nothing of this session but what the module says.
pub(in crate::commands) fn unlogged(status: &Status) -> Option<String> {
    let error = status.log_unreachable.as_ref()?;
    Some(format!("the agent cannot write to the system log ({error}); tell the administrator"))
}

fn again(account: &Account) -> String {
    format!("iam-session reenroll {}", account.name)
}

/// What other programs read before, or instead of, the token file (WLCG bearer token discovery).
#[derive(Default)]
pub(in crate::commands) struct Environment {
    token: Option<Secret>,
    token_file: Option<OsString>,
    /// Whose that is, if it is another user's.
    file_owner: Option<String>,
    socket: Option<PathBuf>,
    socket_owner: Option<String>,
    /// In whose words a line to type is told.
    shell: ShellSyntax,
}

impl Environment {
    pub(in crate::commands) fn read(places: &Places) -> Self {
        let token = env::var_os("BEARER_TOKEN").filter(|value| !value.is_empty());
        let token_file = env::var_os(ENV_TOKEN_FILE).filter(|value| !value.is_empty());
        let owner = |path: &Path| another_owner(path, places.uid());
        Self {
            token: token.map(|value| Secret::new(value.into_string().unwrap_or_default())),
            file_owner: token_file.as_deref().map(Path::new).and_then(owner),
            token_file,
            socket: places.named().map(Path::to_owned),
            socket_owner: places.named().and_then(owner),
            shell: ShellSyntax::choose(None),
        }
    }

    pub(super) fn warnings(&self, status: &Status, answered: &Path, now: u64) -> Vec<String> {
        let file = self.about_others_file().or_else(|| self.about_file(status));
        [self.about_agent(answered), self.about_token(now), file].into_iter().flatten().collect()
    }

    /// Whether another agent than this shell's has answered.
    pub(in crate::commands) fn about_agent(&self, answered: &Path) -> Option<String> {
        if let Some(owner) = &self.socket_owner {
            return Some(format!("{ENV_SOCKET} names an agent of {owner}; one of your own answers"));
        }
        match &self.socket {
            Some(own) if own != answered => Some(format!(
                "this shell's own agent at {} has ended; another of your sessions answers",
                own.display()
            )),
            None => Some(format!("{ENV_SOCKET} is not set here; one of your sessions answers")),
            Some(_) => None,
        }
    }

    /// Whether a token in a variable hides the file.
    pub(in crate::commands) fn about_token(&self, now: u64) -> Option<String> {
        let jwt = Jwt::read(self.token.as_ref()?.expose().as_bytes());
        let end = jwt.ok().and_then(|jwt| jwt.expires_at());
        let state = match end.filter(|end| *end <= now) {
            Some(end) => format!("ended {} ago", duration(now - end)),
            None => "is not renewed".to_owned(),
        };
        Some(format!(
            "BEARER_TOKEN is set, {state}, and is read before the token file; run '{}'",
            self.shell.forget(&["BEARER_TOKEN"])
        ))
    }

    /// Whether programs would read another user's file, which most of them cannot.
    pub(in crate::commands) fn about_others_file(&self) -> Option<String> {
        let (owner, file) = self.file_owner.as_ref().zip(self.token_file.as_ref())?;
        let shown = file.to_string_lossy();
        let advice = forget_the_others(self.shell);
        Some(format!("{ENV_TOKEN_FILE} is {shown}, which is {owner}'s and not yours; {advice}"))
    }

    /// Whether programs read another file than the agent's, or none.
    pub(in crate::commands) fn about_file(&self, status: &Status) -> Option<String> {
        let file = &*status.token_file;
        let set = self.shell.set(ENV_TOKEN_FILE, file);
        let is_kept = |other: &OsString| {
            let kept = status.accounts.iter().filter_map(|account| account.kept_file.as_deref());
            kept.chain([file]).any(|kept| other.as_os_str() == kept)
        };
        let is_wanted = status.export.is_yes() && !status.accounts.is_empty();
        match &self.token_file {
            Some(other) if !is_kept(other) => Some(format!(
                "{ENV_TOKEN_FILE} is {}, which is not kept fresh; run '{set}'",
                other.to_string_lossy()
            )),
            None if is_wanted => Some(format!("{ENV_TOKEN_FILE} is not set here; run '{set}'")),
            // Without an enrolment a login sets none, and a user may want none.
            None | Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;
    use crate::commands::status::tests::{NOW, account, last_error, status, unreachable};
    use crate::config::ExportChoice;
    use crate::jwt::tests::jwt_of;

    #[test]
    fn the_next_thing_follows_from_what_is_wrong() {
        assert_eq!(next(&status(vec![]), NOW), "run 'iam-session enroll'");
        let keyless = Status { sealing: Sealing::Nothing, ..status(vec![]) };
        assert!(next(&keyless, NOW).starts_with("choose a passphrase with 'iam-session unlock'"));
        assert_eq!(next(&status(vec![account("wlcg")]), NOW), "nothing: all is well");
        let mut late = account("wlcg");
        late.enrollment_ends_at = Some(NOW + 60);
        assert_eq!(
            next(&status(vec![late]), NOW),
            "the enrolment ends soon: run 'iam-session reenroll wlcg'"
        );
        let mut failing = account("wlcg");
        failing.last_error = Some(last_error());
        assert_eq!(next(&status(vec![failing.clone()]), NOW), "try again later");
        failing.last_error.as_mut().unwrap().failure.info = None;
        assert_eq!(next(&status(vec![failing]), NOW), "run 'iam-session doctor'");
        for end in [None, Some(NOW)] {
            let waiting = Account { token_expires_at: end, ..account("wlcg") };
            assert!(next(&status(vec![waiting]), NOW).starts_with("there is no token yet"), "{end:?}");
        }
        let mut other = Account { last_error: Some(last_error()), ..account("cms") };
        assert_eq!(next(&status(vec![account("wlcg"), other.clone()]), NOW), "cms: try again later");
        (other.last_error, other.enrollment_ends_at) = (None, Some(NOW + 60));
        assert_eq!(
            next(&status(vec![account("wlcg"), other]), NOW),
            "cms: the enrolment ends soon: run 'iam-session reenroll cms'"
        );
        let mut unadvised = status(vec![account("wlcg")]);
        unadvised.trouble = Some(Failure { info: None, ..unreachable() });
        assert_eq!(next(&unadvised, NOW), "run 'iam-session doctor'");
        let mut locked = status(vec![account("wlcg")]);
        locked.trouble = Some(Failure { info: Some("unlock it".into()), ..unreachable() });
        assert_eq!(next(&locked, NOW), "unlock it");
    }

    fn environment(token: Option<&str>, file: Option<&str>, socket: Option<&str>) -> Vec<String> {
        let environment = Environment {
            token: token.map(|token| Secret::new(token.into())),
            token_file: file.map(OsString::from),
            file_owner: None,
            socket: socket.map(PathBuf::from),
            socket_owner: None,
            shell: ShellSyntax::Sh,
        };
        environment.warnings(&status(vec![account("wlcg")]), Path::new("/run/a.sock"), NOW)
    }

    #[test]
    fn a_token_that_storage_refuses_is_told_where_it_is_meant_for_storage() {
        let told = |claims: &str, account: &Account| {
            no_use_to_storage(jwt_of("{}", claims, "x\n").as_bytes(), account)
        };
        let wlcg = account("wlcg");
        let (what, mend) = told("{}", &wlcg).unwrap();
        assert_eq!(
            what,
            "the token in the file has no 'scope' and no 'aud', and storage refuses such a token"
        );
        assert_eq!(mend, "run 'iam-session reenroll wlcg -s \"offline_access openid storage.read:/ wlcg\"'");
        assert!(told(r#"{"aud":"any"}"#, &wlcg).unwrap().0.contains("no 'scope',"));
        assert!(told(r#"{"scope":"storage.read:/"}"#, &wlcg).unwrap().0.contains("no 'aud',"));
        assert_eq!(told(r#"{"scope":"storage.read:/","aud":"any"}"#, &wlcg), None);
        let of_profile = Account { scope: ScopeSet::parse("storage.read:/ wlcg"), ..account("wlcg") };
        assert!(told("{}", &of_profile).unwrap().1.contains("WLCG tokens for client '5b0e6a6a-0000'"));
        let identity = Account { session_scope: ScopeSet::parse("openid"), ..account("wlcg") };
        assert_eq!(told("{}", &identity), None);
        assert_eq!(no_use_to_storage(b"opaque", &wlcg), None);
    }

    const FILE: Option<&str> = Some("/run/user/1000/bt_u1000-iam");
    const SOCKET: Option<&str> = Some("/run/a.sock");

    #[test]
    fn a_login_shell_gets_no_warning() {
        assert_eq!(environment(None, FILE, SOCKET), Vec::<String>::new());
    }

    #[test]
    fn a_bearer_token_hides_the_file_until_the_shell_forgets_it() {
        let jwt =
            format!("e30.{}.x", BASE64URL_NOPAD.encode(format!("{{\"exp\":{}}}", NOW - 3 * 3600).as_bytes()));
        assert_eq!(
            environment(Some(&jwt), FILE, SOCKET),
            [
                "BEARER_TOKEN is set, ended 3 h ago, and is read before the token file; run 'unset BEARER_TOKEN'"
            ]
        );
        let token = || Some(Secret::new("opaque".into()));
        let told = |shell| Environment { token: token(), shell, ..Environment::default() }.about_token(NOW);
        assert!(told(ShellSyntax::Csh).unwrap().ends_with("run 'unsetenv BEARER_TOKEN'"));
        assert_eq!(
            environment(Some("opaque"), FILE, SOCKET),
            [
                "BEARER_TOKEN is set, is not renewed, and is read before the token file; run 'unset BEARER_TOKEN'"
            ]
        );
    }

    #[test]
    fn another_file_or_none_is_told() {
        assert_eq!(
            environment(None, Some("/tmp/bt_u1000"), SOCKET),
            ["BEARER_TOKEN_FILE is /tmp/bt_u1000, which is not kept fresh; \
              run 'export BEARER_TOKEN_FILE=/run/user/1000/bt_u1000-iam'"]
        );
        assert_eq!(
            environment(None, None, SOCKET),
            ["BEARER_TOKEN_FILE is not set here; run 'export BEARER_TOKEN_FILE=/run/user/1000/bt_u1000-iam'"]
        );
    }

    #[test]
    fn the_file_of_one_account_is_kept_and_a_line_is_in_the_shells_own_words() {
        let told = |file: &str, shell| {
            let kept = Account { kept_file: Some("/run/bt_u1000-iam.cms".into()), ..account("cms") };
            let environment = Environment { token_file: Some(file.into()), shell, ..Environment::default() };
            environment.about_file(&status(vec![kept]))
        };
        assert_eq!(told("/run/bt_u1000-iam.cms", ShellSyntax::Sh), None);
        for (shell, line) in [
            (ShellSyntax::Sh, "export BEARER_TOKEN_FILE="),
            (ShellSyntax::Csh, "setenv BEARER_TOKEN_FILE "),
            (ShellSyntax::Fish, "set -gx BEARER_TOKEN_FILE "),
        ] {
            let line = format!("; run '{line}/run/user/1000/bt_u1000-iam'");
            assert!(told("/run/bt_u1000-iam.atlas", shell).unwrap().ends_with(&line), "{line}");
        }
    }

    #[test]
    fn what_was_wrong_with_the_file_is_told_with_what_to_do() {
        let told = |found| {
            let note = Some(DamageNote { found, at: NOW - 120 });
            damage(&Status { token_file_damage: note, ..status(vec![]) }, NOW).unwrap()
        };
        assert_eq!(
            told(FileDamage::RefreshToken),
            "another program had put a refresh token in clear into the token file, 2 min ago, and it is put right by \
             itself; end that refresh token where it came from, by logging out there"
        );
        assert!(told(FileDamage::Missing).starts_with("the token file had been removed, 2 min ago"));
        assert_eq!(damage(&status(vec![]), NOW), None);
    }

    #[test]
    fn a_variable_that_is_not_wanted_is_not_missed() {
        let environment = Environment { socket: SOCKET.map(PathBuf::from), ..Environment::default() };
        let about = |status: Status| environment.about_file(&status);
        assert!(about(status(vec![account("wlcg")])).is_some());
        assert_eq!(about(status(vec![])), None);
        assert_eq!(about(Status { export: ExportChoice::No, ..status(vec![account("wlcg")]) }), None);
    }

    #[test]
    fn another_sessions_agent_is_told() {
        assert_eq!(
            environment(None, FILE, Some("/run/b.sock")),
            ["this shell's own agent at /run/b.sock has ended; another of your sessions answers"]
        );
        assert_eq!(
            environment(None, FILE, None),
            ["IAM_SESSION_SOCK is not set here; one of your sessions answers"]
        );
    }
}
