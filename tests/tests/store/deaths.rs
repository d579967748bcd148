//! A mint that is killed at any step of a rotation, the power that fails with it, and what the next one makes of what is
//! left (promise 16).

use support::{Death, Output};

use crate::stage::{STORE, Stage, generation};

/// What is left of the whole machine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Machine {
    Lives,
    /// Only what was synced is still there.
    LostPower,
}

/// Kills the mint at each step of a rotation, on both sides of it; gives the steps that cost the refresh token.
fn deaths_that_cost_the_refresh_token(machine: Machine) -> Vec<String> {
    let stage = Stage::new();
    let steps = stage.steps_of_a_rotation();
    let mut cost = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        for death in [Death::Before, Death::After] {
            let what = format!("{death:?} {} {step}", number + 1);
            let before = stage.record();
            stage.disk.kill_at(number + 1, death);
            let killed = stage.rotate();
            assert!(killed.stderr.contains("mint ended without an answer"), "{what}: {killed:?}");
            assert_eq!(stage.disk.steps().len(), number + 1, "{what}");
            if machine == Machine::LostPower {
                stage.disk.crash();
            }
            let after = stage.record();
            assert!(generation(&after) >= generation(&before), "{what}");
            let next = stage.rotate_again();
            if next.status != 0 {
                is_told(&what, &next);
                cost.push(what.clone());
                stage.scene.host.enroll(&stage.scene.provider, "alice");
                stage.rotate_again().successful();
            } else {
                assert!(generation(&stage.record()) > generation(&before), "{what}");
            }
            // Whatever was begun has been put in its place or removed.
            assert_eq!(stage.names(), ".lock\nwlcg.cred\nwlcg.token\n", "{what}");
            stage.disk.steps();
        }
    }
    cost
}

/// Not the issuer's bare refusal.
fn is_told(what: &str, output: &Output) {
    let reason =
        "a refresh before, which was cut off or whose answer was lost, may have used up the refresh token";
    assert_eq!(output.status, 3, "{what}: {output:?}");
    assert!(output.stderr.contains(reason) && output.stderr.contains("enrol again"), "{what}: {output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{what}: {output:?}");
}

#[test]
fn a_mint_that_is_killed_costs_the_refresh_token_only_until_the_answer_is_written() {
    let cost = deaths_that_cost_the_refresh_token(Machine::Lives);
    assert_eq!(
        cost,
        ["Before 6 truncate .wlcg.cred.*", "After 6 truncate .wlcg.cred.*", "Before 7 write .wlcg.cred.*",]
    );
}

#[test]
fn a_power_cut_costs_the_refresh_token_only_until_the_answer_is_synced() {
    let cost = deaths_that_cost_the_refresh_token(Machine::LostPower);
    assert_eq!(
        cost,
        [
            "Before 6 truncate .wlcg.cred.*",
            "After 6 truncate .wlcg.cred.*",
            "Before 7 write .wlcg.cred.*",
            "After 7 write .wlcg.cred.*",
            "Before 8 fsync .wlcg.cred.*",
        ]
    );
}

#[test]
fn what_a_mint_left_that_died_is_gone_with_the_account() {
    let stage = Stage::new();
    let steps = stage.steps_of_a_rotation();
    let rename = steps.iter().position(|step| step.starts_with("rename")).unwrap();
    stage.disk.kill_at(rename + 1, Death::Before);
    stage.rotate();
    assert!(stage.names().contains(".wlcg.cred."), "the sealed record of the new refresh token");
    stage.disk.heal();
    stage.login.run("iam-session forget wlcg").successful();
    assert_eq!(stage.names(), ".lock\n");
    assert_eq!(stage.scene.provider.count("reuse"), 0);
    assert_eq!(stage.scene.provider.count("revocation"), 1, "of the new one");
}

#[test]
fn what_is_of_another_account_or_older_is_not_put_in_place() {
    let stage = Stage::new();
    stage.root(&format!("cp -p {STORE}/wlcg.cred {STORE}/.wlcg.cred.0000000000000000"));
    stage.rotate().successful();
    let newer = generation(&stage.record());
    stage.root(&format!("cp -p {STORE}/wlcg.cred {STORE}/.wlcg.cred.0000000000000001"));
    stage.rotate().successful();
    assert_eq!(generation(&stage.record()), newer + 1);
    assert_eq!(stage.scene.provider.count("reuse"), 0);
    assert_eq!(stage.names(), ".lock\nwlcg.cred\nwlcg.token\n");
}
