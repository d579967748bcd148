//! Tokens, by a whole process each: new ones while the mint and its helper are there, new ones when they have ended, and
//! cached ones.

use support::Login;

use crate::row::{Reach, Row, Series};
use crate::samples::Samples;
use crate::scale::Scale;
use crate::stage::{CURL, CURL_BUNDLE, NOOP, OIDC_TOKEN, Stage, TOKEN};

/// In milliseconds after a token that was minted: what a mint does when it has answered is then done.
const PAUSE_MINTED: u32 = 25;
const PAUSE_CACHED: u32 = 2;
/// One helper each: as many new tokens without a warm one as there are logins.
const COLD_LOGINS: usize = 10;
const COLD_BATCHES: usize = 2;

pub(crate) fn warm(stage: &Stage, scale: Scale) -> (Row, Vec<Series>) {
    let commands = minted("warm", &[CURL, CURL_BUNDLE]);
    let samples = Stage::pairs(&stage.login, 0, scale.rounds(60), PAUSE_MINTED, &commands);
    let whose = ["iam-session token", "oidc-token -s", "curl and jq", "curl and jq, the system's CAs"];
    let series = named(&whose, samples);
    let reach = Reach::at_most(&series[0], 0.4, &series[1]);
    (Row::of("a new token, warm, whole process", "ms", &series, vec![reach]), series)
}

/// With the provider's CA alone, and with those that the system trusts besides.
pub(crate) fn cold(stage: &Stage, scale: Scale) -> Vec<(Row, Vec<Series>)> {
    let logins: Vec<Login> = (0..scale.rounds(COLD_LOGINS)).map(|_| another_login(stage)).collect();
    let alone = cold_rounds(stage, &logins, "alone", scale);
    stage.trust_bundle();
    let bundle = cold_rounds(stage, &logins, "bundle", scale);
    let measures = ["a new token, cold, whole process", "the same, with the system's CAs besides"];
    let rows = measures.iter().zip([alone, bundle]).map(|(measure, samples)| {
        let series = named(&["iam-session token", "oidc-token -s", "curl and jq"], samples);
        let reaches =
            vec![Reach::at_most(&series[0], 1.0, &series[2]), Reach::at_most(&series[0], 1.2, &series[1])];
        (Row::of(measure, "ms", &series, reaches), series)
    });
    rows.collect()
}

/// A login with an agent of its own, and the main login's variables for the peers.
fn another_login(stage: &Stage) -> Login {
    let login = stage.host.login("alice");
    let socket = stage.login.env("OIDC_SOCK").unwrap();
    login.run(&format!("export OIDC_SOCK={socket}")).successful();
    login
}

fn cold_rounds(stage: &Stage, logins: &[Login], name: &str, scale: Scale) -> Vec<Samples> {
    let mut all: Option<Vec<Samples>> = None;
    for batch in 0..scale.rounds(COLD_BATCHES) {
        for (number, login) in logins.iter().enumerate() {
            let number = batch * logins.len() + number;
            login.run(&format!("{TOKEN} -s storage.read:/before-{name}-{number}")).successful();
        }
        stage.wait_for_the_mints_end();
        for (number, login) in logins.iter().enumerate() {
            let number = batch * logins.len() + number;
            let round =
                Stage::pairs(login, number, 1, PAUSE_MINTED, &minted(&format!("cold-{name}"), &[CURL]));
            all = Some(match all {
                None => round,
                Some(all) => all.into_iter().zip(round).map(|(all, more)| all.and(more)).collect(),
            });
        }
    }
    all.unwrap()
}

pub(crate) fn cached(stage: &Stage, scale: Scale) -> (Row, Vec<Series>) {
    let file = stage.login.env("BEARER_TOKEN_FILE").unwrap();
    let commands =
        [TOKEN.to_owned(), format!("/usr/bin/cat {file}"), format!("{OIDC_TOKEN} bench"), NOOP.to_owned()];
    let samples = Stage::pairs(&stage.login, 0, scale.rounds(400), PAUSE_CACHED, &commands);
    let series = named(
        &["iam-session token", "cat of the file", "oidc-token", "a program that does nothing"],
        samples,
    );
    let reach = Reach::at_most(&series[0], 1.0, &series[1]);
    (Row::of("a cached token, whole process", "ms", &series, vec![reach]), series)
}

/// Ours, oidc-agent's and these, each for a scope that nobody has asked for yet.
fn minted(name: &str, others: &[&str]) -> Vec<String> {
    let scope = format!("storage.read:/{name}-{{n}}");
    let ours = [format!("{TOKEN} -s {scope}"), format!("{OIDC_TOKEN} -s {scope} bench")];
    ours.into_iter().chain(others.iter().map(|other| format!("{other} {scope}"))).collect()
}

fn named(whose: &[&str], samples: Vec<Samples>) -> Vec<Series> {
    assert_eq!(whose.len(), samples.len());
    whose.iter().zip(samples).map(|(whose, samples)| Series::of(whose, samples)).collect()
}
