//! The session lines of a PAM service's file (pam.conf(5)), and our line among them. Pure; touches nothing.
//!
//! A file that is not understood is refused. A login that fails because our line is in a wrong place is worse than one
//! without a token.

use std::fmt;

use crate::text::printable;

pub(crate) const MODULE: &str = "pam_iam.so";
const CONTROL: &str = "optional";
/// These hold no session lines on Debian, where `@include` is of whole files.
const NO_SESSIONS: [&str; 3] = ["common-auth", "common-account", "common-password"];

/// A file, line by line.
#[derive(Debug)]
pub(crate) struct PamFile<'t> {
    text: &'t str,
    /// Where each line of sessions ends, and what it says.
    rules: Vec<Rule<'t>>,
}

/// A logical line: one that ends with a backslash goes on in the next.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule<'t> {
    /// Counted from 1.
    line: usize,
    /// The bytes of it, its last newline included.
    from: usize,
    to: usize,
    kind: Kind<'t>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind<'t> {
    /// Another service's sessions, by `include`, `substack` or `@include`.
    Included,
    Module {
        control: String,
        module: &'t str,
        options: Vec<&'t str>,
    },
}

/// Where our line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    /// Counted from 1.
    pub(crate) line: usize,
    control: String,
    pub(crate) options: Vec<String>,
}

impl Ours {
    /// What is wrong with its control: anything but this one lets an error of the module keep everybody out.
    pub(crate) fn mistake(&self) -> Option<String> {
        let control = printable(&self.control);
        (!self.control.eq_ignore_ascii_case(CONTROL)).then(|| {
            format!("the line is '{control}': a login fails where {MODULE} does; accepted: {CONTROL}")
        })
    }
}

/// Why a file is not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A line that no rule of pam.conf(5) is.
    Unclear(usize),
    /// Line ends of another system.
    CarriageReturn,
    /// Nothing to put ours behind.
    NoSessions,
    /// The module stands in it more than once, or for something else than sessions.
    Ours(usize),
    /// A line that may leave out what stands behind it.
    Skips(usize),
    /// A line that counts ours among those it skips.
    Counts(usize),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclear(line) => write!(f, "line {line} is not understood"),
            Self::CarriageReturn => write!(f, "its lines end with a carriage return"),
            Self::NoSessions => write!(f, "it has no session line"),
            Self::Ours(line) => write!(f, "line {line} names {MODULE} once too often, or not for 'session'"),
            Self::Skips(line) => write!(f, "line {line} may end or skip the session lines behind it"),
            Self::Counts(line) => write!(f, "line {line} counts {MODULE} among those that it skips"),
        }
    }
}

impl<'t> PamFile<'t> {
    pub(crate) fn parse(text: &'t str) -> Result<Self, Refusal> {
        if text.contains('\r') {
            return Err(Refusal::CarriageReturn);
        }
        let mut rules = Vec::new();
        let mut line = 1;
        let mut from = 0;
        while from < text.len() {
            let rest = text.get(from..).unwrap_or_default();
            let length = logical(rest).ok_or(Refusal::Unclear(line))?;
            let logical = rest.get(..length).unwrap_or_default();
            if let Some(kind) = kind(logical, line)? {
                rules.push(Rule { line, from, to: from + length, kind });
            }
            line += logical.matches('\n').count();
            from += length;
        }
        Ok(Self { text, rules })
    }

    /// The line of ours, if there is one.
    pub(crate) fn ours(&self) -> Result<Option<Ours>, Refusal> {
        let mut found = None;
        for rule in self.rules.iter().filter(|rule| rule.is_ours()) {
            if found.is_some() {
                return Err(Refusal::Ours(rule.line));
            }
            if let Kind::Module { control, options, .. } = &rule.kind {
                let options = options.iter().map(|option| (*option).to_owned()).collect();
                found = Some(Ours { line: rule.line, control: control.clone(), options });
            }
        }
        Ok(found)
    }

    /// The text with `line` behind the last session line. There it runs in the user's context, and with what
    /// pam_systemd has set.
    pub(crate) fn with(&self, line: &str) -> Result<String, Refusal> {
        let last = self.rules.last().ok_or(Refusal::NoSessions)?;
        if let Some(skips) = self.rules.iter().enumerate().find(|(at, rule)| self.skips_the_end(*at, rule)) {
            return Err(Refusal::Skips(skips.1.line));
        }
        let (before, after) = self.text.split_at_checked(last.to).ok_or(Refusal::NoSessions)?;
        let newline = if before.ends_with('\n') { "" } else { "\n" };
        Ok(format!("{before}{newline}{line}\n{after}"))
    }

    /// The text without our line.
    pub(crate) fn without(&self) -> Result<String, Refusal> {
        let counts = self.rules.iter().enumerate().find(|(at, rule)| self.counts_ours(*at, rule));
        if let Some((_, rule)) = counts {
            return Err(Refusal::Counts(rule.line));
        }
        let mut text = self.text.to_owned();
        for rule in self.rules.iter().rev().filter(|rule| rule.is_ours()) {
            text.replace_range(rule.from..rule.to, "");
        }
        Ok(text)
    }

