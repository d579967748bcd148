//! Writes variables as the lines that a shell takes them from. Pure, but for `$SHELL`.

use std::env;
use std::ffi::OsStr;

use clap::ValueEnum;

/// A family of shells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShellSyntax {
    /// bash, dash, ksh, zsh
    #[default]
    #[value(aliases = ["bash", "dash", "ksh", "zsh"])]
    Sh,
    /// csh, tcsh
    #[value(alias = "tcsh")]
    Csh,
    /// fish
    Fish,
}

impl ShellSyntax {
    /// The one asked for, or the user's own.
    pub(crate) fn choose(asked: Option<Self>) -> Self {
        asked.unwrap_or_else(|| Self::of(env::var_os("SHELL").as_deref()))
    }

    fn of(path: Option<&OsStr>) -> Self {
        let path = path.unwrap_or_default().to_string_lossy();
        match path.rsplit('/').next().unwrap_or_default() {
            "fish" => Self::Fish,
            name if name.ends_with("csh") => Self::Csh,
            _ => Self::Sh,
        }
    }

    /// Lines that set and export variables. Each ends with a semicolon: csh hands them to eval in one line.
    pub(crate) fn export(self, variables: &[(&str, &str)]) -> String {
        let line = |(name, value): &(&str, &str)| match self {
            Self::Sh => format!("{name}={}; export {name};\n", quoted(value)),
            Self::Csh => format!("setenv {name} {};\n", escaped(value)),
            Self::Fish => format!("set -gx {name} {};\n", fish_quoted(value)),
        };
        variables.iter().map(line).collect()
    }

    /// Lines that forget variables.
    pub(crate) fn unset(self, names: &[&str]) -> String {
        let line = |name: &&str| match self {
            Self::Sh => format!("unset {name};\n"),
            Self::Csh => format!("unsetenv {name};\n"),
            Self::Fish => format!("set -e {name};\n"),
        };
        names.iter().map(line).collect()
    }
}

impl ShellSyntax {
    /// What a person types to have this shell take the lines of `command`.
    pub(crate) fn eval(self, command: &str) -> String {
        match self {
            Self::Sh => format!("eval \"$({command})\""),
            Self::Csh => format!("eval \"`{command}`\""),
            Self::Fish => format!("{command} | source"),
        }
    }

    /// What a person types to set a variable, whose value is a plain path.
    pub(crate) fn set(self, name: &str, value: &str) -> String {
        match self {
            Self::Sh => format!("export {name}={value}"),
            Self::Csh => format!("setenv {name} {value}"),
            Self::Fish => format!("set -gx {name} {value}"),
        }
    }

    /// What a person types to forget variables.
    pub(crate) fn forget(self, names: &[&str]) -> String {
        match self {
            Self::Sh => format!("unset {}", names.join(" ")),
            Self::Csh => format!("unsetenv {}", names.join("; unsetenv ")),
            Self::Fish => format!("set -e {}", names.join(" ")),
        }
    }

    /// A line by which `name` stands for `command`. Neither holds a quote.
    pub(crate) fn alias(self, name: &str, command: &str) -> String {
        match self {
            Self::Sh => format!("alias {name}='{command}';\n"),
            Self::Csh | Self::Fish => format!("alias {name} '{command}';\n"),
        }
    }

