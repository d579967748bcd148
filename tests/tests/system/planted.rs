//! What somebody has put at a path that the system opens: it is not followed into a write elsewhere, blocks no login,
//! and where it is in the way that is told with its path (promise 21).

use std::collections::BTreeSet;
use std::time::Duration;

use support::Host;

use crate::scene::{Scene, is_deserted, opened};

/// Far above what a login takes on a loaded machine: whoever waits for a FIFO waits for ever.
const CEILING: Duration = Duration::from_secs(10);
const RUNTIME: &str = "/run/iam-session/20001";
const STORE: &str = "/home/alice/.local/state/iam-session";

/// What is put in the place of a file, and how.
const IN_A_FILES_PLACE: [(&str, &str); 5] = [
    (LINK, "ln -s /home/alice/precious/file $P && chown -h alice: $P"),
    (FIFO, "mkfifo -m 0600 $P && chown alice: $P"),
    (DIRECTORY, "mkdir -m 0700 $P && echo mine >$P/file && chown -R alice: $P"),
    (STRANGE, "echo theirs >$P && chown bob: $P && chmod 0666 $P"),
    (LOOSE, "echo theirs >$P && chown alice: $P && chmod 0620 $P"),
];
const IN_A_DIRECTORYS_PLACE: [(&str, &str); 4] = [
    (LINK, "ln -s /home/alice/precious $P && chown -h alice: $P"),
    (FIFO, "mkfifo -m 0600 $P && chown alice: $P"),
    (STRANGE, "mkdir -m 0777 $P && chown bob: $P"),
    (LOOSE, "mkdir -m 0770 $P && chown alice: $P"),
];
const LINK: &str = "a link to what is the user's";
const FIFO: &str = "a FIFO";
const DIRECTORY: &str = "a directory";
const STRANGE: &str = "somebody else's";
const LOOSE: &str = "writable by the group";

/// Alice has enrolled, and has something that she would not like to lose.
fn scene() -> Scene {
    let scene = Scene::enrolled();
    scene.host.wait_until("the end of the enrolment's login", || is_deserted(&scene.host));
    let alice = scene.host.as_user("alice");
    alice.run("mkdir precious && echo precious >precious/file && mkdir -p .config/iam-session").successful();
    scene.host.as_root().run(&format!("cp -a {STORE} /mnt/store && cp -a {RUNTIME} /mnt/run")).successful();
    scene
}

