//! What is wrong with the module's line in a PAM service's session stack, and where a new one belongs. Pure but for the
//! function that it is given to read files by.

use std::io;

use super::pam_file::{MODULE, PamFile, Type, Unreadable};
use super::pam_line::{self, Mistake};
use super::pam_stack::{Files, Stack, StackEnding, Step};

const CONTROL: &str = "optional";
/// What these do at a login, the module builds upon: the directory, the label, the home.
const BEFORE: [&str; 7] = [
    "pam_systemd.so",
    "pam_elogind.so",
    "pam_selinux.so",
    "pam_mount.so",
    "pam_namespace.so",
    "pam_afs_session.so",
    "pam_mkhomedir.so",
];

/// The module's line, and what is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) ours: Option<Ours>,
    pub(crate) faults: Vec<Fault>,
    /// What holds where a session fails, and is as it should be.
    pub(crate) notes: Vec<String>,
}

/// The line that counts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    /// File and line.
    pub(crate) place: String,
    pub(crate) options: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) what: String,
    /// What the administrator does about it; empty where `what` says it.
    pub(crate) mend: String,
    /// Whether it keeps users without agents, or out.
    pub(crate) weighs: bool,
}

impl Fault {
    fn wrong(what: String, mend: &str) -> Self {
        Self { what, mend: mend.to_owned(), weighs: true }
    }
}

/// Fails where the service's file cannot be read.
pub(crate) fn judge(service: &str, files: &Files<'_>) -> io::Result<Judgement> {
    let mut faults = Vec::new();
    let (path, text) = files(service)?;
    if let Err(why) = PamFile::parse(&text).check() {
        faults.push(Fault::wrong(format!("{}: {why}", path.display()), "correct it"));
    }
    for (kind, name) in Type::ALL.into_iter().filter(|(kind, _)| *kind != Type::Session) {
        for step in Stack::of(service, kind, files)?.steps.iter().filter(|step| step.is_module(MODULE)) {
            let what = format!("{}: {MODULE} does nothing as a line of type {name}", step.place());
            faults.push(Fault::wrong(what, "remove that line"));
        }
    }
    let stack = Stack::of(service, Type::Session, files)?;
    let mut found = stack.steps.iter().enumerate().filter(|(_, step)| step.is_module(MODULE));
    let Some((at, step)) = found.next() else {
        let what = format!("{} has no session line with {MODULE}: logins start no agent", path.display());
        faults.push(Fault::wrong(what, "'iam-session-admin enable' adds it"));
        return Ok(Judgement { ours: None, faults, notes: Vec::new() });
    };
    let place = step.place();
    if let Some((_, again)) = found.next() {
        let what = format!("{MODULE} stands twice, {place} and {}", again.place());
        faults.push(Fault::wrong(what, "remove one of the lines"));
    }
    if step.file != path {
        let what = format!("{place}: this file is shared with cron, su and others");
        let mend =
            format!("remove the line there, then run 'iam-session-admin enable' for {}", path.display());
        faults.push(Fault::wrong(what, &mend));
    }
    let (reached, endings) = stack.endings(at);
    let (failures, endings): (Vec<_>, Vec<_>) =
        endings.into_iter().partition(|ending| reached && ending.is_failure());
    faults.extend(endings.iter().map(|ending| ended(ending, &path.display().to_string())));
    if let Some(late) = late(&stack, at) {
        let module = late.module().map_or("", |line| &line.module);
        let what = format!("{place}: the line comes before that of {module} ({})", late.place());
        faults.push(Fault::wrong(what, "make it the last session line"));
    }
    let options = step.module().map(|line| line.options.clone()).unwrap_or_default();
    faults.extend(control(step));
    faults.extend(pam_line::mistakes(&options).into_iter().map(|Mistake { text, serves_nobody }| Fault {
        what: format!("{place}: {text}"),
        mend: "correct the line".to_owned(),
        weighs: serves_nobody,
    }));
    if !pam_line::serves(&options, service) {
        faults.push(Fault::wrong(format!("{place}: '{service}' is not among services="), "add it"));
    }
    let notes = failures.iter().map(|ending| ending.describe(MODULE)).collect();
    Ok(Judgement { ours: Some(Ours { place, options }), faults, notes })
}

/// Any control but one lets an error of the module keep everybody out.
fn control(step: &Step) -> Option<Fault> {
    let line = step.module().filter(|line| !line.is_control(CONTROL))?;
    let what = format!("{}: the line is '{}': a login fails where {MODULE} does", step.place(), line.control);
    Some(Fault::wrong(what, &format!("write '{CONTROL}' there")))
}