    /// Whether this line jumps over ours. Without it the jump would skip another line, or end behind the last one: then
    /// libpam fails the session.
    fn counts_ours(&self, at: usize, rule: &Rule<'_>) -> bool {
        let Kind::Module { control, .. } = &rule.kind else { return false };
        let behind = self.rules.get(at + 1..).unwrap_or_default();
        let Some(ours) = behind.iter().position(Rule::is_ours) else { return false };
        // How many modules an included file has is not known here, so that one in front of ours makes it no farther.
        let modules = behind.iter().take(ours).filter(|rule| rule.kind != Kind::Included).count();
        actions(control)
            .into_iter()
            .filter_map(|action| action.parse::<usize>().ok())
            .any(|jump| jump > modules)
    }

    /// Whether what follows the last line may not be reached because of this one.
    fn skips_the_end(&self, at: usize, rule: &Rule<'_>) -> bool {
        let Kind::Module { control, .. } = &rule.kind else { return false };
        let behind = self.rules.get(at + 1..).unwrap_or_default();
        actions(control).into_iter().any(|action| match action.parse::<usize>() {
            // How many modules an included file has is not known here.
            Ok(jump) => {
                jump > 0
                    && (jump > behind.len()
                        || behind.iter().take(jump).any(|rule| rule.kind == Kind::Included))
            }
            Err(_) => action == "done",
        })
    }
}

impl Rule<'_> {
    fn is_ours(&self) -> bool {
        matches!(&self.kind, Kind::Module { module, .. } if is_ours(module))
    }
}

fn is_ours(module: &str) -> bool {
    module.rsplit('/').next() == Some(MODULE)
}

/// What a control does at the end of the stack: the words behind each `=`, or what a simple one stands for.
fn actions(control: &str) -> Vec<&str> {
    match control.strip_prefix('[') {
        Some(list) => {
            let values = list.trim_end_matches(']').split_whitespace();
            values.filter_map(|value| value.split_once('=')).map(|(_, action)| action).collect()
        }
        None if control.eq_ignore_ascii_case("sufficient") => vec!["done"],
        None => Vec::new(),
    }
}

/// The length of the first line, with those that it goes on in, as Linux-PAM's _pam_assemble_line has it: white space
/// behind the backslash counts for nothing, and a comment ends the line. `None` for one that goes on in nothing, which
/// libpam does not read, or in an empty line or a comment, which it passes over.
fn logical(text: &str) -> Option<usize> {
    let mut length = 0;
    for line in text.split_inclusive('\n') {
        let said = line.trim_matches([' ', '\t', '\n']);
        let is_empty = said.is_empty() || said.starts_with('#');
        if is_empty && length > 0 {
            return None;
        }
        length += line.len();
        if is_empty || said.contains('#') || !said.ends_with('\\') {
            return Some(length);
        }
    }
    None
}

/// What a line says of sessions, if it does.
fn kind(logical: &str, line: usize) -> Result<Option<Kind<'_>>, Refusal> {
    let text = logical.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    if let Some(included) = text.strip_prefix("@include") {
        let name = included.split('#').next().unwrap_or_default().trim();
        return Ok((!NO_SESSIONS.contains(&name)).then_some(Kind::Included));
    }
    let (group, rest) = word(text).ok_or(Refusal::Unclear(line))?;
    let group = group.trim_start_matches('-');
    let (control, rest) = control(rest).ok_or(Refusal::Unclear(line))?;
    let mut words = rest.split(|c: char| c.is_whitespace() || c == '\\').filter(|word| !word.is_empty());
    let module = words.next().ok_or(Refusal::Unclear(line))?;
    let is_session = group.eq_ignore_ascii_case("session");
    if !is_session && !["auth", "account", "password"].iter().any(|known| group.eq_ignore_ascii_case(known)) {
        return Err(Refusal::Unclear(line));
    }
    if is_ours(module) && !is_session {
        return Err(Refusal::Ours(line));
    }
    if !is_session {
        return Ok(None);
    }
    if ["include", "substack"].iter().any(|known| control.eq_ignore_ascii_case(known)) {
        return Ok(Some(Kind::Included));
    }
    let options = words.take_while(|word| !word.starts_with('#')).collect();
    Ok(Some(Kind::Module { control: control.to_owned(), module, options }))
}

fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    text.split_once(char::is_whitespace)
}

/// A word, or values in brackets.
fn control(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\\');
    if text.starts_with('[') {
        let end = text.find(']')? + 1;
        return text.split_at_checked(end);
    }
    let (control, rest) = word(text)?;
    let known = ["required", "requisite", "sufficient", "optional", "include", "substack"];
    known.iter().any(|known| control.eq_ignore_ascii_case(known)).then_some((control, rest))
}

#[cfg(test)]
mod tests;