/// Everything as it was before anything was planted; the runtime directory as while an agent lives.
fn restore(host: &Host) {
    let directories = format!("mkdir -m 0700 -p {RUNTIME}/iam-session/cache && chown -R alice: {RUNTIME}/*");
    let restore = format!(
        "rm -rf {RUNTIME} {STORE} && cp -a /mnt/run {RUNTIME} && {directories} && cp -a /mnt/store {STORE} &&
         rm -rf /home/alice/.config/iam-session/*"
    );
    host.as_root().run(&restore).successful();
}

/// Logs in where this has been put; whether there was a token in the file and another to be had, and what was told of
/// the path, each thing once.
fn log_in(scene: &Scene, path: &str, kind: &str, make: &str, number: usize) -> (bool, BTreeSet<String>) {
    let host = &scene.host;
    restore(host);
    let make = make.replace("$P", path);
    host.as_root().run(&format!("rm -rf {path} && {make}")).successful();
    let before = host.log_lines().len();
    let ask = format!("iam-session token -s storage.read:/{number}");
    // On a loaded machine the session's token may come a moment after the login: the first command waits for it.
    let read = "iam-session token >/dev/null 2>&1; cat $BEARER_TOKEN_FILE";
    let output = host.ssh("alice", &format!("{read}; {ask} >/dev/null && echo good"));
    assert!(output.elapsed < CEILING && output.status != 255, "{path}: {kind}: {output:?}");
    host.wait_until("the end of the agent", || is_deserted(host));
    let tree = host.as_root().run("cd /home/alice/precious && ls -A && cat file && stat -c '%a %U' . file");
    assert_eq!(tree.stdout, "file\nprecious\n755 alice\n644 alice\n", "{path}: {kind}");
    let log = host.log_lines().split_off(before);
    let log = log.iter().filter_map(|line| Some(line.split_once(" user=alice ")?.1.to_owned()));
    let all = log.chain(output.stderr.lines().map(str::to_owned));
    let told = all.filter(|line| line.contains(path) && !line.starts_with("cat:")).collect();
    let token = scene.provider.accepts(output.stdout.lines().next().unwrap_or_default());
    (token && output.stdout.ends_with("\ngood\n"), told)
}

/// Whatever stands at `path`, there is a token, and nothing is told; unless it is one of `in_the_way`.
fn stands_at(scene: &Scene, path: &str, kinds: &[(&str, &str)], in_the_way: &[&str]) {
    for (number, (kind, make)) in kinds.iter().enumerate() {
        let (token, told) = log_in(scene, path, kind, make, number);
        if in_the_way.contains(kind) {
            // One line for each thing that could not be done: to open it, to replace it, to remove it.
            assert!(!token && (1..=3).contains(&told.len()), "{path}: {kind}: {token} {told:?}");
        } else {
            assert!(token && told.is_empty(), "{path}: {kind}: {token} {told:?}");
        }
    }
}

#[test]
fn a_file_that_is_replaced_as_a_whole_is_replaced_whatever_stands_there() {
    let scene = scene();
    for name in ["bt_u20001-iam", "iam-session/accounts.json"] {
        stands_at(&scene, &format!("{RUNTIME}/{name}"), &IN_A_FILES_PLACE, &[DIRECTORY]);
    }
    // The sealed token beside the record is missed by nobody.
    stands_at(&scene, &format!("{STORE}/wlcg.token"), &IN_A_FILES_PLACE, &[]);
}

#[test]
fn a_lock_that_is_none_is_not_taken() {
    let scene = scene();
    for name in ["users.lock", "mint.lock", "file.lock"] {
        let path = format!("{RUNTIME}/iam-session/{name}");
        stands_at(&scene, &path, &IN_A_FILES_PLACE, &[LINK, FIFO, DIRECTORY, STRANGE, LOOSE]);
    }
    let path = format!("{STORE}/.lock");
    stands_at(&scene, &path, &IN_A_FILES_PLACE, &[LINK, FIFO, DIRECTORY, STRANGE, LOOSE]);
}

#[test]
fn a_record_that_others_could_have_written_is_not_read() {
    let scene = scene();
    let path = format!("{STORE}/wlcg.cred");
    stands_at(&scene, &path, &IN_A_FILES_PLACE, &[LINK, FIFO, DIRECTORY, STRANGE, LOOSE]);
    restore(&scene.host);
    assert!(scene.provider.accepts(&scene.host.ssh("alice", "cat $BEARER_TOKEN_FILE").successful().stdout));
}

#[test]
fn a_directory_that_is_not_the_users_alone_is_not_used() {
    let scene = scene();
    for path in [format!("{RUNTIME}/iam-session"), format!("{RUNTIME}/iam-session/cache"), STORE.to_owned()] {
        stands_at(&scene, &path, &IN_A_DIRECTORYS_PLACE, &[LINK, FIFO, STRANGE, LOOSE]);
    }
}

#[test]
fn a_runtime_directory_that_others_may_enter_is_not_used() {
    let scene = scene();
    for mode in ["0770", "0711", "1700"] {
        restore(&scene.host);
        let (before, log) = (opened(&scene.host).len(), scene.host.log_lines().len());
        scene.host.as_root().run(&format!("chmod {mode} {RUNTIME}")).successful();
        assert_eq!(scene.host.ssh("alice", "printenv BEARER_TOKEN_FILE; echo in").stdout, "in\n", "{mode}");
        assert_eq!(opened(&scene.host).len(), before, "{mode}");
        let log = scene.host.log_lines().split_off(log);
        let told: Vec<_> = log.iter().filter(|line| line.contains(RUNTIME)).collect();
        assert!(matches!(&told[..], [line] if line.contains("mode 0700")), "{mode}: {told:?}");
    }
}

#[test]
fn a_configuration_of_the_users_that_is_none_is_told_and_keeps_nobody_out() {
    let scene = scene();
    let path = "/home/alice/.config/iam-session/config.toml";
    // What is no TOML is a mistake; what is no file is none.
    stands_at(&scene, path, &IN_A_FILES_PLACE, &[LINK, FIFO, DIRECTORY, STRANGE, LOOSE]);
}
