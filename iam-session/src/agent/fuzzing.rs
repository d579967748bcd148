//! What the fuzzers check of the agent's readers: the lifeline message, the lines of clients, and what is in a token file.
//! And what is measured of the agent: a client's request. Touches a directory that is named.

use std::path::Path;

use nix::unistd::geteuid;

use super::requests::parse;
use crate::clock::{Now, boot_id};
use crate::lifeline_message::Message;
use crate::line;
use crate::paths::RuntimePaths;
use crate::protocol::{MAX_LINE, Request};
use crate::runtime::RuntimeDirectory;
use crate::runtime::accounts::AccountBook;
use crate::runtime::answer::{RuntimeView, TokenDecision};
use crate::runtime::cache::CachedToken;
use crate::runtime::file_damage::FileDamage;

const ENTRY: &str = r#"{"name":"wlcg","issuer":"https://iam.example/","record_id":"01","subject":null,
    "scope":"openid storage.read:/","session_scope":"openid storage.read:/","enrollment_ends_at":null,"trouble":null}"#;

/// What a module writes into the lifeline: what is read is what would be written for the mint.
pub fn lifeline(data: &[u8]) {
    let mut rest = data;
    let Ok(message) = Message::read(&mut rest) else { return };
    let read = data.len() - rest.len();
    assert_eq!(message.to_bytes().as_ref().map(|bytes| bytes.as_slice()), data.get(..read));
}

/// What another program has put into a token file: what it is called follows from how it begins.
pub fn token_file(data: &[u8]) {
    let first = data.trim_ascii().first();
    match FileDamage::of(data) {
        FileDamage::Empty => assert_eq!(first, None),
        FileDamage::Json | FileDamage::RefreshToken => assert_eq!(first, Some(&b'{')),
        found => assert!(found == FileDamage::NoToken && first.is_some(), "{found:?}"),
    }
}

/// A line of a client: what is understood is the same when it is said again, and a refusal quotes nothing.
pub fn request(data: &[u8]) {
    let request = match parse(data) {
        Ok(request) => request,
        Err(failure) => {
            let text = failure.error;
            let (said, column) = text.split_once(" (column ").unwrap_or_default();
            assert!(
                ["this version of the agent has no such request", "the request is no JSON object"]
                    .contains(&said)
            );
            assert!(column.strip_suffix(')').is_some_and(|column| column.parse::<usize>().is_ok()), "{text}");
            return;
        }
    };
    // Longer than it came, perhaps, and then nobody's.
    let Ok(line) = line::encode(&request, MAX_LINE) else { return };
    let again: Result<Request, _> = serde_json::from_slice(&line);
    let again = again.ok().and_then(|again| line::encode(&again, MAX_LINE).ok());
    assert_eq!(again.as_deref(), Some(&*line));
}

/// An agents' directory with one account and its session token.
pub struct TokenAtHand(RuntimeDirectory);

impl TokenAtHand {
    /// Lays it below an empty directory of the caller's own, with an access token of this length.
    pub fn lay(directory: &Path, length: usize) -> Option<Self> {
        let runtime = RuntimeDirectory::open(RuntimePaths::new(directory, geteuid().as_raw())).ok()?;
        let entry = serde_json::from_str(ENTRY).ok()?;
        let book = AccountBook {
            default_account: Some("wlcg".into()),
            entries: vec![entry],
            ..AccountBook::default()
        };
        book.write(&runtime.agents).ok()?;
        let now = Now::read();
        let token: CachedToken = serde_json::from_value(serde_json::json!({
            "wanted": book.find(None)?.session_token(),
            "access_token": "x".repeat(length),
            "granted": "openid storage.read:/",
            "issuer": "https://iam.example/",
            "boot_id": boot_id().ok()?,
            "issued": now.boot,
            "ends": now.boot.checked_add(std::time::Duration::from_secs(3600))?,
            "expires_at": now.unix.checked_add(3600)?,
        }))
        .ok()?;
        runtime.cache.put(&token, now).ok()?;
        Some(Self(runtime))
    }

    /// From a client's line to the line of the answer, which has the token; gives its length.
    pub fn answer(&self, line: &[u8]) -> Option<usize> {
        let Ok(Request::AccessToken(request)) = parse(line) else { return None };
        let TokenDecision::Token(token) = RuntimeView::of(&self.0, Now::read()).decide(&request) else {
            return None;
        };
        Some(token.line().ok()?.len())
    }
}
