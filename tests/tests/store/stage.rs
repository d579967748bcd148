//! What these tests begin with: alice's store is a disk that the test commands.

use std::cell::Cell;

use serde_json::json;
use support::{Disk, Login, Output};

use crate::scene::Scene;

pub(crate) const STORE: &str = "/home/alice/.local/state/iam-session";

/// Alice has enrolled with an issuer that rotates, that is known, and she is logged in.
pub(crate) struct Stage {
    // In the order in which they must go.
    pub(crate) login: Login,
    pub(crate) disk: Disk,
    pub(crate) scene: Scene,
    asked: Cell<u32>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let scene = Scene::new();
        scene.provider.set(json!({"rotate": true}));
        let disk = Disk::over(&scene.host, "alice", STORE);
        scene.host.enroll(&scene.provider, "alice");
        let login = scene.host.login("alice");
        let stage = Self { login, disk, scene, asked: Cell::new(0) };
        stage.rotate().successful();
        stage.disk.steps();
        stage
    }

    /// Another login, with an agent of its own, in the place of the one before.
    pub(crate) fn log_in_again(&mut self) {
        let login = self.scene.host.login("alice");
        std::mem::replace(&mut self.login, login).close();
    }

    /// Asks for a token that is in no cache, and so has the refresh token replaced.
    pub(crate) fn rotate(&self) -> Output {
        self.asked.set(self.asked.get() + 1);
        self.login.run(&format!("iam-session token -s storage.read:/{}", self.asked.get()))
    }

    /// The same when nothing is wrong any more and the pause after a failure is over.
    pub(crate) fn rotate_again(&self) -> Output {
        self.disk.heal();
        self.root("rm -f /run/iam-session/20001/iam-session/*.failure");
        self.rotate()
    }

    pub(crate) fn root(&self, command: &str) -> Output {
        self.scene.host.as_root().run(command).successful()
    }

    /// What changes the store in one rotation, in order.
    pub(crate) fn steps_of_a_rotation(&self) -> Vec<String> {
        self.disk.steps();
        self.rotate().successful();
        self.disk.steps()
    }

    /// The record's bytes in hexadecimal.
    pub(crate) fn record(&self) -> String {
        self.root(&format!("od -An -v -tx1 {STORE}/wlcg.cred | tr -d ' \\n'")).stdout
    }

    /// The names in the store.
    pub(crate) fn names(&self) -> String {
        self.root(&format!("ls -A {STORE}")).stdout
    }
}

/// How often a record was written, as its header says (PROTOCOL.md, section 5).
pub(crate) fn generation(record: &str) -> u64 {
    u64::from_str_radix(&record[2 * 36..2 * 44], 16).unwrap()
}
