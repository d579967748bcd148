//! A write that fails, at each step and in each way: the old record is whole, the user is told, and what recovers needs
//! nobody (promise 15).

use std::collections::BTreeSet;

use crate::stage::{STORE, Stage, generation};

/// As file systems refuse: full, over quota, read-only, broken, a server that has forgotten us, not allowed.
const ERRNOS: [(i32, &str); 6] = [
    (28, "No space left on device"),
    (122, "Disk quota exceeded"),
    (30, "Read-only file system"),
    (5, "Input/output error"),
    (116, "Stale file handle"),
    (13, "Permission denied"),
];

/// Each step of a rotation once, as operation and name.
fn steps_of_a_rotation(stage: &Stage) -> BTreeSet<(String, String)> {
    stage.rotate().successful();
    let steps = stage.disk.steps();
    steps.iter().map(|step| step.split_once(' ').map(|(op, name)| (op.into(), name.into())).unwrap()).collect()
}

#[test]
fn whatever_step_of_a_rotation_fails_the_record_is_whole_and_nothing_is_lost() {
    let stage = Stage::new();
    let steps = steps_of_a_rotation(&stage);
    println!("{steps:?}");
    for (op, name) in &steps {
        for (errno, text) in ERRNOS {
            let before = stage.record();
            stage.disk.fail(op, name, errno);
            let output = stage.rotate();
            let what = format!("{op} {name} {text}: {output:?}");
            let after = stage.record();
            assert_eq!(before.len(), after.len(), "{what}");
            assert!(generation(&after) >= generation(&before), "{what}");
            println!("{what}");
            stage.recover();
            assert_eq!(stage.scene.provider.count("reuse"), 0, "{what}");
        }
    }
}
