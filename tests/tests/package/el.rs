//! Packed on EL 7, and for another EL than that: its tools lack what newer ones have, and the package is the same.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::rpm::{binary, query, source};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// What tar has had since 1.27, and git since 1.8.4.
const NEWER: [(&str, &str); 2] = [
    (
        "tar",
        "--sort*|--clamp-mtime|--one-top-level*|--owner-map*|--group-map*|--skip-old-files|--keep-directory-symlink|\
         --exclude-vcs-ignores|--*verbatim-files-from|--zstd|--hole-detection*|--xattrs*|--acls|--selinux",
    ),
    ("git", "-C|:!*|:^*|:\\(exclude*|--format=%cI|worktree|--recurse-submodules"),
];

#[test]
fn el_7_has_what_packing_takes_and_the_package_of_el_9_holds_the_same() {
    let above = Path::new(env!("CARGO_TARGET_TMPDIR")).join("el7");
    fs::remove_dir_all(&above).unwrap_or_default();
    fs::create_dir_all(&above).unwrap();
    for (program, newer) in NEWER {
        let file = above.join(program);
        let script = format!(
            "#!/bin/bash\nfor word; do case $word in {newer}) echo \"{program}: unknown: $word\" >&2; exit 64 ;; esac; done\n\
             PATH=${{PATH#*:}}\nexec {program} \"$@\"\n"
        );
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let packages = above.join("packages");
    let path = format!("{}:{}", above.display(), std::env::var("PATH").unwrap());
    let mut build = Command::new("packaging/rpm/build.sh");
    build.current_dir(REPOSITORY).env("PATH", path).env("PACKAGES", &packages).env("DIST", "el9");
    let built = build.env_remove("RELEASE").output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let of_el9 =
        |kind: &str| packages.join(format!("iam-session-{}-1.el9.{kind}.rpm", env!("CARGO_PKG_VERSION")));
    let files = |file: &Path| query(file, "[%{FILENAMES} %{FILEMODES:octal} %{FILEDIGESTS}\\n]");
    assert_eq!(files(&of_el9("x86_64")), files(&binary()));
    // Of the sources as they lie here now: they may be newer than the package's.
    let names = |file: &Path| query(file, "[%{FILENAMES}\\n]");
    assert_eq!(names(&of_el9("src")), names(&source()));
    let policy = format!("iam-session-selinux-{}-1.el9.noarch.rpm", env!("CARGO_PKG_VERSION"));
    assert!(packages.join(policy).exists());
    assert_eq!(query(&of_el9("x86_64"), "%{RELEASE}"), ["1.el9"]);
}
