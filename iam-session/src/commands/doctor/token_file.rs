//! Whether programs that read the token file take what is in it. Reads that file.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::finding::Finding;
use super::session::SessionLook;
use super::surroundings::container;
use crate::client::another_owner;
use crate::clock::unix_time;
use crate::commands::read_token_file::read_token_file;
use crate::commands::status::advice;
use crate::config::{TOKEN_FILE, same_issuer};
use crate::jwt::Jwt;
use crate::text::duration;

const CHECK: &str = "token file";
pub(super) fn look(session: &SessionLook, uid: u32) -> Vec<Finding> {
    if uid == 0 {
        // What root's environment names may be a user's.
        return Vec::new();
    }
    let Some(path) = &session.token_file else {
        return vec![Finding::unknown(CHECK, "no agent and no BEARER_TOKEN_FILE says where it would be")];
    };
    if another_owner(path, uid).is_some() {
        // The look at the variables says whose it is.
        return Vec::new();
    }
    let shown = path.display().to_string();
    let (metadata, text) = match read_token_file(path) {
        Ok(read) => read,
        Err(error) => return vec![unreadable(&error, session, path, &shown)],
    };
    let issuer = session.account().map(|account| account.issuer.as_str());
    let now = unix_time();
    let lives = session.account().and_then(|account| account.token_expires_at).is_some_and(|end| end > now);
    let mut wrong = attributes(&metadata, uid, &shown);
    wrong.extend(contents(&text, issuer, if lives { Agents::Lives } else { Agents::Other }, now, &shown));
    let useless = session.account().and_then(|account| advice::no_use_to_storage(&text, account));
    wrong.extend(useless.map(|(what, mend)| Finding::wrong(CHECK, &what, &mend)));
    if wrong.is_empty() { vec![Finding::ok(CHECK, &shown)] } else { wrong }
}

fn unreadable(error: &io::Error, session: &SessionLook, path: &Path, shown: &str) -> Finding {
    let parent = path.parent().unwrap_or(path).display();
    if error.kind() != io::ErrorKind::NotFound {
        return Finding::wrong(
            CHECK,
            &format!("cannot read {shown}: {error}"),
            "run 'iam-session token --force'",
        );
    }
    // An agent's socket lies beside its token file: who sees the one would see the other.
    match container().filter(|_| session.status.is_none()) {
        Some(kind) => {
            let mend = format!(
                "start the container with its directory bound, as in 'apptainer exec --bind {parent} …'"
            );
            Finding::wrong(CHECK, &format!("{shown} cannot be seen in this container ({kind})"), &mend)
        }
        None => Finding::wrong(CHECK, &format!("there is no {shown}"), "the lines above say why"),
    }
}

fn attributes(metadata: &Metadata, uid: u32, shown: &str) -> Vec<Finding> {
    let mut wrong = Vec::new();
    if metadata.uid() != uid {
        let what = format!("{shown} belongs to uid {}", metadata.uid());
        wrong.push(Finding::wrong(CHECK, &what, "log in again"));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        let what = format!("{shown} has mode {mode:04o}: xrdcp refuses what others can read");
        wrong.push(Finding::wrong(CHECK, &what, &format!("run 'chmod 0600 {shown}'")));
    }
    wrong
}

/// What the agent says of the token that it keeps in the file. It does not count by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agents {
    Lives,
    Other,
}

fn contents(text: &[u8], issuer: Option<&str>, agents: Agents, now: u64, shown: &str) -> Vec<Finding> {
    const ANEW: &str = "run 'iam-session token --force'";
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    if line.is_empty() {
        return vec![Finding::wrong(CHECK, &format!("{shown} is empty: programs look on elsewhere"), ANEW)];
    }
    let mut wrong = Vec::new();
    if text.len() > TOKEN_FILE {
        let what = format!("{shown} is longer than the {TOKEN_FILE} bytes that xrdcp reads");
        let mend = "narrow session_scope in ~/.config/iam-session/config.toml, or ask the issuer for fewer groups in tokens";
        wrong.push(Finding::wrong(CHECK, &what, mend));
    }
    if line.iter().any(|byte| !byte.is_ascii_graphic()) {
        wrong.push(Finding::wrong(CHECK, &format!("{shown} holds more than one line of a token"), ANEW));
    }
    let Ok(jwt) = Jwt::read(line) else { return wrong };
    if let Some(end) = jwt.expires_at().filter(|end| *end <= now) {
        let ago = duration(now - end);
        wrong.push(match agents {
            Agents::Other => Finding::wrong(CHECK, &format!("the token in {shown} ended {ago} ago"), ANEW),
            Agents::Lives => {
                let what = format!("the token in {shown} lives, and ended {ago} ago by this host's clock");
                Finding::wrong(CHECK, &what, "administrator: see 'chronyc tracking'")
            }
        });
    }
    if let (Some(ours), Some(theirs)) = (issuer, jwt.text("iss"))
        && !same_issuer(ours, theirs)
    {
        let what = format!("another program has put a token of {theirs} into {shown}");
        wrong.push(Finding::note(CHECK, &what, ANEW));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;

    fn jwt(claims: &str) -> Vec<u8> {
        format!("e30.{}.x\n", BASE64URL_NOPAD.encode(claims.as_bytes())).into_bytes()
    }

    fn told(text: &[u8]) -> Vec<String> {
        told_with(Agents::Other, text)
    }

    fn told_with(agents: Agents, text: &[u8]) -> Vec<String> {
        contents(text, Some("https://a.example/"), agents, 1000, "F")
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn root_reads_no_token_file() {
        let session = SessionLook { token_file: Some("/etc/passwd".into()), ..SessionLook::default() };
        assert_eq!(look(&session, 0), []);
    }

    #[test]
    fn a_token_on_one_line_is_well() {
        assert_eq!(told(b"opaque\n"), Vec::<String>::new());
        assert_eq!(told(&jwt(r#"{"exp":1001,"iss":"https://a.example"}"#)), Vec::<String>::new());
    }

    #[test]
    fn what_programs_would_not_take_is_told() {
        assert_eq!(told(b""), ["F is empty: programs look on elsewhere"]);
        assert_eq!(told(b"\n"), ["F is empty: programs look on elsewhere"]);
        assert_eq!(told(b"a\nb\n"), ["F holds more than one line of a token"]);
        assert_eq!(told(&[b'x'; 4097]), ["F is longer than the 4096 bytes that xrdcp reads"]);
        assert_eq!(told(&jwt(r#"{"exp":940}"#)), ["the token in F ended 1 min ago"]);
        assert_eq!(
            told_with(Agents::Lives, &jwt(r#"{"exp":940}"#)),
            ["the token in F lives, and ended 1 min ago by this host's clock"]
        );
        // A site may let more into the file; what is in it is judged all the same.
        let large = format!(r#"{{"exp":940,"groups":"{}"}}"#, "x".repeat(5000));
        let long = "F is longer than the 4096 bytes that xrdcp reads";
        assert_eq!(told(&jwt(&large)), [long, "the token in F ended 1 min ago"]);
        assert_eq!(
            told(&jwt(r#"{"iss":"https://b.example/"}"#)),
            ["another program has put a token of https://b.example/ into F"]
        );
    }
}
