//! The session stack of a PAM service as libpam builds it out of its files and runs it (pam.conf(5), Linux-PAM's
//! pam_handlers.c and pam_dispatch.c). Reads those files through a function that is given.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::pam_file::{Line, PamFile, Says, Type};

/// The first that has a service's file counts. The second is where distributions put theirs that leave /etc alone.
pub(crate) const DIRECTORIES: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];
/// The service of all that have no lines of a type.
const OTHER: &str = "other";
/// PAM_SUBSTACK_MAX_LEVEL: files that include each other come to an end.
const MAX_DEPTH: usize = 16;
/// Modules of which it is known what they answer.
const SUCCEEDS: &str = "pam_permit.so";
const FAILS: &str = "pam_deny.so";

/// Path and text of a service's file.
pub(crate) type Files<'f> = dyn Fn(&str) -> io::Result<(PathBuf, String)> + 'f;

/// As this system has them.
pub(crate) fn of_system(name: &str) -> io::Result<(PathBuf, String)> {
    for directory in DIRECTORIES {
        let path = Path::new(directory).join(name);
        match text(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            read => return Ok((path, read?)),
        }
    }
    Err(ErrorKind::NotFound.into())
}

/// In whatever encoding: libpam reads bytes, and a comment may be in Latin-1.
fn text(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// The modules of one type, in their order, included ones in their places.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    /// How many substacks it is in.
    level: usize,
    /// The line of the service's own file that it came by; 0 where that has none.
    pub(crate) by: usize,
    does: Does,
}

#[derive(Debug)]
enum Does {
    Module(Line),
    /// A substack begins.
    Substack,
    /// A file that cannot be read, or a line that cannot, which has at most a control.
    Fails(String),
}

impl Step {
    pub(crate) fn module(&self) -> Option<&Line> {
        match &self.does {
            Does::Module(line) => Some(line),
            _ => None,
        }
    }

    pub(crate) fn is_module(&self, name: &str) -> bool {
        self.module().is_some_and(|line| line.is_module(name))
    }

    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }
}

impl Stack {
    /// Fails where the service's own file cannot be read.
    pub(crate) fn of(service: &str, kind: Type, files: &Files<'_>) -> io::Result<Self> {
        let own = files(service)?;
        let mut gather = Gather { kind, files, steps: Vec::new() };
        gather.file(own, &Place::default());
        if gather.steps.is_empty() {
            gather.named(OTHER, &Place { by: Some(0), ..Place::default() });
        }
        Ok(Self { steps: gather.steps })
    }

    /// Whether the step at `goal` is reached, and which steps before it may keep it from that.
    pub(crate) fn endings(&self, goal: usize) -> (bool, Vec<StackEnding<'_>>) {
        let mut endings: BTreeMap<usize, StackEnding<'_>> = BTreeMap::new();
        let mut is_reached = false;
        let mut seen = HashSet::new();
        let mut ways = vec![Way { at: 0, verdict: Verdict::None, saved: Vec::new() }];
        while let Some(mut way) = ways.pop() {
            is_reached |= way.at == goal;
            let Some(step) = self.steps.get(way.at).filter(|_| way.at < goal) else { continue };
            way.saved.resize(step.level + 1, way.verdict);
            if !seen.insert(way.clone()) {
                continue;
            }
            for (answer, action) in answers(step) {
                let (next, verdict) = self.after(&way, answer, action);
                if next > goal {
                    let found = StackEnding { step, answers: Vec::new(), action };
                    endings.entry(way.at).or_insert(found).answers.push(answer);
                } else {
                    ways.push(Way { at: next, verdict, saved: way.saved.clone() });
                }
            }
        }
        (is_reached, endings.into_values().collect())
    }

    /// The steps that count the one at `goal` among those that they jump over.
    pub(crate) fn jumps_over(&self, goal: usize) -> impl Iterator<Item = &Step> {
        let steps = self.steps.iter().enumerate().take(goal);
        steps.filter_map(move |(at, step)| {
            let is_over = |(_, action)| matches!(action, Action::Jump(many) if self.jump(at, many).0 > goal);
            answers(step).into_iter().any(is_over).then_some(step)
        })
    }

