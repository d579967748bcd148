//! A PAM service's file, line by line (pam.conf(5)), and the module's line put in and taken out. Pure.

use std::fmt;

pub(crate) const MODULE: &str = "pam_iam.so";

/// A file and its lines that say something.
#[derive(Debug)]
pub(crate) struct PamFile<'t> {
    text: &'t str,
    pub(crate) rules: Vec<Rule>,
}

/// A logical line: one that ends with a backslash goes on in the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Counted from 1.
    pub(crate) line: usize,
    /// The bytes of it, its last newline included.
    from: usize,
    to: usize,
    pub(crate) says: Says,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// `@include`: all lines of another file.
    IncludeAll(String),
    Line(Line),
    /// A line that libpam takes for a module that fails; its type and control, where they can be read.
    Unclear(Option<Type>, String),
}

impl Says {
    fn unclear() -> Self {
        Self::Unclear(None, String::new())
    }
}

/// `[-]TYPE CONTROL MODULE OPTIONS`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) kind: Type,
    /// As it is written, in its brackets.
    pub(crate) control: String,
    /// A file, for `include` and `substack`.
    pub(crate) module: String,
    pub(crate) options: Vec<String>,
}

impl Line {
    pub(crate) fn is_control(&self, name: &str) -> bool {
        self.control.eq_ignore_ascii_case(name)
    }

    pub(crate) fn is_module(&self, name: &str) -> bool {
        self.module.rsplit('/').next() == Some(name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Auth,
    Account,
    Password,
    Session,
}

impl Type {
    pub(crate) const ALL: [(Self, &'static str); 4] = [
        (Self::Auth, "auth"),
        (Self::Account, "account"),
        (Self::Password, "password"),
        (Self::Session, "session"),
    ];

    fn of(word: &str) -> Option<Self> {
        let word = word.strip_prefix('-').unwrap_or(word);
        Self::ALL.iter().find(|(_, name)| name.eq_ignore_ascii_case(word)).map(|(kind, _)| *kind)
    }
}

/// Why a file is not changed. A login that fails for a line in a wrong place is worse than one without a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// A line that no rule of pam.conf(5) is.
    Line(usize),
    /// Line ends of another system.
    CarriageReturn,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line} is not understood"),
            Self::CarriageReturn => write!(f, "its lines end with a carriage return"),
        }
    }
}

impl<'t> PamFile<'t> {
    pub(crate) fn parse(text: &'t str) -> Self {
        let mut rules = Vec::new();
        let (mut line, mut from) = (1, 0);
        while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
            let (length, logical) = logical(rest);
            if let Some(says) = logical.map_or(Some(Says::unclear()), |logical| says(&logical)) {
                rules.push(Rule { line, from, to: from + length, says });
            }
            line += rest.get(..length).unwrap_or_default().matches('\n').count();
            from += length;
        }
        Self { text, rules }
    }

    /// The first thing in it that is not understood.
    pub(crate) fn check(&self) -> Result<(), Unreadable> {
        if self.text.contains('\r') {
            return Err(Unreadable::CarriageReturn);
        }
        let unclear = self.rules.iter().find(|rule| matches!(rule.says, Says::Unclear(..)));
        unclear.map_or(Ok(()), |rule| Err(Unreadable::Line(rule.line)))
    }

    /// The text with `line` behind that rule.
    pub(crate) fn with_behind(&self, rule: &Rule, line: &str) -> String {
        self.with_at(rule.to, line)
    }

    /// The text with `line` in front of that rule.
    pub(crate) fn with_before(&self, rule: &Rule, line: &str) -> String {
        self.with_at(rule.from, line)
    }

    fn with_at(&self, at: usize, line: &str) -> String {
        let (before, after) = self.text.split_at_checked(at).unwrap_or((self.text, ""));
        let newline = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
        format!("{before}{newline}{line}\n{after}")
    }

    /// The text without the module's line.
    pub(crate) fn without_ours(&self) -> String {
        let mut text = self.text.to_owned();
        let is_ours = |rule: &&Rule| matches!(&rule.says, Says::Line(line) if line.is_module(MODULE));
        for rule in self.rules.iter().rev().filter(is_ours) {
            text.replace_range(rule.from..rule.to, "");
        }
        text
    }
}

/// The length of the first line with those that it goes on in, and its words without comment, as Linux-PAM's
/// _pam_assemble_line has it: white space behind the backslash counts for nothing, and a comment ends the line. No words
/// for one that goes on in nothing, which libpam does not read, or in an empty line or a comment, which it passes over.
fn logical(text: &str) -> (usize, Option<String>) {
    let mut length = 0;
    let mut words = String::new();
    for line in text.split_inclusive('\n') {
        let said = line.trim_matches([' ', '\t', '\n']);
        let is_empty = said.is_empty() || said.starts_with('#');
        if is_empty && length > 0 {
            return (length, None);
        }
        length += line.len();
        let (said, is_commented) = said.split_once('#').map_or((said, false), |(said, _)| (said, true));
        match said.strip_suffix('\\').filter(|_| !is_commented) {
            Some(said) => words.extend([said, " "]),
            None => {
                words.push_str(said);
                return (length, Some(words));
            }
        }
    }
    (length, None)
}

/// What a line says, if it is not empty.
fn says(logical: &str) -> Option<Says> {
    let (kind, rest) = word(logical)?;
    if kind == "@include" {
        return Some(word(rest).map_or(Says::unclear(), |(file, _)| Says::IncludeAll(file.to_owned())));
    }
    let Some(kind) = Type::of(kind) else { return Some(Says::unclear()) };
    let unclear = |control: &str| Some(Says::Unclear(Some(kind), control.to_owned()));
    let Some((control, rest)) = word(rest) else { return unclear("") };
    let Some((module, mut rest)) = word(rest) else { return unclear(control) };
    let is_known = control.starts_with('[')
        || ["required", "requisite", "sufficient", "optional", "include", "substack"]
            .iter()
            .any(|known| control.eq_ignore_ascii_case(known));
    if !is_known {
        return unclear("");
    }
    let mut options = Vec::new();
    while let Some((option, behind)) = word(rest) {
        options.push(option.to_owned());
        rest = behind;
    }
    Some(Says::Line(Line { kind, control: control.to_owned(), module: module.to_owned(), options }))
}

/// The next word, or all up to the closing bracket where it begins with one.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = match text.strip_prefix('[') {
        Some(inside) => {
            let bytes = inside.as_bytes();
            let closes = |at: &usize| {
                bytes.get(*at) == Some(&b']') && (*at == 0 || bytes.get(*at - 1) != Some(&b'\\'))
            };
            (0..bytes.len()).find(closes).map_or(text.len(), |at| at + 2)
        }
        None => text.find(char::is_whitespace).unwrap_or(text.len()),
    };
    (!text.is_empty()).then(|| text.split_at_checked(end))?
}

#[cfg(test)]
mod tests;
