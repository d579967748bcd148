//! The order and the words of a revocation.

use super::*;
use crate::admin::failed;
use crate::admin::process::{Identity, Program, Stay};

fn agent(pid: i32) -> Agent {
    Agent {
        process: Identity { pid, start: 0 },
        uid: 1000,
        gid: 1000,
        stay: Stay::Login,
        program: Program::Installed,
        session: None,
    }
}

fn end_of(lives: &mut dyn Iterator<Item = Vec<Agent>>) -> Ended {
    end_all(|| Ok(lives.next().unwrap()), |_| Ok(String::new()), Duration::ZERO)
}

#[test]
fn agents_are_ended_until_there_are_none_and_what_is_left_is_named() {
    let ended = end_of(&mut [vec![agent(7)], vec![agent(8), agent(9)], vec![]].into_iter());
    assert_eq!((ended.agents, ended.trouble), (3, None));
    // The last one of the rounds, too, is looked for once more.
    let ended = end_of(&mut std::iter::repeat_n(vec![agent(7)], 5).chain([vec![]]));
    assert_eq!((ended.agents, ended.trouble), (5, None));
    let ended = end_of(&mut std::iter::repeat(vec![agent(7)]));
    assert!(ended.trouble.unwrap().error.ends_with("and live: process 7"));
}

#[test]
fn what_cannot_be_ended_is_told_with_what_was() {
    let mut calls = 0;
    let end = |_: &[Agent]| {
        calls += 1;
        if calls == 2 { Err(failed("stuck".to_owned())) } else { Ok(String::new()) }
    };
    let ended = end_all(|| Ok(vec![agent(7)]), end, Duration::ZERO);
    assert_eq!((ended.agents, ended.trouble.unwrap().error.as_str()), (1, "stuck"));
}
