//! Whether sshd's PAM stack has the module, and where. Reads the PAM services and /etc/ssh, as users may.

use std::fs;
use std::io::{self, ErrorKind};

use super::finding::Finding;
use crate::host::pam_judge::{self, Judgement, Ours};
use crate::host::{pam_line, pam_stack};

const CHECK: &str = "PAM";
const SERVICE: &str = "sshd";

pub(super) fn look(uid: u32) -> Vec<Finding> {
    let mut findings = match pam_judge::judge(SERVICE, &pam_stack::of_system) {
        Ok(found) => told(&found, uid),
        Err(error) => {
            vec![Finding::unknown(CHECK, &format!("cannot read the PAM service {SERVICE}: {error}"))]
        }
    };
    findings.push(use_pam(&fs::read_to_string("/etc/ssh/sshd_config"), &drop_ins()));
    findings
}

fn told(found: &Judgement, uid: u32) -> Vec<Finding> {
    let mut findings = Vec::new();
    for fault in &found.faults {
        let judge = if fault.weighs { Finding::wrong } else { Finding::note };
        findings.push(judge(CHECK, &fault.what, &format!("administrator: {}", fault.mend)));
    }
    if let Some(ours) = &found.ours {
        findings.extend(unserved(ours, uid));
        if findings.is_empty() {
            let what = format!("{}: pam_iam.so {}", ours.place, ours.options.join(" "));
            findings.push(Finding::ok(CHECK, what.trim_end()));
        }
    }
    findings.extend(found.notes.iter().map(|what| Finding::note(CHECK, what, "")));
    findings
}

/// Options by which this user gets no agent, as far as that can be seen without a name service.
fn unserved(Ours { place, options }: &Ours, uid: u32) -> Vec<Finding> {
    let value = |key: &str| options.iter().rev().find_map(|word| word.strip_prefix(key));
    let min_uid = value("min_uid=").and_then(|text| text.parse().ok()).unwrap_or(pam_line::MIN_UID);
    let mut findings = Vec::new();
    if uid == 0 {
        findings.push(Finding::note(CHECK, "root gets no agent: run this as the user who has no token", ""));
    } else if uid < min_uid {
        let what = format!("{place}: your uid {uid} is below min_uid={min_uid}: you get no agent");
        findings.push(Finding::wrong(CHECK, &what, "ask the administrator"));
    }
    if let Some(groups) = value("groups=").filter(|groups| !groups.is_empty()) {
        let what = format!("{place}: only members of {groups} get an agent; 'id' shows yours");
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
    use crate::commands::doctor::finding::Severity;

    #[test]
    fn who_gets_no_agent_by_an_option_is_told() {
        let told = |options: &[&str], uid| {
            let options = options.iter().map(|option| (*option).to_owned()).collect();
            let ours = Some(Ours { place: "/etc/pam.d/sshd:5".into(), options });
            told(&Judgement { ours, faults: Vec::new(), notes: Vec::new() }, uid)
        };
        let ok = Finding::ok("PAM", "/etc/pam.d/sshd:5: pam_iam.so token_wait=2s");
        assert_eq!(told(&["token_wait=2s"], 1000), [ok]);
        let below = told(&["min_uid=2000"], 1000);
        assert!(
            below[0].state == Severity::Wrong && below[0].what.contains("below min_uid=2000"),
            "{below:?}"
        );
        for (options, uid) in [(vec!["groups=users"], 1000), (vec![], 0)] {
            assert_eq!(told(&options, uid)[0].state, Severity::Note);
        }
    }

    #[test]
    fn the_first_usepam_counts() {
        let state = |main: &str, drop_in: &str| use_pam(&Ok(main.to_owned()), &[drop_in.to_owned()]).state;
        assert_eq!(state("UsePAM yes\n", ""), Severity::Ok);
        assert_eq!(state("Include /etc/ssh/sshd_config.d/*.conf\nUsePAM no\n", "usepam=yes\n"), Severity::Ok);
        assert_eq!(state("UsePAM no\nUsePAM yes\n", ""), Severity::Wrong);
        assert_eq!(state("#UsePAM yes\n", ""), Severity::Wrong);
        assert_eq!(use_pam(&Err(ErrorKind::PermissionDenied.into()), &[]).state, Severity::Unknown);
    }
}
