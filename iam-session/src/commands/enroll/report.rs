//! What a person, or a program, sees of an enrolment. Touches standard output and standard error.

use serde::Serialize;

use super::EnrollArgs;
use super::client::Origin;
use super::flow::{Code, Obtained};
use super::plan::Plan;
use super::qr;
use crate::commands::print_json;
use crate::outcome::{Stop, print, print_error};
use crate::protocol::Failure;
use crate::text::{duration, printable};

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Report {
    /// A person at a terminal.
    Text,
    /// A program that reads standard output.
    Json,
}

/// One line of `--json`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Notice {
        text: &'a str,
    },
    DeviceCode {
        verification_uri: &'a str,
        verification_uri_complete: Option<&'a str>,
        user_code: &'a str,
        expires_in: u64,
    },
    Enrolled {
        account: &'a str,
        issuer: &'a str,
        scope: String,
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

impl Report {
    pub(super) fn of(args: &EnrollArgs) -> Self {
        if args.json { Self::Json } else { Self::Text }
    }

    /// What the site has its users read before all else.
    pub(super) fn notice(self, text: &str) -> Result<(), Stop> {
        match self {
            Self::Text => {
                print_error(&format!("{text}\n"));
                Ok(())
            }
            Self::Json => print_json(&notice(text)),
        }
    }

    /// What the user must do.
    pub(super) fn code(self, plan: &Plan, code: &Code) -> Result<(), Stop> {
        match self {
            Self::Text => {
                show(&instructions(plan, code), code);
                Ok(())
            }
            Self::Json => print_json(&event(code)),
        }
    }

    /// The end, if it is a good one.
    pub(super) fn enrolled(self, plan: &Plan, obtained: &Obtained) -> Result<(), Stop> {
        let account = &obtained.enrolled.account;
        match self {
            Self::Text => print(result(plan, obtained).as_bytes()),
            Self::Json => print_json(&Event::Enrolled {
                account,
                issuer: &obtained.issuer,
                scope: obtained.granted.to_string(),
                not_granted: obtained
                    .shortfall
                    .iter()
                    .map(|(scope, reason)| NotGranted { scope, reason })
                    .collect(),
            }),
        }
    }

    /// The end, if it is another; for a person, the program's last line says it.
    pub(super) fn error(self, failure: &Failure) -> Result<(), Stop> {
        match self {
            Self::Text => Ok(()),
            Self::Json => print_json(&Event::Error { error: &failure.error, hint: failure.info.as_deref() }),
        }
    }
}

/// A notice of the site's as a line of `--json`.
pub(in crate::commands) fn notice(text: &str) -> impl Serialize {
    Event::Notice { text }
}

/// A device code as a line of `--json`.
pub(in crate::commands) fn event(code: &Code) -> impl Serialize {
    Event::DeviceCode {
        verification_uri: &code.verification_uri,
        verification_uri_complete: code.verification_uri_complete.as_deref(),
        user_code: &code.user_code,
        expires_in: code.expires_in,
    }
}

/// Shows a person what to do, and that it is waited for.
pub(in crate::commands) fn show(instructions: &str, code: &Code) {
    print_error(instructions);
    if let Some(blocks) = qr::for_terminal(code.link()) {
        print_error(&format!("{blocks}\n"));
    }
    let left = duration(code.expires_in);
    print_error(&format!("Waiting for your approval, at most {left}; Ctrl-C ends it."));
}

/// Where to go, with which code.
pub(in crate::commands) fn steps(code: &Code) -> String {
    // Without a camera it is the short address that is typed on the other device.
    let short = code.verification_uri_complete.as_ref();
    let short = short.map(|_| format!("or                   {}\n", printable(&code.verification_uri)));
    format!(
        "On any device, open  {link}\n{short}\
         The code is          {code}\n",
        link = printable(code.link()),
        short = short.unwrap_or_default(),
        code = printable(&code.user_code),
    )
}

fn instructions(plan: &Plan, code: &Code) -> String {
    let name = plan.provider.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    format!(
        "Enrolling {user} on {host} with {issuer} as account '{account}'.\n\
         \n\
         {steps}\
         \n\
         {client}\n\
         Nobody from the site ever sends you a code: approve only one that you see in your own terminal.\n",
        user = printable(&plan.user),
        host = printable(&plan.host),
        issuer = printable(&format!("{}{name}", plan.provider.issuer)),
        account = plan.account,
        steps = steps(code),
        client = what_the_page_shows(plan),
    )
}

/// A client that we did not register has a name that only the issuer knows.
fn what_the_page_shows(plan: &Plan) -> String {
    match &plan.origin {
        Origin::Registered { .. } => format!(
            "The page must show the client '{}'. If it shows another one, do not approve.",
            printable(&plan.client_name)
        ),
        Origin::Given(given) => format!(
            "The page shows the name of the client '{}', which was there before.",
            printable(&given.client_id)
        ),
    }
}

fn result(plan: &Plan, obtained: &Obtained) -> String {
    let enrolled = &obtained.enrolled;
    format!(
        "Enrolled {} as account '{}' with {}.\ngranted      {}\nin the file  {}\ntoken file   {}\n",
        printable(&plan.user),
        printable(&enrolled.account),
        printable(&obtained.issuer),
        printable(&obtained.granted.to_string()),
        printable(&enrolled.session_scope.to_string()),
        printable(&enrolled.token_file),
    )
}
