//! On the files of real systems, on those that guides of SSSD, winbind and PBIS make, and on what must not be touched.

use std::io::ErrorKind;
use std::path::Path;

use super::*;

const LINE: &str = "-session optional pam_iam.so token_wait=2s";
const UNIX: &str = "session required pam_unix.so\n";
/// As the packages install them, and what follows there: EL 7, 8, 9; Debian 11, 12, 13.
const SYSTEMS: [(&str, &str, &str); 6] = [
    ("el7", include_str!("el7.sshd"), "pam_reauthorize.so prepare"),
    ("el8", include_str!("el8.sshd"), "postlogin"),
    ("el9", include_str!("el9.sshd"), "postlogin"),
    ("debian11", include_str!("debian11.sshd"), "pam_selinux.so open"),
    ("debian12", include_str!("debian12.sshd"), "pam_selinux.so open"),
    ("debian13", include_str!("debian13.sshd"), "pam_selinux.so open"),
];
const DEBIAN: &str = "session [default=1] pam_permit.so\nsession requisite pam_deny.so\n\
    session required pam_permit.so\nsession required pam_unix.so\nsession optional pam_systemd.so\n";
const EL: &str = "auth sufficient pam_unix.so\nsession optional pam_keyinit.so revoke\nsession required pam_limits.so\n\
    -session optional pam_systemd.so\n\
    session [success=1 default=ignore] pam_succeed_if.so service in crond quiet use_uid\nsession required pam_unix.so\n";
/// The last lines of a session stack as guides have them.
const SSSD: &str =
    "session required pam_limits.so\nsession sufficient pam_unix.so\nsession optional pam_sss.so\n";
const WINBIND: &str = "session required pam_limits.so\nsession [success=done default=ignore] pam_winbind.so\n\
    session required pam_unix.so\n";
const PBIS: &str =
    "session required pam_limits.so\nsession sufficient pam_lsass.so\nsession required pam_unix.so\n";
const LAST_JUMPS: &str = "session required pam_unix.so\n\
    session [success=1 default=ignore] pam_succeed_if.so service in crond quiet use_uid\n";

/// sshd's file, and what the files are that it includes.
struct Machine<'t> {
    sshd: &'t str,
    included: &'t str,
}

impl Machine<'_> {
    fn read(&self, name: &str) -> io::Result<(std::path::PathBuf, String)> {
        let text = match name {
            "sshd" => self.sshd,
            "password-auth" | "common-session" => self.included,
            "postlogin" | "common-account" | "common-password" | "common-auth" => {
                "auth required pam_permit.so\naccount required pam_permit.so\n"
            }
            _ => return Err(ErrorKind::NotFound.into()),
        };
        Ok((Path::new("/etc/pam.d").join(name), text.to_owned()))
    }

    fn place(&self) -> Result<Placed, UnfitPamFile> {
        place("sshd", LINE, &|name: &str| self.read(name))
    }

    fn displace(&self) -> Result<String, UnfitPamFile> {
        displace("sshd", &|name: &str| self.read(name))
    }

    fn judge(&self) -> Judgement {
        judge("sshd", &|name: &str| self.read(name)).unwrap()
    }
}

fn alone(sshd: &str) -> Machine<'_> {
    Machine { sshd, included: EL }
}

fn wrong(sshd: &str) -> String {
    let faults = alone(sshd).judge().faults;
    assert!(faults.len() == 1 && faults[0].weighs, "{faults:?}");
    format!("{}; {}", faults[0].what, faults[0].mend)
}

#[test]
fn on_every_system_it_comes_last_among_the_sessions_and_goes_again() {
    for (system, sshd, before) in SYSTEMS {
        let included = if system.starts_with("el") { EL } else { DEBIAN };
        let with = Machine { sshd, included }.place().unwrap();
        assert_eq!(with.before, None, "{system}");
        let lines: Vec<&str> = with.text.lines().collect();
        let at = lines.iter().position(|line| *line == LINE).unwrap();
        let last = lines[..at].iter().rfind(|line| !line.contains("postlogin")).unwrap();
        assert!(
            lines[at - 1].ends_with(before) || last.ends_with("password-auth"),
            "{system}: {}",
            lines[at - 1]
        );
        assert!(with.text.find("pam_selinux.so open").unwrap() < with.text.find(LINE).unwrap(), "{system}");
        // Nothing else has changed, and it can be told and undone.
        let changed = Machine { sshd: &with.text, included };
        let ours =
            Ours { place: format!("/etc/pam.d/sshd:{}", at + 1), options: vec!["token_wait=2s".into()] };
        assert_eq!(
            changed.judge(),
            Judgement { ours: Some(ours), faults: vec![], notes: vec![] },
            "{system}"
        );
        assert_eq!(changed.displace().unwrap(), sshd, "{system}");
    }
}

