//! Whether sshd's PAM stack has the module, and where. Reads /etc/pam.d and /etc/ssh, as users may.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::finding::Finding;
use crate::host::pam_line::{Mistake, mistakes};

const CHECK: &str = "PAM";
const DIRECTORY: &str = "/etc/pam.d";
const SERVICE: &str = "sshd";
const MODULE: &str = "pam_iam.so";
const THE_LINE: &str = "-session optional pam_iam.so token_wait=2s";
/// Files that include each other must come to an end.
const MAX_DEPTH: u8 = 8;
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
/// As the module has it where its line does not say otherwise.
const MIN_UID: u32 = 1000;

/// One line of the stack.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    file: String,
    number: usize,
    kind: String,
    control: String,
    module: String,
    arguments: Vec<String>,
}

impl Line {
    fn is_module(&self, name: &str) -> bool {
        self.module == name || self.module.ends_with(&format!("/{name}"))
    }

    fn place(&self) -> String {
        format!("{DIRECTORY}/{}:{}", self.file, self.number)
    }
}

pub(super) fn look(uid: u32) -> Vec<Finding> {
    let mut lines = Vec::new();
    let read = |name: &str| fs::read_to_string(Path::new(DIRECTORY).join(name));
    let mut findings = match gather(&read, SERVICE, None, 0, &mut lines) {
        Ok(()) => judge(&lines, uid),
        Err(error) => vec![Finding::unknown(CHECK, &format!("cannot read {DIRECTORY}/{SERVICE}: {error}"))],
    };
    findings.push(use_pam(&fs::read_to_string("/etc/ssh/sshd_config"), &drop_ins()));
    findings
}

/// The lines of a service, those that it includes in their places; of one kind, where a kind is given.
fn gather(
    read: &impl Fn(&str) -> io::Result<String>,
    name: &str,
    only: Option<&str>,
    depth: u8,
    lines: &mut Vec<Line>,
) -> io::Result<()> {
    let text = read(name)?.replace("\\\n", " ");
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if depth < MAX_DEPTH
            && let Some(("@include", other)) = line.split_once(char::is_whitespace)
        {
            // One that is missing is libpam's to complain about.
            let _ = gather(read, other.trim_start(), only, depth + 1, lines);
        }
        let Some(found) = parse(name, number, line) else { continue };
        if only.is_some_and(|kind| kind != found.kind) {
            continue;
        }
        if matches!(found.control.as_str(), "include" | "substack") {
            if depth < MAX_DEPTH {
                let _ = gather(read, &found.module, Some(&found.kind), depth + 1, lines);
            }
        } else {
            lines.push(found);
        }
    }
    Ok(())
}

