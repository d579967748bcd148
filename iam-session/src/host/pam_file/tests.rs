//! Tests on the files of real systems, and on files that must not be changed.

use super::*;

const LINE: &str = "-session optional pam_iam.so token_wait=2s";
/// As the packages install them: EL 7, 8, 9; Debian 11, 12, 13.
const FILES: [(&str, &str, &str); 6] = [
    ("el7", include_str!("el7.sshd"), "pam_reauthorize.so prepare"),
    ("el8", include_str!("el8.sshd"), "postlogin"),
    ("el9", include_str!("el9.sshd"), "postlogin"),
    ("debian11", include_str!("debian11.sshd"), "pam_selinux.so open"),
    ("debian12", include_str!("debian12.sshd"), "pam_selinux.so open"),
    ("debian13", include_str!("debian13.sshd"), "pam_selinux.so open"),
];

fn with(text: &str) -> Result<String, Refusal> {
    PamFile::parse(text)?.with(LINE)
}

#[test]
fn on_every_system_it_comes_last_among_the_sessions_and_goes_again() {
    for (system, text, before) in FILES {
        let file = PamFile::parse(text).unwrap();
        assert_eq!(file.ours(), Ok(None), "{system}");
        let with = file.with(LINE).unwrap();
        let lines: Vec<&str> = with.lines().collect();
        let at = lines.iter().position(|line| *line == LINE).unwrap();
        assert!(lines[at - 1].ends_with(before), "{system}: {}", lines[at - 1]);
        let is_session = |line: &&str| {
            line.trim_start_matches('-').starts_with("session") || line.ends_with("common-session")
        };
        assert!(!lines[at + 1..].iter().any(is_session), "{system}");
        assert!(with.find("pam_selinux.so open").unwrap() < with.find(LINE).unwrap(), "{system}");
        // Nothing else has changed, and it can be told and undone.
        let with = PamFile::parse(&with).unwrap();
        let options = vec!["token_wait=2s".to_owned()];
        assert_eq!(
            with.ours(),
            Ok(Some(Ours { line: at + 1, control: "optional".into(), options })),
            "{system}"
        );
        assert_eq!(with.without().unwrap(), text, "{system}");
    }
}

#[test]
fn a_file_without_a_last_newline_gets_one() {
    assert_eq!(
        with("session required pam_unix.so").unwrap(),
        format!("session required pam_unix.so\n{LINE}\n")
    );
}

#[test]
fn a_line_that_goes_on_is_one_line() {
    let text = "session required pam_unix.so \\\n  debug\n\nauth required pam_unix.so\n";
    let with = with(text).unwrap();
    assert_eq!(
        with,
        format!("session required pam_unix.so \\\n  debug\n{LINE}\n\nauth required pam_unix.so\n")
    );
    let ours =
        "session required pam_unix.so\nsession optional \\\n /lib/security/pam_iam.so \\\n min_uid=500 # x\n";
    let file = PamFile::parse(ours).unwrap();
    assert_eq!(
        file.ours().unwrap().unwrap(),
        Ours { line: 2, control: "optional".into(), options: vec!["min_uid=500".into()] }
    );
    assert_eq!(file.without().unwrap(), "session required pam_unix.so\n");
}

#[test]
fn what_is_commented_out_is_not_there() {
    let text = "# session optional pam_iam.so\\\nsession required pam_unix.so # pam_iam.so\n";
    let file = PamFile::parse(text).unwrap();
    assert_eq!((file.ours(), file.without().as_deref()), (Ok(None), Ok(text)));
}

#[test]
fn a_line_goes_on_where_libpam_says_so() {
    let long = "session required pam_unix.so \\ \t\n  debug\n";
    assert_eq!(with(long).unwrap(), format!("{long}{LINE}\n"));
    let commented = "session required pam_unix.so # not \\\nsession sufficient pam_x.so\n";
    assert_eq!(with(commented), Err(Refusal::Skips(2)));
    // Ours behind it would be an argument of it.
    for open in ["session required pam_unix.so \\\n", "session required pam_unix.so \\\n# more\n debug\n"] {
        assert_eq!(with(open), Err(Refusal::Unclear(1)), "{open:?}");
    }
}

#[test]
fn a_line_that_others_count_is_not_taken_out() {
    let unix = "session required pam_unix.so\n";
    let without = |text: &str| PamFile::parse(text).unwrap().without();
    let jump = "session [success=1 default=ignore] pam_succeed_if.so user ingroup local\n";
    // libpam fails every session whose jump ends behind the last line ("bad jump in stack").
    assert_eq!(without(&format!("{unix}{jump}{LINE}\n")), Err(Refusal::Counts(2)));
    assert_eq!(without(&format!("{jump}{LINE}\n{unix}")), Err(Refusal::Counts(1)));
    let included = jump.replace("success=1", "success=2");
    assert_eq!(without(&format!("{included}@include common-session\n{LINE}\n")), Err(Refusal::Counts(1)));
    for text in [format!("{jump}{unix}{LINE}\n"), format!("{unix}{LINE}\n{jump}{unix}")] {
        assert_eq!(without(&text).unwrap(), text.replace(&format!("{LINE}\n"), ""));
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    let unix = "session required pam_unix.so\n";
    for (text, refusal) in [
        (String::new(), Refusal::NoSessions),
        ("auth required pam_unix.so\n".into(), Refusal::NoSessions),
        (format!("{unix}session optional\n"), Refusal::Unclear(2)),
        (format!("{unix}sessions optional pam_x.so\n"), Refusal::Unclear(2)),
        (format!("{unix}session maybe pam_x.so\n"), Refusal::Unclear(2)),
        (format!("{unix}session [success=1 pam_x.so\n"), Refusal::Unclear(2)),
        (unix.replace('\n', "\r\n"), Refusal::CarriageReturn),
        (format!("auth optional pam_iam.so\n{unix}"), Refusal::Ours(1)),
        (format!("{unix}session sufficient pam_x.so\n"), Refusal::Skips(2)),
        (format!("session [success=done default=ignore] pam_x.so\n{unix}"), Refusal::Skips(1)),
        (format!("{unix}session [success=1 default=ignore] pam_x.so\n"), Refusal::Skips(2)),
        (format!("session [success=2 default=ignore] pam_x.so\n{unix}"), Refusal::Skips(1)),
        (
            format!("session [success=1 default=ignore] pam_x.so\n@include common-session\n{unix}"),
            Refusal::Skips(1),
        ),
    ] {
        assert_eq!(with(&text), Err(refusal), "{text:?}");
    }
    let jump = format!("session [success=1 default=ignore] pam_x.so\n{unix}");
    assert!(with(&jump).unwrap().ends_with(&format!("{unix}{LINE}\n")));
    let twice = format!("{unix}{LINE}\n{LINE}\n");
    assert_eq!(PamFile::parse(&twice).unwrap().ours(), Err(Refusal::Ours(3)));
}

#[test]
fn a_control_by_which_the_module_can_keep_everybody_out_is_a_mistake() {
    let mistake = |control: &str| {
        let text = format!("session {control} pam_iam.so\n");
        PamFile::parse(&text).unwrap().ours().unwrap().unwrap().mistake()
    };
    assert_eq!((mistake("optional"), mistake("Optional")), (None, None));
    for control in ["required", "requisite", "sufficient", "[success=ok default=die]"] {
        assert!(mistake(control).is_some_and(|told| told.contains(control)), "{control}");
    }
}