#[test]
fn what_ends_the_stack_in_an_included_file_is_told_and_the_line_stands_before_it() {
    let sshd = "session required pam_selinux.so close\nsession required pam_selinux.so open\n\
        session include password-auth\nsession include postlogin\n";
    let told = [
        (SSSD, "password-auth:2: where pam_unix.so succeeds, 'sufficient' ends the session stack before"),
        (WINBIND, "password-auth:2: where pam_winbind.so succeeds, '[success=done default=ignore]' ends"),
        (PBIS, "password-auth:2: where pam_lsass.so succeeds, 'sufficient' ends the session stack before"),
        (
            LAST_JUMPS,
            "password-auth:2: where pam_succeed_if.so succeeds, '[success=1 default=ignore]' jumps over pam",
        ),
    ];
    for (included, words) in told {
        let last = format!("{sshd}{LINE}\n");
        let faults = Machine { sshd: &last, included }.judge().faults;
        assert!(faults.len() == 1 && faults[0].weighs && faults[0].what.contains(words), "{faults:?}");
        let placed = Machine { sshd, included }.place().unwrap();
        let include = "session include password-auth\n";
        assert_eq!(placed.text, sshd.replace(include, &format!("{LINE}\n{include}")));
        assert!(placed.before.unwrap().contains(words));
        assert_eq!(Machine { sshd: &placed.text, included }.judge().faults, []);
    }
}

#[test]
fn a_substack_ends_alone() {
    let sshd = format!("session substack password-auth\n{LINE}\n");
    for included in [SSSD, WINBIND, PBIS] {
        assert_eq!(Machine { sshd: &sshd, included }.judge().faults, []);
    }
}

#[test]
fn a_line_that_can_stand_nowhere_is_refused_with_what_ends_the_stack() {
    // What the module builds upon is in the file that ends the stack.
    let included = &format!("-session optional pam_systemd.so\n{SSSD}");
    for (sshd, mend) in [
        (
            "session include password-auth\n",
            "write 'session substack' in /etc/pam.d/sshd:1 in the place of the include",
        ),
        (
            "auth required pam_x.so\n@include common-session\n",
            "write 'session substack' in /etc/pam.d/sshd:2",
        ),
    ] {
        let Err(UnfitPamFile::Ends(fault)) = (Machine { sshd, included }).place() else { panic!("{sshd}") };
        assert!(
            fault.what.contains(":3: where pam_unix.so succeeds") && fault.mend.starts_with(mend),
            "{fault:?}"
        );
    }
}

#[test]
fn what_ends_a_stack_of_ones_own_is_stepped_before_and_told() {
    for (sshd, at) in [
        (format!("{UNIX}session sufficient pam_x.so\n"), 2),
        (format!("session [success=done default=ignore] pam_x.so\n{UNIX}"), 1),
        (format!("{UNIX}session [success=1 default=ignore] pam_x.so\n"), 2),
        (format!("session [success=3 default=ignore] pam_x.so\n{UNIX}{UNIX}"), 1),
        (format!("{UNIX}session [default=die] pam_x.so\n"), 2),
        (format!("{UNIX}session requisite pam_deny.so\n"), 2),
    ] {
        let placed = alone(&sshd).place().unwrap();
        let line = placed.text.lines().position(|line| line == LINE).unwrap() + 1;
        assert_eq!(line, at, "{sshd}");
        assert!(placed.before.unwrap().starts_with(&format!("/etc/pam.d/sshd:{at}: ")), "{sshd}");
        let told = wrong(&format!("{sshd}{LINE}\n"));
        assert!(
            told.starts_with(&format!("/etc/pam.d/sshd:{at}: ")) && told.contains("pam_iam.so"),
            "{told}"
        );
    }
}

#[test]
fn what_does_not_end_the_stack_is_not_told() {
    for sshd in [
        format!("session [success=1 default=ignore] pam_x.so\n{UNIX}{LINE}\n"),
        format!("session [success=1 default=ignore] pam_x.so\nsession substack password-auth\n{LINE}\n"),
        // A sufficient one after a failure ends nothing.
        format!("session required pam_deny.so\nsession sufficient pam_x.so\n{LINE}\n"),
        format!("session [default=1] pam_permit.so\nsession [default=done] pam_permit.so\n{LINE}\n"),
    ] {
        assert_eq!(alone(&sshd).judge().faults, [], "{sshd}");
    }
    let note = alone(&format!("session requisite pam_x.so\n{LINE}\n")).judge();
    assert_eq!(note.faults, []);
    assert!(
        note.notes[0].starts_with("/etc/pam.d/sshd:1: where pam_x.so fails, 'requisite' ends"),
        "{note:?}"
    );
}

