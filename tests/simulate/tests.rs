//! A farm that is small enough for every run of the tests.

use iam_session::simulation::Fault;

use crate::farm::{Plan, Sharing, simulate};
use crate::record::{Reach, Record};

const SMALL: Plan =
    Plan { nodes: 10, sessions: 200, users: 1000, hours: 6, fault: Fault::Silent, sharing: Sharing::On };

fn missed(record: &Record) -> Vec<String> {
    let missed = record.reaches().into_iter().filter(|reach| !reach.is_met);
    missed.map(|Reach { name, found, .. }| format!("{name}: {found}")).collect()
}

#[test]
fn a_farm_reaches_what_is_promised_to_its_issuer_however_that_fails() {
    for fault in [Fault::Silent, Fault::Busy] {
        let record = simulate(Plan { fault, ..SMALL });
        assert_eq!(missed(&record), [""; 0], "{fault:?}");
        assert!(record.users_at_end > 500 && record.expired_in_outage > 0);
        // One request a user and minute, and one of each host of a user when it first fails.
        let (mean, _) = record.outage_rate();
        assert!(mean > 1.0 && mean < f64::from(SMALL.users) / 55.0, "{mean} a second");
    }
}

#[test]
fn hosts_that_do_not_share_a_store_cost_the_issuer_more() {
    let missed = missed(&simulate(Plan { sharing: Sharing::Off, ..SMALL }));
    for name in ["requests over 1.5 an hour and user", "requests of one user after the outage"] {
        assert!(missed.iter().any(|missed| missed.starts_with(name)), "{missed:?}");
    }
}
