//! Lines as libpam reads them, and a line that is put among them.

use super::*;

const LINE: &str = "-session optional pam_iam.so token_wait=2s";
const UNIX: &str = "session required pam_unix.so\n";

fn rules(text: &str) -> Vec<(usize, Says)> {
    PamFile::parse(text).rules.into_iter().map(|rule| (rule.line, rule.says)).collect()
}

fn line(control: &str, module: &str, options: &[&str]) -> Says {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    Says::Line(Line { kind: Type::Session, control: control.into(), module: module.into(), options })
}

fn check(text: &str) -> Result<(), Unreadable> {
    PamFile::parse(text).check()
}

#[test]
fn words_are_told_apart_as_libpam_does() {
    for text in [
        "session optional pam_x.so a b",
        "-SESSION\toptional  pam_x.so\ta b # c",
        " session optional pam_x.so a b#c",
    ] {
        assert_eq!(rules(text), [(1, line("optional", "pam_x.so", &["a", "b"]))], "{text}");
    }
    let bracketed = r"session [success=1  default=ignore]pam_x.so [a = \] b] c";
    assert_eq!(
        rules(bracketed),
        [(1, line("[success=1  default=ignore]", "pam_x.so", &[r"[a = \] b]", "c"]))]
    );
    for include in ["@include x", "@include\tx", "  @include \t x # y"] {
        assert_eq!(rules(include), [(1, Says::IncludeAll("x".into()))], "{include}");
    }
    assert_eq!(rules("\n# session optional pam_x.so\\\n\n"), []);
}

#[test]
fn a_line_goes_on_where_libpam_says_so() {
    let long = "session required pam_unix.so \\ \t\n  debug\n";
    assert_eq!(rules(long), [(1, line("required", "pam_unix.so", &["debug"]))]);
    let ours = "session optional \\\n /lib/security/pam_iam.so \\\n min_uid=500 # x\n";
    let text = format!("{UNIX}{ours}");
    assert_eq!(rules(&text)[1], (2, line("optional", "/lib/security/pam_iam.so", &["min_uid=500"])));
    assert_eq!(PamFile::parse(&text).without_ours(), UNIX);
    let commented = "session required pam_unix.so # not \\\nsession sufficient pam_x.so\n";
    assert_eq!(rules(commented)[1], (2, line("sufficient", "pam_x.so", &[])));
    // Ours behind it would be an argument of it.
    for open in ["session required pam_unix.so \\\n", "session required pam_unix.so \\\n# more\n debug\n"] {
        assert_eq!(check(open), Err(Unreadable::Line(1)), "{open:?}");
    }
}

#[test]
fn what_is_not_understood_is_told() {
    for (text, refusal) in [
        ("session optional\n", Unreadable::Line(2)),
        ("sessions optional pam_x.so\n", Unreadable::Line(2)),
        ("session maybe pam_x.so\n", Unreadable::Line(2)),
        ("session [success=1 pam_x.so\n", Unreadable::Line(2)),
        ("@include\n", Unreadable::Line(2)),
        ("auth optional pam_x.so\r\n", Unreadable::CarriageReturn),
    ] {
        assert_eq!(check(&format!("{UNIX}{text}")), Err(refusal), "{text:?}");
    }
    assert_eq!(check(UNIX), Ok(()));
}

#[test]
fn a_file_without_a_last_newline_gets_one() {
    let file = PamFile::parse(UNIX.trim_end());
    assert_eq!(file.with_behind(&file.rules[0], LINE), format!("{UNIX}{LINE}\n"));
    assert_eq!(file.with_before(&file.rules[0], LINE), format!("{LINE}\n{}", UNIX.trim_end()));
}

#[test]
fn what_is_commented_out_is_not_there() {
    let text = "# session optional pam_iam.so\\\nsession required pam_unix.so # pam_iam.so\n";
    assert_eq!(PamFile::parse(text).without_ours(), text);
}
