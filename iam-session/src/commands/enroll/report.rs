//! What a person, or a program, sees of an enrolment. Touches standard output and standard error.

use std::env;

use serde::Serialize;

use super::plan::EnrollPlan;
use super::scopes::Shortfall;
use crate::commands::device_flow::{self, Report};
use crate::commands::print_json;
use crate::commands::status::{advice::ENDS_SOON, layout::enrolment, own_home};
use crate::config::User;
use crate::outcome::{Stop, print, print_error};
use crate::paths::{ENV_SHELL_HOOK, ENV_TOKEN_FILE};
use crate::protocol::{Code, Enrolled, Failure};
use crate::scope::ScopeSet;
use crate::shell::ShellSyntax;
use crate::text::printable;

/// What came of an enrolment.
pub(super) struct EnrollOutcome {
    pub(super) enrolled: Enrolled,
    pub(super) shortfall: Shortfall,
    /// What somebody has named, and misses if it was not granted.
    pub(super) explicit: ScopeSet,
}

/// One line of `--json`; more are in device_flow/code.rs.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum EnrollEvent<'a> {
    Enrolled {
        account: &'a str,
        issuer: &'a str,
        scope: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        ends_at: Option<u64>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        not_granted: Vec<NotGranted<'a>>,
    },
    Error {
        error: &'a str,
        hint: Option<&'a str>,
    },
}

/// A scope that was asked for and is missing.
#[derive(Serialize)]
struct NotGranted<'a> {
    scope: &'a str,
    reason: &'static str,
}

/// What the site has its users read before all else.
pub(super) fn notice(report: Report, text: &str) -> Result<(), Stop> {
    match report {
        Report::Text(_) => {
            print_error(&format!("{text}\n"));
            Ok(())
        }
        Report::Json => print_json(&device_flow::notice(text)),
    }
}

/// What the user must do.
pub(super) fn code(report: Report, plan: &EnrollPlan, code: &Code) -> Result<(), Stop> {
    match report {
        Report::Text(qr_codes) => {
            device_flow::show(&instructions(plan, code), &code.shown, qr_codes);
            Ok(())
        }
        Report::Json => print_json(&device_flow::event(&code.shown)),
    }
}

/// The end, if it is a good one.
pub(super) fn enrolled(report: Report, user: &str, obtained: &EnrollOutcome) -> Result<(), Stop> {
    let enrolled = &obtained.enrolled;
    match report {
        Report::Text(_) => {
            let this_shell = if lacks_variable() { this_shell() } else { String::new() };
            print(format!("{}{this_shell}", result(user, enrolled)).as_bytes())
        }
        Report::Json => print_json(&EnrollEvent::Enrolled {
            account: &enrolled.account,
            issuer: &enrolled.issuer,
            scope: enrolled.scope.to_string(),
            ends_at: enrolled.ends_at,
            not_granted: obtained
                .shortfall
                .iter()
                .map(|(scope, reason)| NotGranted { scope, reason })
                .collect(),
        }),
    }
}

/// When the enrolment ends, if that is soon, and what to do about it.
pub(super) fn ends_soon(enrolled: &Enrolled, now: u64) -> Option<String> {
    let end = enrolled.ends_at.filter(|end| *end < now + ENDS_SOON)?;
    let what = match enrolled.scope.allows("offline_access") {
        true => format!("run 'iam-session reenroll {}' before", printable(&enrolled.account)),
        // Its refresh tokens may end with the browser's session, as Keycloak's.
        false => {
            "'offline_access' was not granted: approve it, or ask the issuer's administrators to allow it"
                .to_owned()
        }
    };
    Some(format!("the enrolment {}; {what}", enrolment(Some(end), now)))
}

/// The end, if it is another; for a person, the program's last line says it.
pub(super) fn error(report: Report, failure: &Failure) -> Result<(), Stop> {
    match report {
        Report::Text(_) => Ok(()),
        Report::Json => {
            print_json(&EnrollEvent::Error { error: &failure.error, hint: failure.info.as_deref() })
        }
    }
}

fn instructions(plan: &EnrollPlan, code: &Code) -> String {
    let name = plan.provider.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    format!(
        "Enrolling {user} on {host} with {issuer} as account '{account}'.\n\
         {replaced}\
         \n\
         {steps}\
         \n\
         {client}\n\
         Nobody from the site ever sends you a code: approve only one that you see in your own terminal.\n",
        user = printable(&plan.user),
        host = printable(&plan.host),
        issuer = printable(&format!("{}{name}", plan.provider.issuer)),
        account = plan.account,
        replaced =
            plan.moved_from.as_deref().map(|former| replaces(former, &plan.account)).unwrap_or_default(),
        steps = device_flow::steps(&code.shown),
        client = what_the_page_shows(code),
    )
}

