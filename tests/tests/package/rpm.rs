//! The rpm's own tags: rpm 4.11 of CentOS 7 can read it (promise 26), rpmlint has nothing to say, and the same sources
//! give the same bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::package::package;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// What rpm 4.11 provides of these, as far as a package needs it. PayloadIsZstd is not among them.
const FEATURES: [&str; 4] = ["CompressedFileNames", "FileDigests", "PayloadFilesHavePrefix", "PayloadIsXz"];
const SHA256: &str = "8";

pub(crate) fn binary() -> PathBuf {
    package("", "iam-session-", ".el7.x86_64.rpm")
}

pub(crate) fn policy() -> PathBuf {
    package("", "iam-session-selinux-", ".el7.noarch.rpm")
}

pub(crate) fn source() -> PathBuf {
    package("", "iam-session-", ".el7.src.rpm")
}

/// Runs a program that must succeed; gives its standard output.
pub(crate) fn output(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).current_dir(REPOSITORY).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let what = file.file_name().unwrap_or_default().display();
    assert!(output.status.success(), "{program} {what}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A query of a package file.
pub(crate) fn query(file: &Path, format: &str) -> Vec<String> {
    let printed = output("rpm", &["-qp", "--nosignature", "--queryformat", format], file);
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn rpm_4_11_can_read_them() {
    for file in [binary(), policy(), source()] {
        let needs = query(&file, "[%{REQUIRENAME}\\n]");
        let features = needs.iter().filter_map(|name| name.strip_prefix("rpmlib(")?.strip_suffix(')'));
        for feature in features {
            assert!(FEATURES.contains(&feature), "{}: {feature}", file.display());
        }
        let compressor = query(&file, "%{PAYLOADCOMPRESSOR}").concat();
        assert!(["xz", "gzip"].contains(&compressor.as_str()), "{}: {compressor}", file.display());
        assert_eq!(query(&file, "%{FILEDIGESTALGO}"), [SHA256], "{}", file.display());
        // Dependencies of a later rpm: by "if" and "or", and weak ones.
        assert!(needs.iter().all(|name| !name.starts_with('(')), "{needs:?}");
        assert_eq!(query(&file, "%{RECOMMENDNAME}%{SUGGESTNAME}"), ["(none)(none)"], "{}", file.display());
    }
}

#[test]
fn what_it_needs_is_on_every_el() {
    for need in query(&binary(), "[%{REQUIRENAME}\\n]") {
        let version = need.split_once("(GLIBC_").map(|(_, rest)| rest.split(')').next().unwrap());
        let numbers: Option<Vec<u32>> =
            version.map(|text| text.split('.').map(|n| n.parse().unwrap()).collect());
        assert!(numbers.is_none_or(|numbers| numbers <= vec![2, 17]), "{need}");
    }
    let provides = query(&binary(), "[%{PROVIDENAME}\\n]");
    assert!(provides.iter().all(|name| !name.contains(".so")), "a PAM module is no library: {provides:?}");
}

#[test]
fn rpmlint_has_nothing_to_say_but_what_is_listed() {
    for file in [binary(), policy(), source()] {
        let said = output("rpmlint", &["-c", "packaging/rpm/rpmlint.toml"], &file);
        assert!(said.contains(" 0 errors, 0 warnings"), "{said}");
    }
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    let again = Path::new(env!("CARGO_TARGET_TMPDIR")).join("again");
    fs::remove_dir_all(&again).unwrap_or_default();
    for (script, argument) in [("packaging/rpm/build.sh", "binary"), ("packaging/deb/build.sh", "")] {
        let mut build = Command::new(script);
        build.args([argument].iter().filter(|argument| !argument.is_empty())).env("PACKAGES", &again);
        build.current_dir(REPOSITORY).env_remove("DIST").env_remove("RELEASE");
        let output = build.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for first in [binary(), policy(), package("", "iam-session_", ".deb")] {
        let second = again.join(first.file_name().unwrap());
        assert!(fs::read(&first).unwrap() == fs::read(second).unwrap(), "{} differs", first.display());
    }
}

/// Version and release are those that were asked for, of the source and of what it is rebuilt to: by %build, with this
/// system's own compiler and the crates that are in it, quickly instead of well.
#[test]
fn a_source_package_of_another_release_is_rebuilt_to_that_release() {
    let above = Path::new(env!("CARGO_TARGET_TMPDIR")).join("el9");
    fs::remove_dir_all(&above).unwrap_or_default();
    let run = |command: &mut Command| {
        let output = command.current_dir(REPOSITORY).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(Command::new("packaging/rpm/build.sh")
        .env("PACKAGES", &above)
        .env("DIST", "el9")
        .env("RELEASE", "3"));
    let version = env!("CARGO_PKG_VERSION");
    let of_el9 = |kind: &str| above.join(format!("iam-session-{version}-3.el9.{kind}.rpm"));
    let payload = |file: &Path| query(file, "[%{FILENAMES} %{FILEMODES:octal} %{FILEDIGESTS}\\n]");
    assert_eq!(payload(&of_el9("x86_64")), payload(&binary()));
    let mut rebuild = Command::new("rpmbuild");
    rebuild.args(["--rebuild", "--quiet", "--nodeps", "--target", "x86_64-redhat-linux"]);
    rebuild.args(["--define", &format!("_topdir {}", above.join("top").display())]);
    rebuild.args(["--define", "dist .site", "--define", "_lib lib64"]).arg(of_el9("src"));
    for (name, value) in [
        ("CARGO_PROFILE_RELEASE_LTO", "off"),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
        ("CARGO_PROFILE_DEV_DEBUG", "0"),
        ("CARGO_NET_OFFLINE", "true"),
    ] {
        rebuild.env(name, value);
    }
    rebuild.env_remove("CARGO_TARGET_DIR").env_remove("RUSTUP_TOOLCHAIN");
    run(&mut rebuild);
    let rebuilt = above.join(format!("top/RPMS/x86_64/iam-session-{version}-3.site.x86_64.rpm"));
    let modes = |file: &Path| query(file, "[%{FILENAMES} %{FILEMODES:octal}\\n]");
    assert_eq!(modes(&rebuilt), modes(&binary()));
    let unpack = format!("rpm2cpio \"$0\" | (cd {} && cpio --quiet -idm)", above.display());
    output("bash", &["-o", "pipefail", "-c", &unpack], &rebuilt);
    let said = Command::new(above.join("usr/bin/iam-session")).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), format!("iam-session {version}\n"));
    fs::remove_dir_all(&above).unwrap();
}

#[test]
fn a_compiler_that_is_too_old_is_told_with_the_one_that_is_needed() {
    let old = Path::new(env!("CARGO_TARGET_TMPDIR")).join("old");
    fs::create_dir_all(&old).unwrap();
    let rustc = "#!/bin/sh\ncase $1 in -V) echo 'rustc 1.79.0 (129f3b996 2024-06-10)' ;; *) printf 'host: x\\n' ;; esac\n";
    fs::write(old.join("rustc"), rustc).unwrap();
    fs::set_permissions(old.join("rustc"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", old.display(), std::env::var("PATH").unwrap());
    let build =
        Command::new("tests/setup/build.sh").current_dir(REPOSITORY).env("PATH", path).output().unwrap();
    let told = String::from_utf8_lossy(&build.stderr);
    assert!(
        !build.status.success() && told.contains("rustc is 1.79.0, and 1.88 or later is needed"),
        "{told}"
    );
}

#[test]
fn the_source_package_has_all_that_building_takes() {
    let files = output("rpm", &["-qp", "--nosignature", "--list"], &source());
    let mut files: Vec<_> = files.lines().collect();
    files.sort_unstable();
    let [vendor, sources, spec] = files[..] else { panic!("{files:?}") };
    assert!(spec == "iam-session.spec" && vendor.ends_with("-vendor.tar.gz"), "{files:?}");
    let tar = |archive: &str, options: &str| {
        let unpack = format!("rpm2cpio \"$0\" | cpio --quiet -i --to-stdout {archive} | tar {options}");
        output("bash", &["-o", "pipefail", "-c", &unpack], &source())
    };
    let list = |archive: &str| tar(archive, "-tz");
    let sources = list(sources);
    for wanted in
        ["/Cargo.lock", "/packaging/rpm/iam-session.spec", "/pam_iam/src/lib.rs", "/tests/setup/build.sh"]
    {
        assert!(sources.lines().any(|name| name.ends_with(wanted)), "{wanted}");
    }
    assert!(
        sources.lines().all(|name| !name.contains("/target/") && !name.contains("node_modules")),
        "{sources}"
    );
    // It is built with the cargo that is there.
    assert!(sources.lines().all(|name| !name.ends_with("/rust-toolchain.toml")));
    let configuration = tar(vendor, "-xzO .cargo/config.toml");
    assert!(configuration.contains("directory = \"vendor\""), "cargo is not told of them: {configuration}");
    let vendor = list(vendor);
    let lock = fs::read_to_string(format!("{REPOSITORY}/Cargo.lock")).unwrap();
    let of_others = lock.split("[[package]]").filter(|entry| entry.contains("\nsource = "));
    let crates =
        vendor.lines().filter(|name| name.matches('/').count() == 2 && name.ends_with("/Cargo.toml"));
    assert_eq!(crates.count(), of_others.count());
}