/// `[-]TYPE CONTROL MODULE ARGUMENTS` (pam.conf(5)); a control in brackets holds spaces.
fn parse(file: &str, number: usize, line: &str) -> Option<Line> {
    let (kind, rest) = line.split_once(char::is_whitespace)?;
    let kind = kind.trim_start_matches('-').to_ascii_lowercase();
    let rest = rest.trim_start();
    let (control, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => rest.split_once(char::is_whitespace)?,
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let module = words.next()?;
    let control = control.trim().to_ascii_lowercase();
    let known = matches!(kind.as_str(), "auth" | "account" | "password" | "session");
    known.then(|| Line { file: file.to_owned(), number, kind, control, module, arguments: words.collect() })
}

fn judge(lines: &[Line], uid: u32) -> Vec<Finding> {
    let ours = |line: &&Line| line.is_module(MODULE);
    let mut wrong: Vec<Finding> = Vec::new();
    for line in lines.iter().filter(ours).filter(|line| line.kind != "session") {
        let what = format!("{}: {MODULE} does nothing as a line of type {}", line.place(), line.kind);
        wrong.push(Finding::wrong(CHECK, &what, "administrator: remove that line"));
    }
    let mut sessions = lines.iter().enumerate().filter(|(_, line)| line.kind == "session" && ours(line));
    let Some((at, line)) = sessions.next() else {
        let what = format!("{DIRECTORY}/{SERVICE} has no session line with {MODULE}: logins start no agent");
        wrong.push(Finding::wrong(
            CHECK,
            &what,
            &format!("administrator: add '{THE_LINE}' as the last session line"),
        ));
        return wrong;
    };
    if let Some((_, again)) = sessions.next() {
        let what = format!("{MODULE} stands twice, {} and {}", line.place(), again.place());
        wrong.push(Finding::wrong(CHECK, &what, "administrator: remove one of the lines"));
    }
    wrong.extend(misplaced(lines.get(at + 1..).unwrap_or_default(), line));
    wrong.extend(unserved(line, uid));
    if wrong.is_empty() {
        let options = line.arguments.join(" ");
        wrong.push(Finding::ok(CHECK, format!("{}: {MODULE} {options}", line.place()).trim_end()));
    }
    wrong
}

fn misplaced(after: &[Line], line: &Line) -> Vec<Finding> {
    let mut wrong = Vec::new();
    let place = line.place();
    if line.file != SERVICE {
        let what = format!("{place}: this file is shared with cron, su and others");
        let mend = format!("administrator: move the line to the end of {DIRECTORY}/{SERVICE}");
        wrong.push(Finding::wrong(CHECK, &what, &mend));
    }
    if line.control != "optional" {
        let what = format!("{place}: the line is '{}': a login fails where it does", line.control);
        wrong.push(Finding::wrong(CHECK, &what, &format!("administrator: write '{THE_LINE}'")));
    }
    let late = |one: &&Line| one.kind == "session" && BEFORE.iter().any(|name| one.is_module(name));
    // `pam_selinux.so close` belongs to the beginning of the end.
    if let Some(other) =
        after.iter().filter(late).find(|one| !one.arguments.iter().any(|word| word == "close"))
    {
        let what = format!("{place}: the line comes before that of {} ({})", other.module, other.place());
        wrong.push(Finding::wrong(CHECK, &what, "administrator: make it the last session line"));
    }
    wrong
}

/// Options by which this user gets no agent, as far as that can be seen without a name service.
fn unserved(line: &Line, uid: u32) -> Vec<Finding> {
    let value = |key: &str| line.arguments.iter().rev().find_map(|word| word.strip_prefix(key));
    let min_uid = value("min_uid=").and_then(|text| text.parse().ok()).unwrap_or(MIN_UID);
    let told = |mistake: Mistake| {
        let judge = if mistake.serves_nobody { Finding::wrong } else { Finding::note };
        judge(CHECK, &format!("{}: {}", line.place(), mistake.text), "administrator: mend the line")
    };
    let mut findings: Vec<Finding> = mistakes(&line.arguments).into_iter().map(told).collect();
    if uid == 0 {
        findings.push(Finding::note(CHECK, "root gets no agent: run this as the user who has no token", ""));
    } else if uid < min_uid {
        let what = format!("{}: your uid {uid} is below min_uid={min_uid}: you get no agent", line.place());
        findings.push(Finding::wrong(CHECK, &what, "ask the administrator"));
    }
    if value("services=").is_some_and(|services| !services.split(',').any(|one| one == SERVICE)) {
        let what = format!("{}: '{SERVICE}' is not among services=", line.place());
        findings.push(Finding::wrong(CHECK, &what, "administrator: add it"));
    }
    if let Some(groups) = value("groups=").filter(|groups| !groups.is_empty()) {
        let what = format!("{}: only members of {groups} get an agent; 'id' shows yours", line.place());
        findings.push(Finding::note(CHECK, &what, ""));
    }
    findings
}

/// sshd_config.d/*.conf, which sshd reads in the order of their names.
fn drop_ins() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/etc/ssh/sshd_config.d") else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    paths.sort();
    paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
}