fn ended(ending: &StackEnding<'_>, own: &str) -> Fault {
    Fault::wrong(ending.describe(MODULE), &mend(ending, own))
}

/// A `done` in a file that is included ends all; in a substack, that file alone. A jump out of a substack is an error.
fn mend(ending: &StackEnding<'_>, own: &str) -> String {
    let place = ending.step.place();
    if ending.is_jump() {
        format!("correct the jump in {place}")
    } else if ending.step.file.display().to_string() == own {
        format!("write 'required' in {place}, or put the line of {MODULE} before it")
    } else {
        format!("write 'session substack' in {own}:{} in the place of the include", ending.step.by)
    }
}

/// A later step whose work the module builds upon. `pam_selinux.so close` belongs to the beginning of the end.
fn late(stack: &Stack, at: usize) -> Option<&Step> {
    let opens = |step: &&Step| {
        step.module().is_some_and(|line| {
            BEFORE.iter().any(|name| line.is_module(name)) && !line.options.iter().any(|word| word == "close")
        })
    };
    stack.steps.iter().skip(at + 1).find(opens)
}

/// Why no line is put into a file, or taken out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UnfitPamFile {
    Unreadable(Unreadable),
    /// Nothing to put ours beside.
    NoSessions,
    /// A step keeps ours from its turn wherever it stands.
    Ends(Fault),
    /// A step counts ours among those that it jumps over: without it, it would jump over another, or fail the session.
    Counts(String),
}

/// A file's new text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) text: String,
    /// Why the line is not the last of the session lines.
    pub(crate) before: Option<String>,
}

/// The text of the service's own file with `line` as the last of the session lines, or in front of what ends the stack
/// there. As the last it runs in the user's context, and with what pam_systemd has set.
pub(crate) fn place(service: &str, line: &str, files: &Files<'_>) -> Result<Placed, UnfitPamFile> {
    let (path, text) = files(service).map_err(|_| UnfitPamFile::NoSessions)?;
    let file = PamFile::parse(&text);
    file.check().map_err(UnfitPamFile::Unreadable)?;
    let stack = Stack::of(service, Type::Session, files).map_err(|_| UnfitPamFile::NoSessions)?;
    let has_sessions = |line| stack.steps.iter().any(|step| step.by == line);
    let rules: Vec<_> = file.rules.iter().filter(|rule| has_sessions(rule.line)).collect();
    let first = rules.first().ok_or(UnfitPamFile::NoSessions)?;
    let texts = rules.iter().rev().map(|rule| file.with_behind(rule, line));
    let mut refusal = None;
    let mut before = None;
    for text in texts.chain([file.with_before(first, line)]) {
        let read = |name: &str| if name == service { Ok((path.clone(), text.clone())) } else { files(name) };
        let stack = Stack::of(service, Type::Session, &read).map_err(|_| UnfitPamFile::NoSessions)?;
        let Some(at) = stack.steps.iter().position(|step| step.is_module(MODULE)) else { continue };
        let (reached, endings) = stack.endings(at);
        let ending = endings.iter().find(|ending| !(reached && ending.is_failure()));
        match ending {
            None if before.is_none() || late(&stack, at).is_none() => return Ok(Placed { text, before }),
            None => break,
            Some(ending) => {
                before.get_or_insert_with(|| ending.describe(MODULE));
                refusal.get_or_insert_with(|| ended(ending, &path.display().to_string()));
            }
        }
    }
    Err(refusal.map_or(UnfitPamFile::NoSessions, UnfitPamFile::Ends))
}

/// The text of the service's own file without lines of ours, of whatever type: a jump of `auth` that counts one would
/// pass over the check behind it.
pub(crate) fn displace(service: &str, files: &Files<'_>) -> Result<String, UnfitPamFile> {
    let (_, text) = files(service).map_err(|_| UnfitPamFile::NoSessions)?;
    let file = PamFile::parse(&text);
    file.check().map_err(UnfitPamFile::Unreadable)?;
    for (kind, _) in Type::ALL {
        let stack = Stack::of(service, kind, files).map_err(|_| UnfitPamFile::NoSessions)?;
        let mut ours = stack.steps.iter().enumerate().filter(|(_, step)| step.is_module(MODULE));
        if let Some(step) = ours.find_map(|(at, _)| stack.jumps_over(at).next()) {
            return Err(UnfitPamFile::Counts(step.place()));
        }
    }
    Ok(file.without_ours())
}

#[cfg(test)]
mod tests;