fn replaces(former: &str, account: &str) -> String {
    format!(
        "The site says that this issuer was {} before. Your approval replaces account '{account}' there; Ctrl-C keeps it.\n",
        printable(former)
    )
}

/// A client that was not registered here has a name that only the issuer knows.
fn what_the_page_shows(code: &Code) -> String {
    match &code.client_name {
        Some(name) => format!(
            "The page must show the client '{}'. If it shows another one, do not approve.",
            printable(name)
        ),
        None => format!(
            "The page shows the name of the client '{}', which was there before.",
            printable(&code.client_id)
        ),
    }
}

/// Whether a login would have set the variable by now, and this shell has none and takes none by itself. A user may want
/// none.
fn lacks_variable() -> bool {
    if env::var_os(ENV_SHELL_HOOK).is_some() {
        return false;
    }
    let user = own_home().and_then(|home| User::load(&home).ok()).unwrap_or_default();
    user.export.is_yes() && env::var_os(ENV_TOKEN_FILE).is_none_or(|value| value.is_empty())
}

/// For a shell that knows no token file, as after a login before the enrolment.
fn this_shell() -> String {
    let line = ShellSyntax::choose(None).eval("iam-session env");
    format!("this shell   run {line} to set {ENV_TOKEN_FILE} here; your next login has it by itself\n")
}

fn result(user: &str, enrolled: &Enrolled) -> String {
    let account = printable(&enrolled.account);
    let scope = printable(&enrolled.session_scope.to_string());
    let token_file = printable(&enrolled.token_file);
    let place = match enrolled.default_account.as_ref().filter(|default| **default != enrolled.account) {
        None => format!("in the file  {scope}\ntoken file   {token_file}\n"),
        Some(other) => format!(
            "own token    {scope}\ntoken file   {token_file} keeps the token of account '{}'\n\
             next         'iam-session use {account}' puts this one there; 'iam-session token --account {account}' prints it\n",
            printable(other),
        ),
    };
    format!(
        "Enrolled {} as account '{account}' with {}.\ngranted      {}\n{place}",
        printable(user),
        printable(&enrolled.issuer),
        printable(&enrolled.scope.to_string()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enrolment_that_ends_soon_is_told_with_what_to_do() {
        const NOW: u64 = 1_795_483_411;
        let told = |scope: &str, ends_at| {
            let enrolled = Enrolled {
                account: "wlcg".into(),
                issuer: "https://kc.example/".into(),
                scope: ScopeSet::parse(scope),
                session_scope: ScopeSet::default(),
                ends_at,
                token_file: String::new(),
                default_account: None,
                trouble: None,
            };
            ends_soon(&enrolled, NOW)
        };
        assert_eq!(
            told("openid", Some(NOW + 29 * 60)).unwrap(),
            "the enrolment ends in 29 min, 2026-11-24T01:52:31Z; 'offline_access' was not granted: approve it, or ask the \
             issuer's administrators to allow it"
        );
        let allowed = told("offline_access openid", Some(NOW + 86_400)).unwrap();
        assert!(allowed.ends_with("; run 'iam-session reenroll wlcg' before"), "{allowed}");
        assert_eq!(told("openid", Some(NOW + 30 * 86_400)), None);
        assert_eq!(told("openid", None), None);
    }

    #[test]
    fn the_file_is_named_with_the_account_whose_token_is_in_it() {
        let enrolled = |default_account: Option<&str>| Enrolled {
            account: "cms".into(),
            issuer: "https://i.example/".into(),
            scope: ScopeSet::parse("openid storage.read:/"),
            session_scope: ScopeSet::parse("openid"),
            ends_at: None,
            token_file: "/run/t".into(),
            default_account: default_account.map(str::to_owned),
            trouble: None,
        };
        let first =
            "Enrolled alice as account 'cms' with https://i.example/.\ngranted      openid storage.read:/\n";
        let in_the_file = format!("{first}in the file  openid\ntoken file   /run/t\n");
        for default_account in [None, Some("cms")] {
            assert_eq!(result("alice", &enrolled(default_account)), in_the_file);
        }
        assert_eq!(
            result("alice", &enrolled(Some("wlcg"))),
            format!(
                "{first}own token    openid\ntoken file   /run/t keeps the token of account 'wlcg'\n\
                 next         'iam-session use cms' puts this one there; 'iam-session token --account cms' prints it\n"
            )
        );
    }
}