/// The first value counts (sshd_config(5)), and the default is no.
fn use_pam(main: &io::Result<String>, drop_ins: &[String]) -> Finding {
    const CHECK: &str = "sshd";
    let main = match main {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Finding::unknown(CHECK, "only root may read its configuration: is UsePAM yes?");
        }
        Err(error) => return Finding::unknown(CHECK, &format!("cannot read its configuration: {error}")),
    };
    let word = |line: &str, key: &str| {
        let mut words = line.split(|c: char| c.is_whitespace() || c == '=').filter(|word| !word.is_empty());
        let matches = words.next().is_some_and(|word| word.eq_ignore_ascii_case(key));
        if matches { words.next().map(str::to_ascii_lowercase) } else { None }
    };
    let mut lines: Vec<&str> = Vec::new();
    for line in main.lines() {
        match word(line, "Include") {
            Some(_) => lines.extend(drop_ins.iter().flat_map(|text| text.lines())),
            None => lines.push(line),
        }
    }
    match lines.into_iter().find_map(|line| word(line, "UsePAM")).as_deref() {
        Some("yes") => Finding::ok(CHECK, "UsePAM yes"),
        _ => Finding::wrong(
            CHECK,
            "UsePAM is not yes: it runs no PAM session",
            "administrator: set UsePAM yes in /etc/ssh/sshd_config",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::State;

    fn found(sshd: &str, uid: u32) -> Vec<Finding> {
        let read = |name: &str| match name {
            "sshd" => Ok(sshd.to_owned()),
            "password-auth" => Ok("auth required pam_unix.so\nsession optional pam_systemd.so\n".to_owned()),
            "common-session" => Ok("session optional pam_iam.so\n".to_owned()),
            _ => Err(io::Error::from(ErrorKind::NotFound)),
        };
        let mut lines = Vec::new();
        gather(&read, SERVICE, None, 0, &mut lines).unwrap();
        judge(&lines, uid)
    }

    fn wrong(sshd: &str) -> String {
        let found = found(sshd, 1000);
        assert_eq!((found.len(), found[0].state), (1, State::Wrong), "{found:?}");
        found[0].what.clone()
    }

    #[test]
    fn options_by_which_the_module_serves_nobody_are_told() {
        for option in ["min_uid=0", "groups=", "services=sshd,,x"] {
            let told =
                wrong(&format!("session optional pam_systemd.so\nsession optional pam_iam.so {option}\n"));
            assert!(told.contains(option) && told.contains("nobody is served"), "{told}");
        }
        let ignored = found("session optional pam_iam.so token_wait=99s\n", 1000);
        assert_eq!((ignored.len(), ignored[0].state), (1, State::Note), "{ignored:?}");
    }

    #[test]
    fn the_line_of_the_manual_is_right() {
        let stack = "#%PAM-1.0\nsession required pam_selinux.so close\nsession [default=1 success=ok] pam_x.so\n\
                     session include password-auth\n-session optional pam_iam.so token_wait=2s\nsession required pam_y.so\n";
        assert_eq!(found(stack, 1000), [Finding::ok("PAM", "/etc/pam.d/sshd:5: pam_iam.so token_wait=2s")]);
    }

    #[test]
    fn what_is_wrong_with_it_is_told() {
        assert!(wrong("session include password-auth\n").contains("has no session line"));
        assert!(wrong("# session optional pam_iam.so\n").contains("has no session line"));
        assert!(wrong("session required pam_iam.so\n").contains("a login fails where it does"));
        assert!(
            wrong("session optional pam_iam.so\nsession include password-auth\n")
                .contains("before that of pam_systemd.so")
        );
        for include in
            ["@include common-session", "@include\tcommon-session", "  @include \t common-session # x"]
        {
            let what = wrong(&format!("{include}\n"));
            assert!(
                what.starts_with("/etc/pam.d/common-session:1: this file is shared"),
                "{include}: {what}"
            );
        }
        assert!(wrong("session optional pam_iam.so\nsession optional pam_iam.so\n").contains("twice"));
        assert!(wrong("auth optional pam_iam.so\nsession optional pam_iam.so\n").contains("of type auth"));
        assert!(wrong("session optional pam_iam.so services=login\n").contains("not among services="));
        assert!(wrong("session optional pam_iam.so min_uid=2000\n").contains("below min_uid=2000"));
    }

    #[test]
    fn files_that_include_each_other_come_to_an_end() {
        let mut lines = Vec::new();
        let read =
            |_: &str| Ok("session include sshd\n@include sshd\nsession optional pam_x.so\n".to_owned());
        gather(&read, SERVICE, None, 0, &mut lines).unwrap();
        assert!(!lines.is_empty());
    }

    #[test]
    fn the_first_usepam_counts() {
        let state = |main: &str, drop_in: &str| use_pam(&Ok(main.to_owned()), &[drop_in.to_owned()]).state;
        assert_eq!(state("UsePAM yes\n", ""), State::Ok);
        assert_eq!(state("Include /etc/ssh/sshd_config.d/*.conf\nUsePAM no\n", "usepam=yes\n"), State::Ok);
        assert_eq!(state("UsePAM no\nUsePAM yes\n", ""), State::Wrong);
        assert_eq!(state("#UsePAM yes\n", ""), State::Wrong);
        assert_eq!(use_pam(&Err(ErrorKind::PermissionDenied.into()), &[]).state, State::Unknown);
    }
}
