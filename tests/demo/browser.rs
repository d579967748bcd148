//! The one thing a person does by hand: `iam-session enroll` on a terminal, and a consent in a browser. Here a program
//! is the browser, and goes through the pages of the provider one by one.

use std::io::Read;
use std::process::Stdio;

use support::{Host, ISSUER, Provider};

/// The link that the command shows carries the code.
const CODE: &str = "user_code=";
/// With what she may ask for later, by name.
const SCOPES: &str = "wlcg wlcg.groups storage.read:/ storage.create:/";
/// Wide and high enough for the QR code.
const SIZE: &str = "export LANG=C.UTF-8 TERM=xterm; stty cols 100 rows 50 -onlcr";

/// Enrols a user on a terminal of her own, showing what she sees.
pub(crate) fn enrol(host: &Host, provider: &Provider, user: &str) {
    let command = format!("iam-session enroll -s '{SCOPES}'");
    println!("   {user}@login1$ {command}");
    let mut client = host.ssh_client(user, &["-tt"]);
    client.arg(format!("{SIZE}; {command}"));
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = client.spawn().unwrap();
    let mut output = client.stdout.take().unwrap();
    let (mut seen, mut shown, mut approved) = (Vec::new(), 0, false);
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = output.read(&mut chunk) {
        seen.extend_from_slice(&chunk[..read]);
        shown = show_lines(&seen, shown);
        if let Some(code) = code(&seen).filter(|_| !approved) {
            println!("   (She opens the page on her phone, logs in at the issuer and says yes …");
            let page = provider.approve_in_browser(host, &format!("{ISSUER}device"), &code, user);
            println!("   … until it says: {page}.)");
            approved = true;
        }
    }
    assert!(client.wait().unwrap().success(), "the enrolment failed");
}

/// Shows the whole lines that have come since; gives how much has been shown.
fn show_lines(seen: &[u8], shown: usize) -> usize {
    let Some(end) = seen.iter().rposition(|byte| *byte == b'\n').filter(|end| *end >= shown) else {
        return shown;
    };
    for line in String::from_utf8_lossy(&seen[shown..=end]).lines() {
        println!("      {}", line.trim_end_matches('\r'));
    }
    end + 1
}

/// The code, once the line that it stands in is whole.
fn code(seen: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(seen);
    let (_, rest) = text.split_once(CODE)?;
    let (code, _) = rest.split_once(['\n', '\r', ' '])?;
    Some(code.to_owned())
}