    /// Which step comes next, and how the stack stands then.
    fn after(&self, way: &Way, answer: Answer, action: Action) -> (usize, Verdict) {
        let next = way.at + 1;
        let agreed = match (way.verdict, answer) {
            (Verdict::None | Verdict::Good, Answer::Failure) => Verdict::Spoiled,
            (Verdict::None, Answer::Success) => Verdict::Good,
            (verdict, _) => verdict,
        };
        match action {
            Action::Ignore => (next, way.verdict),
            Action::Ok => (next, agreed),
            Action::Done if agreed != Verdict::Bad => (self.end_of_level(way.at), agreed),
            Action::Done => (next, agreed),
            Action::Bad => (next, Verdict::Bad),
            Action::Die => (self.end_of_level(way.at), Verdict::Bad),
            Action::Reset => (next, way.saved.last().copied().unwrap_or(Verdict::None)),
            Action::Jump(many) => match self.jump(way.at, many) {
                (next, 0) => (next, way.verdict),
                (next, _) => (next, Verdict::Bad),
            },
        }
    }

    /// What follows the steps of this level and of the deeper ones in it.
    fn end_of_level(&self, at: usize) -> usize {
        let level = self.level(at);
        (at + 1..self.steps.len()).find(|next| self.level(*next) < level).unwrap_or(self.steps.len())
    }

    /// Where a jump over `many` leads, and how many are missing at the end of its level. A substack counts as one.
    fn jump(&self, from: usize, many: usize) -> (usize, usize) {
        let level = self.level(from);
        let (mut next, mut left) = (from + 1, many);
        while left > 0 && next < self.steps.len() && self.level(next) >= level {
            next += 1;
            while next < self.steps.len() && self.level(next) > level {
                next += 1;
            }
            left -= 1;
        }
        (next, left)
    }

    fn level(&self, at: usize) -> usize {
        self.steps.get(at).map_or(0, |step| step.level)
    }
}

/// Where a file is read for.
#[derive(Clone, Copy, Default)]
struct Place {
    depth: usize,
    level: usize,
    /// Of the service's own file; none while that is read.
    by: Option<usize>,
    /// Included for lines of the type that is looked for, and no other.
    is_limited: bool,
}

struct Gather<'f> {
    kind: Type,
    files: &'f Files<'f>,
    steps: Vec<Step>,
}

impl Gather<'_> {
    /// False where it cannot be read.
    fn named(&mut self, name: &str, place: &Place) -> bool {
        let read = (place.depth < MAX_DEPTH).then(|| (self.files)(name).ok()).flatten();
        read.map(|read| self.file(read, place)).is_some()
    }

    fn file(&mut self, (path, text): (PathBuf, String), place: &Place) {
        for rule in PamFile::parse(&text).rules {
            let by = place.by.unwrap_or(rule.line);
            let step = |level, does| Step { file: path.clone(), line: rule.line, level, by, does };
            let inner = Place { depth: place.depth + 1, by: Some(by), ..*place };
            match rule.says {
                Says::IncludeAll(name) => {
                    if !self.named(&name, &inner) {
                        self.steps.push(step(place.level, Does::Fails(String::new())));
                    }
                }
                Says::Unclear(kind, control)
                    if kind == Some(self.kind) || kind.is_none() && place.is_limited =>
                {
                    self.steps.push(step(place.level, Does::Fails(control)));
                }
                Says::Line(line) if line.kind == self.kind => {
                    let is_substack = line.is_control("substack");
                    if !is_substack && !line.is_control("include") {
                        self.steps.push(step(place.level, Does::Module(line)));
                        continue;
                    }
                    if is_substack {
                        self.steps.push(step(place.level, Does::Substack));
                    }
                    let level = place.level + usize::from(is_substack);
                    if !self.named(&line.module, &Place { level, is_limited: true, ..inner }) {
                        self.steps.push(step(place.level, Does::Fails(String::new())));
                    }
                }
                Says::Unclear(..) | Says::Line(_) => {}
            }
        }
    }
}

/// How a stack stands: what libpam calls its impression, and its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Verdict {
    None,
    Good,
    /// Good, with the code of a module that failed.
    Spoiled,
    Bad,
}

