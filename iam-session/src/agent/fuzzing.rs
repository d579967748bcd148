//! What the fuzzers check of the agent's readers: the lifeline message, the lines of clients, and what is in a token file.
//! Touches nothing.

use super::requests::parse;
use crate::lifeline_message::Message;
use crate::line;
use crate::protocol::{MAX_LINE, Request};
use crate::runtime::file_damage::FileDamage;

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
