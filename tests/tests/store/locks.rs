//! A store on a file system that has no locks: Lustre without flock, NFS without lockd.

use nix::errno::Errno;
use serde_json::json;
use support::{Disk, Enrolling, Host};

use crate::scene::Scene;
use crate::stage::STORE;

/// What fcntl(2) says of it: Lustre, NFS, other file systems.
const REFUSALS: [Errno; 3] = [Errno::ENOSYS, Errno::ENOLCK, Errno::EOPNOTSUPP];

#[test]
fn it_is_told_before_a_code_is_shown_and_with_what_to_do() {
    for errno in REFUSALS {
        let scene = Scene::new();
        let _disk = Disk::without_locks(&scene.host, "alice", STORE, errno as i32);
        let error = Enrolling::start(&scene.host, "alice", "wlcg").event("error");
        assert_eq!(error["error"], format!("the file system of {STORE} has no locks: {}", errno.desc()));
        let hint = error["hint"].as_str().unwrap();
        for part in ["-o flock", "-o localflock", "store_dir", "store_locks"] {
            assert!(hint.contains(part), "{part}: {hint}");
        }
        assert_eq!(scene.provider.count("registration"), 0);
    }
}

#[test]
fn where_one_host_uses_the_store_its_own_lock_is_enough() {
    for errno in REFUSALS {
        let scene = Scene::of(Host::plan().site("store_locks = \"host\""));
        scene.provider.set(json!({"rotate": true}));
        let _disk = Disk::without_locks(&scene.host, "alice", STORE, errno as i32);
        scene.host.enroll(&scene.provider, "alice");
        let (one, other) = (scene.host.login("alice"), scene.host.login("alice"));
        for (at, login) in [&one, &other, &one].into_iter().enumerate() {
            login.run(&format!("iam-session token -s storage.read:/{at}")).successful();
        }
        one.run("iam-session forget wlcg").successful();
        assert_eq!(scene.provider.count("reuse"), 0, "its agents take turns");
    }
}
