//! Everything that parses: who writes what it reads, and a function that holds it to what it promises. A panic is a
//! promise that is not kept. Read by the fuzzer (fuzz.rs) and by `iam-session/tests/parsers.rs`.

#[path = "targets/configuration.rs"]
mod configuration;
#[path = "targets/lines.rs"]
mod lines;
#[path = "targets/pam_options.rs"]
mod pam_options;
#[path = "targets/scopes.rs"]
mod scopes;

use iam_session::{admin, agent, issuer, store};

/// A name, which is that of a directory of seeds, too; and what is tried.
type Target = (&'static str, fn(&[u8]));

pub(crate) const TARGETS: [Target; 16] = [
    // The file server: a store's files, a genuine record of which one stretch is changed, a user's lock of a host.
    ("record", store::fuzzing::file),
    ("record_changed", store::fuzzing::changed),
    ("marker", store::marker_fuzzing::file),
    // Another version of ours: what is sealed in a record.
    ("record_plaintext", store::fuzzing::plaintext),
    // The issuer: good answers, what it says of a client, refusals; tokens, descriptions, headers and URLs.
    ("answer", issuer::fuzzing::answer),
    ("client", issuer::fuzzing::client),
    ("refusal", issuer::fuzzing::refusal),
    ("text", issuer::fuzzing::text),
    // The user's programs: a line at the agent's socket.
    ("request", agent::fuzzing::request),
    ("lines", lines::check),
    ("scopes", scopes::check),
    // Other programs: what they leave in a token file.
    ("token_file", agent::fuzzing::token_file),
    // A user's agent: what root's tool shows of its answer.
    ("status", admin::fuzzing::status),
    // The module.
    ("lifeline", agent::fuzzing::lifeline),
    // Administrators and users.
    ("configuration", configuration::check),
    ("pam_options", pam_options::check),
];
