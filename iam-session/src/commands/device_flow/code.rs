//! Shows a device code, for a person or for a program. Touches standard error.

use serde::Serialize;

use super::qr::{self, QrCodes};
use crate::issuer::wire::UserCode;
use crate::outcome::print_error;
use crate::text::{duration, printable};

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Report {
    /// A person at a terminal.
    Text(QrCodes),
    /// A program that reads standard output.
    Json,
}

/// One line of `--json`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum CodeEvent<'a> {
    Notice {
        text: &'a str,
    },
    DeviceCode {
        verification_uri: &'a str,
        verification_uri_complete: Option<&'a str>,
        user_code: &'a str,
        expires_in: u64,
    },
}

/// A notice of the site's as a line of `--json`.
pub(in crate::commands) fn notice(text: &str) -> impl Serialize {
    CodeEvent::Notice { text }
}

/// A device code as a line of `--json`.
pub(in crate::commands) fn event(code: &UserCode) -> impl Serialize {
    CodeEvent::DeviceCode {
        verification_uri: &code.verification_uri,
        verification_uri_complete: code.verification_uri_complete.as_deref(),
        user_code: &code.user_code,
        expires_in: code.expires_in,
    }
}

/// Shows a person what to do, and that it is waited for.
pub(in crate::commands) fn show(instructions: &str, code: &UserCode, qr_codes: QrCodes) {
    let left = duration(code.expires_in);
    let text = format!("{instructions}\nWaiting for your approval, at most {left}; Ctrl-C ends it.");
    // Above the text and with an empty line between them: what comes later pushes the code off first.
    if qr_codes == QrCodes::IfTheyFit
        && let Some(blocks) = qr::for_terminal(link(code), &format!("\n{text}"))
    {
        print_error(&format!("{blocks}\n"));
    }
    print_error(&text);
}

/// Where to go, with which code.
pub(in crate::commands) fn steps(code: &UserCode) -> String {
    // Without a camera it is the short address that is typed on the other device.
    let short = code.verification_uri_complete.as_ref();
    let short = short.map(|_| format!("or                   {}\n", printable(&code.verification_uri)));
    format!(
        "On any device, open  {link}\n{short}\
         The code is          {code}\n",
        link = printable(link(code)),
        short = short.unwrap_or_default(),
        code = printable(&code.user_code),
    )
}

/// The address that needs the least typing.
fn link(code: &UserCode) -> &str {
    code.verification_uri_complete.as_deref().unwrap_or(&code.verification_uri)
}