#[test]
fn a_line_that_others_count_is_not_taken_out() {
    let jump = "session [success=1 default=ignore] pam_succeed_if.so user ingroup local\n";
    // libpam fails every session whose jump ends behind the last line ("bad jump in stack").
    let counts = |sshd: &str| alone(sshd).displace();
    let refused = |line| Err(UnfitPamFile::Counts(format!("/etc/pam.d/sshd:{line}")));
    assert_eq!(counts(&format!("{UNIX}{jump}{LINE}\n")), refused(2));
    assert_eq!(counts(&format!("{jump}{LINE}\n{UNIX}")), refused(1));
    let two = jump.replace("success=1", "success=2");
    assert_eq!(counts(&format!("{two}session substack password-auth\n{LINE}\n")), refused(1));
    for text in [
        format!("{jump}{UNIX}{LINE}\n"),
        format!("{UNIX}{LINE}\n{jump}{UNIX}"),
        format!("{two}session include password-auth\n{LINE}\n"),
    ] {
        assert_eq!(counts(&text).unwrap(), text.replace(&format!("{LINE}\n"), ""));
    }
}

#[test]
fn a_line_of_another_type_that_others_count_is_not_taken_out() {
    let jump =
        "auth [success=2 default=ignore] pam_unix.so\nauth optional pam_iam.so\nauth requisite pam_deny.so\n";
    let text = format!("{jump}auth required pam_permit.so\n{UNIX}{LINE}\n");
    assert_eq!(alone(&text).displace(), Err(UnfitPamFile::Counts("/etc/pam.d/sshd:1".to_owned())));
    // As the second of them it is counted as well.
    let text = format!("session [success=2 default=ignore] pam_x.so\n{LINE}\n{UNIX}{LINE}\n");
    assert_eq!(alone(&text).displace(), Err(UnfitPamFile::Counts("/etc/pam.d/sshd:1".to_owned())));
}

#[test]
fn what_is_not_understood_is_refused() {
    for (sshd, refusal) in [
        (String::new(), UnfitPamFile::NoSessions),
        ("auth required pam_unix.so\n".into(), UnfitPamFile::NoSessions),
        (format!("{UNIX}session optional\n"), UnfitPamFile::Unreadable(Unreadable::Line(2))),
        (UNIX.replace('\n', "\r\n"), UnfitPamFile::Unreadable(Unreadable::CarriageReturn)),
    ] {
        assert_eq!(alone(&sshd).place(), Err(refusal), "{sshd:?}");
    }
    assert!(wrong(&format!("{UNIX}{LINE}\nauth nonsense\n")).contains("line 3 is not understood"));
}

#[test]
fn what_is_wrong_with_the_line_is_told() {
    assert!(wrong("session include password-auth\n").contains("has no session line"));
    assert!(wrong("# session optional pam_iam.so\n").contains("has no session line"));
    for control in ["required", "requisite", "sufficient", "[success=ok default=die]"] {
        let told = wrong(&format!("session {control} pam_iam.so\n"));
        assert!(told.contains(&format!("'{control}': a login fails where pam_iam.so does")), "{told}");
    }
    assert_eq!(alone("session Optional pam_iam.so\n").judge().faults, []);
    assert!(
        wrong(&format!("{LINE}\nsession include password-auth\n")).contains("before that of pam_systemd.so")
    );
    let shared =
        Machine { sshd: "@include\tcommon-session\n", included: &format!("{LINE}\n") }.judge().faults;
    assert!(shared[0].what.starts_with("/etc/pam.d/common-session:1: this file is shared"), "{shared:?}");
    assert!(wrong(&format!("{LINE}\n{LINE}\n")).contains("twice"));
    assert!(wrong(&format!("auth optional pam_iam.so\n{LINE}\n")).contains("of type auth"));
    assert!(wrong("session optional pam_iam.so services=login\n").contains("not among services="));
    for option in ["min_uid=0", "groups=", "services=sshd,,x"] {
        let told = wrong(&format!("session optional pam_iam.so {option}\n"));
        assert!(told.contains(option) && told.contains("nobody is served"), "{told}");
    }
    let ignored = alone("session optional pam_iam.so token_wait=99s\n").judge().faults;
    assert!(ignored.len() == 1 && !ignored[0].weighs, "{ignored:?}");
}