/// How far one way through the stack has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Way {
    at: usize,
    verdict: Verdict,
    /// The verdict at the beginning of each substack.
    saved: Vec<Verdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Success,
    Failure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Ignore,
    Ok,
    Done,
    Bad,
    Die,
    Reset,
    Jump(usize),
}

/// A step by which the goal is not reached.
#[derive(Debug)]
pub(crate) struct StackEnding<'s> {
    pub(crate) step: &'s Step,
    answers: Vec<Answer>,
    action: Action,
}

impl StackEnding<'_> {
    /// Whether only a session that fails ends here.
    pub(crate) fn is_failure(&self) -> bool {
        self.action == Action::Die && !self.answers.contains(&Answer::Success)
    }

    pub(crate) fn is_jump(&self) -> bool {
        matches!(self.action, Action::Jump(_))
    }

    /// What keeps `goal` from its turn.
    pub(crate) fn describe(&self, goal: &str) -> String {
        let (module, control) =
            self.step.module().map_or(("", ""), |line| (line.module.as_str(), line.control.as_str()));
        let when = match (self.answers.contains(&Answer::Success), self.answers.contains(&Answer::Failure)) {
            (true, true) => format!("whatever {module} answers"),
            (true, false) => format!("where {module} succeeds"),
            (false, _) => format!("where {module} fails"),
        };
        let does = if self.is_jump() { "jumps over" } else { "ends the session stack before it comes to" };
        format!("{}: {when}, '{control}' {does} {goal}", self.step.place())
    }
}

/// Every answer that a module may give, with what its control makes of it.
fn answers(step: &Step) -> Vec<(Answer, Action)> {
    let line = match &step.does {
        Does::Module(line) => line,
        Does::Substack => return vec![(Answer::Success, Action::Ignore)],
        Does::Fails(control) => return vec![(Answer::Failure, Control::parse(control).on("perm_denied"))],
    };
    let control = Control::parse(&line.control);
    let success = (Answer::Success, control.on("success"));
    if line.is_module(SUCCEEDS) {
        return vec![success];
    }
    if line.is_module(FAILS) {
        return vec![(Answer::Failure, control.on("session_err"))];
    }
    let failures = control.named.iter().filter(|(name, _)| *name != "success").map(|(_, action)| *action);
    let failures = failures.chain([control.default]).map(|action| (Answer::Failure, action));
    [success].into_iter().chain(failures).collect()
}

struct Control {
    named: BTreeMap<String, Action>,
    default: Action,
}

impl Control {
    fn on(&self, answer: &str) -> Action {
        self.named.get(answer).copied().unwrap_or(self.default)
    }

    fn parse(control: &str) -> Self {
        let inside = control.trim_start_matches('[').trim_end_matches(']');
        let simple = |success, ignore, default| Self {
            named: [("success", success), ("ignore", ignore)]
                .map(|(name, action)| (name.to_owned(), action))
                .into(),
            default,
        };
        match inside.to_ascii_lowercase().as_str() {
            "required" => simple(Action::Ok, Action::Ignore, Action::Bad),
            "requisite" => simple(Action::Ok, Action::Ignore, Action::Die),
            "sufficient" => simple(Action::Done, Action::Ignore, Action::Ignore),
            "optional" => simple(Action::Ok, Action::Ignore, Action::Ignore),
            _ => Self::parse_pairs(inside),
        }
    }

    /// `answer=action …`; from the first that is not understood all else is bad, as is what is not named.
    fn parse_pairs(inside: &str) -> Self {
        let mut control = Self { named: BTreeMap::new(), default: Action::Bad };
        let spaced = inside.replace('=', " = ");
        let mut words = spaced.split_whitespace();
        while let (Some(answer), Some("="), Some(action)) = (words.next(), words.next(), words.next()) {
            let Some(action) = Action::parse(action) else { break };
            match answer {
                "default" => control.default = action,
                _ => {
                    control.named.insert(answer.to_owned(), action);
                }
            }
        }
        control
    }
}

impl Action {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "ignore" => Self::Ignore,
            "ok" => Self::Ok,
            "done" => Self::Done,
            "bad" => Self::Bad,
            "die" => Self::Die,
            "reset" => Self::Reset,
            number => Self::Jump(number.parse().ok().filter(|many| *many > 0)?),
        })
    }
}

#[cfg(test)]
mod tests;
