//! How files become a stack. How a stack runs is compared with libpam itself by the tests of the whole system.

use super::*;
use crate::scratch::Scratch;

/// Module and level of each step of sshd's sessions, and what is reached.
fn stack(files: &[(&str, &str)]) -> Stack {
    let read = |name: &str| {
        let found = files.iter().find(|(known, _)| *known == name);
        found.map(|(name, text)| (name.into(), (*text).to_owned())).ok_or(ErrorKind::NotFound.into())
    };
    Stack::of("sshd", Type::Session, &read).unwrap()
}

fn shown(stack: &Stack) -> Vec<String> {
    let module = |step: &Step| step.module().map_or("-", |line| &line.module).to_owned();
    stack.steps.iter().map(|step| format!("{} {} {}", step.place(), step.level, module(step))).collect()
}

#[test]
fn included_lines_stand_in_their_places() {
    let files = [
        ("sshd", "@include\ta\nsession substack b\nsession include c\nsession optional pam_iam.so\n"),
        ("a", "auth required pam_a.so\n@include b\n"),
        ("b", "-Session required pam_b.so\naccount include c\n"),
        ("c", "session include b\n@include b\nsession required \\\n pam_c.so\nnonsense\n"),
    ];
    let expected = [
        "b:1 0 pam_b.so",
        "sshd:2 0 -",
        "b:1 1 pam_b.so",
        "b:1 0 pam_b.so",
        "b:1 0 pam_b.so",
        "c:3 0 pam_c.so",
        "c:5 0 -",
        "sshd:4 0 pam_iam.so",
    ];
    let stack = stack(&files);
    assert_eq!(shown(&stack), expected);
    assert_eq!(stack.steps.iter().map(|step| step.by).collect::<Vec<_>>(), [1, 2, 2, 3, 3, 3, 3, 4]);
}

#[test]
fn a_service_without_sessions_has_those_of_other() {
    let other = ("other", "session required pam_o.so\n");
    assert_eq!(shown(&stack(&[("sshd", "auth required pam_a.so\n"), other])), ["other:1 0 pam_o.so"]);
    assert_eq!(shown(&stack(&[("sshd", "session required pam_a.so\n"), other])), ["sshd:1 0 pam_a.so"]);
    assert!(Stack::of("sshd", Type::Session, &|_| Err(ErrorKind::NotFound.into())).is_err());
}

#[test]
fn a_comment_in_another_encoding_hides_no_line() {
    let scratch = Scratch::new();
    let text = text(&scratch.write("sshd", b"# gr\xfc\xdfe\nsession sufficient pam_a.so\n")).unwrap();
    assert_eq!(shown(&stack(&[("sshd", &text)])), ["sshd:2 0 pam_a.so"]);
}

#[test]
fn files_that_include_each_other_come_to_an_end() {
    let files = [("sshd", "session include sshd\nsession optional pam_x.so\n")];
    assert_eq!(stack(&files).steps.len(), MAX_DEPTH + 1);
}

#[test]
fn controls_mean_what_they_say() {
    let control = Control::parse("[success = ok new_authtok_reqd=done\tuser_unknown=2 default=die]");
    assert_eq!(control.on("success"), Action::Ok);
    assert_eq!(control.on("user_unknown"), Action::Jump(2));
    assert_eq!(control.on("session_err"), Action::Die);
    // What comes behind a mistake is bad, and so is what is not named.
    let wrong = Control::parse("[success=done session_err=0 default=ignore]");
    assert_eq!((wrong.on("success"), wrong.on("session_err")), (Action::Done, Action::Bad));
    assert_eq!(Control::parse("Requisite").on("session_err"), Action::Die);
}
