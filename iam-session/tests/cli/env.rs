//! `env --shell-hook` and `env --alias`, as start-up files use them: no agent, and real shells.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::process::Command;

use nix::unistd::geteuid;

use crate::program::{Ended, PROGRAM, run};
use crate::scratch::Scratch;

/// A home, a runtime directory without any agent, and a directory of programs in which ours is `iam-session`.
struct Place(Scratch);

impl Place {
    fn new() -> Self {
        let place = Self(Scratch::new());
        for directory in ["home", "run/iam-session"] {
            DirBuilder::new().recursive(true).mode(0o700).create(place.0.join(directory)).unwrap();
        }
        place.program("iam-session", &format!("exec {PROGRAM} \"$@\""));
        place
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.0.write(&format!("bin/{name}"), format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn configure(&self, text: &str) {
        self.0.write("home/.config/iam-session/config.toml", text);
    }

    fn token_file(&self) -> String {
        self.0.join(format!("run/bt_u{}-iam", geteuid())).to_str().unwrap().to_owned()
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:/usr/bin:/bin", self.0.join("bin").display());
        command.args(arguments).env_clear().env("PATH", path).env("HOME", self.0.join("home"));
        command.env("IAM_SESSION_SOCK", self.0.join("run/iam-session/nobody.sock"));
        command
    }
}

/// Each shell, and how it takes what the program prints.
const SHELLS: [(&str, &[&str], &str); 5] = [
    ("bash", &["-O", "expand_aliases"], "eval \"$(iam-session env OPTIONS --shell bash)\""),
    ("zsh", &["-f"], "eval \"$(iam-session env OPTIONS --shell zsh)\""),
    ("dash", &["-eu"], "eval \"$(iam-session env OPTIONS --shell dash)\""),
    ("tcsh", &["-f"], "eval \"`iam-session env OPTIONS --shell tcsh`\""),
    ("fish", &["--no-config"], "iam-session env OPTIONS --shell fish | source"),
];
/// What programs see. Not the shell's own words, of which each has its own.
const SEEN: &str = "sh -c 'echo \"[${BEARER_TOKEN_FILE-}]\"'\n";

/// What `script` says in each shell that has taken what `options` print. Nothing goes to standard error.
fn in_each_shell(place: &Place, options: &str, script: &str, change: impl Fn(&mut Command)) -> Vec<String> {
    let run_in = |(shell, flags, eval): (&str, &[&str], &str)| {
        let file = place.0.join("script");
        fs::write(&file, format!("{}\n{script}", eval.replace("OPTIONS", options))).unwrap();
        let mut command = place.command(shell, &[flags, &[file.to_str().unwrap()]].concat());
        change(&mut command);
        let ended = run(command);
        assert_eq!((ended.stderr.as_str(), ended.code), ("", Some(0)), "{shell}: {}", ended.stdout);
        format!("{shell}: {}", ended.stdout)
    };
    SHELLS.into_iter().map(run_in).collect()
}

fn expect(said: &[String], expected: &str) {
    let all: Vec<String> = SHELLS.into_iter().map(|(shell, _, _)| format!("{shell}: {expected}")).collect();
    assert_eq!(said, all);
}

#[test]
fn a_new_shell_finds_a_token_that_is_there() {
    let place = Place::new();
    expect(&in_each_shell(&place, "--shell-hook", SEEN, |_| {}), "[]\n");
    fs::write(place.token_file(), "t\n").unwrap();
    expect(&in_each_shell(&place, "--shell-hook", SEEN, |_| {}), &format!("[{}]\n", place.token_file()));
    let own = |command: &mut Command| {
        command.env("BEARER_TOKEN_FILE", "/my/own");
    };
    expect(&in_each_shell(&place, "--shell-hook", SEEN, own), "[/my/own]\n");
    place.configure("export = \"no\"\n");
    expect(&in_each_shell(&place, "--shell-hook", SEEN, |_| {}), "[]\n");
}

#[test]
fn the_shell_that_enrols_finds_its_token_by_itself() {
    let place = Place::new();
    let file = place.token_file();
    place.program(
        "iam-session",
        &format!(
            "case $1 in env) exec {PROGRAM} \"$@\";; enroll) echo t >'{file}';; esac; \
             echo \"$@\" $IAM_SESSION_SHELL_HOOK"
        ),
    );
    let script = format!("iam-session enroll 'a b'\niam-session list\n{SEEN}");
    // No shell begins with the file of the one before.
    let said = in_each_shell(&place, "--shell-hook", &script, |_| {
        let _ = fs::remove_file(&file);
    });
    let all = SHELLS.map(|(shell, _, _)| {
        // It cannot, and 'enroll' prints what to type.
        let (told, seen) = if shell == "tcsh" { ("", "") } else { (" 1", file.as_str()) };
        format!("{shell}: enroll a b{told}\nlist\n[{seen}]\n")
    });
    assert_eq!(said, all);
}

#[test]
fn in_a_pipe_the_hook_changes_nothing() {
    let script =
        "iam-session run --no-token -- echo hi | wc -l\necho hi | iam-session run --no-token -- cat\n";
    expect(&in_each_shell(&Place::new(), "--shell-hook", script, |_| {}), "1\nhi\n");
}

/// Its completion goes by the name that an alias stands for.
#[test]
fn zsh_keeps_the_name_that_it_completes() {
    let place = Place::new();
    let script = "eval \"$(iam-session env --shell-hook --shell zsh)\"\n";
    place.0.write("script", script.repeat(2) + "whence -w iam-session\n");
    let ended = run(place.command("zsh", &["-f", place.0.join("script").to_str().unwrap()]));
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("iam-session: function\n", ""));
}

#[test]
fn what_ends_badly_ends_so_with_the_hook_too() {
    let place = Place::new();
    for (shell, flags, eval) in SHELLS {
        let eval = eval.replace("OPTIONS", "--shell-hook");
        let file = place.0.join("script");
        fs::write(&file, format!("{eval}\niam-session decode nothing\n")).unwrap();
        let ended = run(place.command(shell, &[flags, &[file.to_str().unwrap()]].concat()));
        let alone = run(place.command(PROGRAM, &["decode", "nothing"]));
        assert!(alone.code.is_some_and(|code| code > 0));
        assert_eq!(ended, alone, "{shell}");
    }
}

#[test]
fn a_program_that_is_named_runs_without_a_token() {
    let place = Place::new();
    place.configure("[programs]\nwithout_token = [\"rucio\", \"g++\"]\n");
    for name in ["rucio", "g++", "xrdcp"] {
        place.program(name, &format!("echo {name} \"$@\" ${{BEARER_TOKEN_FILE-none}}"));
    }
    let script = "rucio -x 'a  b'\ng++\nxrdcp\n";
    let set = |command: &mut Command| {
        command.env("BEARER_TOKEN_FILE", "/f");
    };
    let expected = "rucio -x a  b none\ng++ none\nxrdcp /f\n";
    expect(&in_each_shell(&place, "--alias", script, set), expected);
    // With both, as one line of a start-up file.
    expect(&in_each_shell(&place, "--shell-hook --alias", script, set), expected);
}

#[test]
fn a_mistake_spoils_no_shells_start() {
    let place = Place::new();
    for text in ["programs = 1", "[programs]\nwithout_token = [\"$(touch x)\"]"] {
        place.configure(text);
        let ended = run(place.command(PROGRAM, &["env", "--alias"]));
        assert_eq!(ended, Ended { stdout: String::new(), stderr: String::new(), code: Some(0) });
    }
    let mut bare = Command::new(PROGRAM);
    bare.args(["env", "--shell-hook", "--shell", "sh"]).env_clear();
    let ended = run(bare);
    assert_eq!((ended.stderr.as_str(), ended.code, ended.stdout.lines().count()), ("", Some(0), 1));
}
