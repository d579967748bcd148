//! What it is all for: a storage element that knows nothing of iam-session, and the programs that users have.

use support::Storage;

use crate::stage::{Stage, narrate, step};

/// What Alice keeps there.
const RESULT: &str = "/cms/alice/result";

/// She reads with the token of her login, and writes with one that she asks for by name.
pub(crate) fn use_it(login: &Stage<'_>, storage: &Storage) {
    step("What it is for: reading data");
    narrate(
        "storage.example is xrootd with its scitokens plug-in. It knows the issuer, and nothing of iam-session.",
    );
    let data = storage.url("/cms/x");
    login.show_successful(&format!("xrdcp {data} -"));
    login.show_successful(&format!("gfal-cat {data}"));

    step("Writing takes a token that says so");
    let write = format!("xrdcp result {}", storage.url(RESULT));
    login.show("echo 'a result' >result");
    narrate("The one that every program finds by itself does not:");
    login.show(&write);
    assert_eq!(storage.contents(RESULT), None, "the token of the login let her write");
    narrate("One for this command, this directory and this storage element does:");
    let scopes = "-s storage.read:/cms/alice -s storage.create:/cms/alice";
    let token = format!("iam-session token {scopes} --aud {}", Storage::AUDIENCE);
    login.show_successful(&format!("BEARER_TOKEN=$({token}) {write}"));
    login.show_successful(&format!("xrdcp {} -", storage.url(RESULT)));
    assert_eq!(storage.contents(RESULT).as_deref(), Some("a result\n"));
}
