//! Many processes that want the same new token at once.

use crate::row::{Reach, Row, figure, thousands};
use crate::scale::Scale;
use crate::stage::{OIDC_TOKEN, Stage, TOKEN, columns};

/// In seconds.
const LONGEST: f64 = 3.0;

/// What came of one crowd.
struct Crowd {
    many: usize,
    seconds: f64,
    served: usize,
    tokens: usize,
    requests: u64,
}

pub(crate) fn thousand(stage: &Stage, scale: Scale) -> Row {
    let ours = crowd(stage, scale.crowd(1000), &format!("{TOKEN} -s storage.read:/crowd"));
    let theirs = crowd(stage, scale.crowd(200), &format!("{OIDC_TOKEN} -s storage.read:/crowd bench"));
    let is_served = ours.served == ours.many && ours.tokens == 1;
    Row {
        measure: format!("{} processes at once want one new token", thousands(ours.many as u64)),
        ours: ours.to_string(),
        peers: format!("{} of oidc-agent: {theirs}", theirs.many),
        reaches: vec![
            Reach::new("1 POST", thousands(ours.requests), ours.requests == 1),
            Reach::new("all served", thousands(ours.served as u64), is_served),
            Reach::new(
                &format!("≤ {LONGEST} s"),
                format!("{} s", figure(ours.seconds)),
                ours.seconds <= LONGEST,
            ),
        ],
    }
}

pub(crate) fn sixty_four(stage: &Stage) -> Row {
    let ours = crowd(stage, 64, &format!("{TOKEN} -s storage.read:/few"));
    Row {
        measure: "64 processes at once want one new token".to_owned(),
        ours: ours.to_string(),
        peers: String::new(),
        reaches: vec![
            Reach::new("1 POST", thousands(ours.requests), ours.requests == 1),
            Reach::new("all served", thousands(ours.served as u64), ours.served == ours.many),
        ],
    }
}

fn crowd(stage: &Stage, many: usize, command: &str) -> Crowd {
    let before = stage.provider.count("refresh");
    let output = stage.login.run(&format!("/mnt/bench crowd {many} '{command}'")).successful();
    let [nanoseconds, served, tokens] =
        columns(&output.stdout, 1.0).iter().map(|column| column.median()).collect::<Vec<_>>()[..]
    else {
        panic!("{output:?}");
    };
    let requests = stage.provider.count("refresh") - before;
    Crowd { many, seconds: nanoseconds * 1e-9, served: served as usize, tokens: tokens as usize, requests }
}

impl std::fmt::Display for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { many, seconds, served, requests, .. } = self;
        let [many, served] = [many, served].map(|number| thousands(*number as u64));
        let s = if *requests == 1 { "" } else { "s" };
        write!(f, "{served} of {many} served, {} POST{s}, {} s", thousands(*requests), figure(*seconds))
    }
}
