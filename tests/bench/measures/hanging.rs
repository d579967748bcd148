//! Cached reads while an issuer hangs.

use std::process::{Command, Stdio};

use serde_json::json;
use support::Background;

use super::socket::load;
use crate::row::{Reach, Row, spread};
use crate::samples::Samples;
use crate::scale::Scale;
use crate::stage::{Stage, TOKEN, columns};

/// What two runs without a hanging issuer may differ by.
const FACTOR: f64 = 1.25;

pub(crate) fn issuer(stage: &Stage, scale: Scale) -> Row {
    let p99 = || -> Samples {
        let lines: String =
            (0..scale.rounds(5)).map(|_| load(stage, "ours", "$IAM_SESSION_SOCK", 1, 400)).collect();
        columns(&lines, 1e-6)[1].clone()
    };
    let before = p99();
    stage.provider.fail_with(json!({"fault": "hang", "at": ["refresh"]}));
    let requests = stage.provider.count("refresh");
    let waiting = Background::start(ask(stage));
    stage.host.wait_until("a request that hangs", || stage.provider.count("refresh") > requests);
    let during = p99();
    stage.provider.heal();
    // The request that hangs ends with its connection, and the next token takes away what is noted of the failure.
    stage.provider.stop();
    stage.provider.restart();
    waiting.finish();
    stage.host.wait_until("a token once more", || stage.login.run(&format!("{TOKEN} --force")).status == 0);
    let found = during.median() / before.median();
    Row {
        measure: "p99 of cached requests at the socket while the issuer hangs".to_owned(),
        ours: spread(&during, "ms"),
        peers: format!("before {}", spread(&before, "ms")),
        reaches: vec![Reach::new(&format!("≤ {FACTOR} × before"), format!("{found:.2} ×"), found <= FACTOR)],
    }
}

/// Somebody who wants a new token.
fn ask(stage: &Stage) -> Command {
    let socket = stage.login.env("IAM_SESSION_SOCK").unwrap();
    let mut command = stage.host.as_user("alice").command("env");
    command
        .arg(format!("IAM_SESSION_SOCK={socket}"))
        .args(TOKEN.split(' '))
        .args(["-s", "storage.read:/hangs"]);
    command.stderr(Stdio::null());
    command
}
