//! Which runtime directory a login gets.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use nix::mount::umount;

use super::host::{Host, PAM_SESSION_ERR, PAM_SUCCESS, error, give_to, on_a_host};

const OURS: &str = "/run/iam-session/1000";

/// The directory of one login to which `offered` was offered.
fn runtime(host: &Host, offered: &str) -> String {
    let said =
        host.agent("say ready").run("alice", &[&format!("env=XDG_RUNTIME_DIR={offered}"), "open", "end"]);
    assert_eq!(said.codes("open"), [PAM_SUCCESS]);
    said.environment()["BEARER_TOKEN_FILE"].strip_suffix("/bt_u1000-iam").unwrap().to_owned()
}

fn expect_none(host: &Host, logged: &str) {
    let said = host.agent("say ready").run("alice", &["open", "end"]);
    assert_eq!((said.codes("open"), said.environment().len()), (vec![PAM_SESSION_ERR], 0));
    let log = host.log();
    let logind = "no runtime directory: /run/user/1000 is not the XDG_RUNTIME_DIR of this login";
    assert_eq!(log, [error("alice", &format!("no session: {logind}; {OURS} {logged}"))]);
}

#[test]
fn the_directory_of_logind_is_taken_when_it_is_offered() {
    on_a_host(|host| {
        let path = host.logind(1000, 0o700);
        assert_eq!(runtime(host, &path), path);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        assert_eq!(runtime(host, "/run/user/1001"), OURS);
        assert_eq!(runtime(host, "/tmp"), OURS);
    });
}

#[test]
fn a_directory_of_logind_that_is_open_foreign_or_no_mount_is_not_taken() {
    on_a_host(|host| {
        let path = host.logind(1000, 0o755);
        assert_eq!(runtime(host, &path), OURS);
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        give_to(&path, 1001);
        assert_eq!(runtime(host, &path), OURS);
        umount(path.as_str()).unwrap();
        give_to(&path, 1000);
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        assert_eq!(runtime(host, &path), OURS);
        fs::remove_dir(&path).unwrap();
        symlink(OURS, &path).unwrap();
        assert_eq!(runtime(host, &path), OURS);
    });
}

#[test]
fn our_own_directory_is_made_for_the_user_whatever_the_umask() {
    on_a_host(|host| {
        host.agent("say ready");
        host.run("alice", &["umask=511", "open", "end"]);
        let made = fs::metadata(OURS).unwrap();
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (1000, 1000, 0o700));
        // As a login leaves it that ended between the two steps.
        give_to(OURS, 0);
        fs::set_permissions(OURS, Permissions::from_mode(0o500)).unwrap();
        assert_eq!(runtime(host, ""), OURS);
        let made = fs::metadata(OURS).unwrap();
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (1000, 1000, 0o700));
    });
}

#[test]
fn what_stands_in_our_directorys_place_is_refused_and_left_alone() {
    on_a_host(|host| {
        symlink("/etc", OURS).unwrap();
        expect_none(host, "cannot be used: Not a directory");
        assert_eq!(fs::metadata("/etc").unwrap().uid(), 0);
        fs::remove_file(OURS).unwrap();
        let must = "is not a directory of the user with mode 0700";
        fs::create_dir(OURS).unwrap();
        give_to(OURS, 1001);
        expect_none(host, must);
        give_to(OURS, 1000);
        fs::set_permissions(OURS, Permissions::from_mode(0o750)).unwrap();
        expect_none(host, must);
        fs::remove_dir(OURS).unwrap();
        fs::write(OURS, "").unwrap();
        expect_none(host, "cannot be used: Not a directory");
    });
}

#[test]
fn run_itself_is_not_filled_by_users() {
    on_a_host(|host| {
        fs::set_permissions("/run/iam-session", Permissions::from_mode(0o755)).unwrap();
        expect_none(host, "is not below a directory of root with mode 0711");
        umount("/run/iam-session").unwrap();
        fs::set_permissions("/run/iam-session", Permissions::from_mode(0o711)).unwrap();
        expect_none(host, "is not on a file system of its own");
        fs::remove_dir("/run/iam-session").unwrap();
        expect_none(host, "cannot be used: No such file or directory");
    });
}