    /// A line that has this shell take its variables after each enrolment, which `ENV_SHELL_HOOK` tells. csh has none: it has no functions, and puts
    /// an alias of two commands into a pipe with one of them. zsh completes by what an alias stands for, and so has a
    /// function of our name, which dash could not even read.
    pub(crate) fn after_enrolling(self) -> &'static str {
        match self {
            Self::Sh => concat!(
                "_iam_session() { case \"${1-}\" in enroll|login|reenroll) ",
                "IAM_SESSION_SHELL_HOOK=1 command iam-session \"$@\" || return; ",
                "eval \"$(command iam-session env --shell-hook --shell sh)\";; ",
                "*) command iam-session \"$@\";; esac; }; ",
                "if [ -n \"${ZSH_VERSION-}\" ]; then eval 'iam-session() { _iam_session \"$@\"; }'; ",
                "else alias iam-session=_iam_session; fi;\n"
            ),
            Self::Csh => "",
            Self::Fish => concat!(
                "function iam-session; if contains -- \"$argv[1]\" enroll login reenroll; ",
                "env IAM_SESSION_SHELL_HOOK=1 iam-session $argv; or return; ",
                "command iam-session env --shell-hook --shell fish | source; true; ",
                "else; command iam-session $argv; end; end;\n"
            ),
        }
    }
}

/// In single quotes nothing means anything but the quote itself.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// In csh's quotes `!` still means something; behind a backslash nothing does.
fn escaped(text: &str) -> String {
    let escape =
        |c: char| if c.is_ascii_alphanumeric() || "/._-".contains(c) { vec![c] } else { vec!['\\', c] };
    text.chars().flat_map(escape).collect()
}

/// In fish's single quotes the backslash escapes itself and the quote.
fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_shell_is_the_default() {
        for (path, shell) in [
            ("/bin/bash", ShellSyntax::Sh),
            ("/usr/bin/tcsh", ShellSyntax::Csh),
            ("/bin/csh", ShellSyntax::Csh),
            ("/usr/bin/fish", ShellSyntax::Fish),
            ("/opt/csh/zsh", ShellSyntax::Sh),
            ("", ShellSyntax::Sh),
        ] {
            assert_eq!(ShellSyntax::of(Some(OsStr::new(path))), shell, "{path}");
        }
        assert_eq!(ShellSyntax::of(None), ShellSyntax::Sh);
    }

    #[test]
    fn every_shell_can_be_named() {
        for (name, shell) in [
            ("bash", ShellSyntax::Sh),
            ("zsh", ShellSyntax::Sh),
            ("sh", ShellSyntax::Sh),
            ("tcsh", ShellSyntax::Csh),
            ("fish", ShellSyntax::Fish),
        ] {
            assert_eq!(ShellSyntax::from_str(name, false), Ok(shell), "{name}");
        }
    }

    #[test]
    fn each_shell_gets_its_own_words() {
        let export = |shell: ShellSyntax| shell.export(&[("A", "/x y/it's"), ("B", "1")]);
        assert_eq!(export(ShellSyntax::Sh), "A='/x y/it'\\''s'; export A;\nB='1'; export B;\n");
        assert_eq!(export(ShellSyntax::Csh), "setenv A /x\\ y/it\\'s;\nsetenv B 1;\n");
        assert_eq!(export(ShellSyntax::Fish), "set -gx A '/x y/it\\'s';\nset -gx B '1';\n");
        assert_eq!(ShellSyntax::Sh.unset(&["A", "B"]), "unset A;\nunset B;\n");
        assert_eq!(ShellSyntax::Csh.unset(&["A"]), "unsetenv A;\n");
        assert_eq!(ShellSyntax::Fish.unset(&["A"]), "set -e A;\n");
        let forget = |shell: ShellSyntax| shell.forget(&["A", "B"]);
        assert_eq!(forget(ShellSyntax::Sh), "unset A B");
        assert_eq!(forget(ShellSyntax::Csh), "unsetenv A; unsetenv B");
        assert_eq!(forget(ShellSyntax::Fish), "set -e A B");
    }

    #[test]
    fn nothing_in_a_value_is_a_command() {
        let evil = "$(x)`x`;x\\'\"!*{~";
        assert_eq!(quoted(evil), "'$(x)`x`;x\\'\\''\"!*{~'");
        assert_eq!(escaped(evil), "\\$\\(x\\)\\`x\\`\\;x\\\\\\'\\\"\\!\\*\\{\\~");
        assert_eq!(fish_quoted(evil), "'$(x)`x`;x\\\\\\'\"!*{~'");
    }
}
