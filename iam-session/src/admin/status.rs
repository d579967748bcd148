//! `iam-session-admin status`: the state of this host, on a page. Only looks.

use std::path::Path;

use clap::Parser;

use super::enable::{SSHD, Service};
use super::find::{self, ProcessesOf};
use super::{process, revoked_file, say};
use crate::host::drain::is_drained;
use crate::host::installed::{self, InstalledFile};
use crate::host::node_keys;
use crate::outcome::{Exit, Outcome, warn};
use crate::paths;
use crate::text::printable;

/// Show how this host stands.
#[derive(Debug, Parser)]
pub(super) struct HostStatusArgs {}

/// The longest label and two spaces.
const LABEL: usize = 13;

pub(super) fn run(_args: &HostStatusArgs) -> Outcome {
    for (label, value) in [
        ("PAM line", pam()),
        ("site", site()),
        ("module", installed_file(&installed::module())),
        ("agent", installed_file(&installed::program(paths::AGENT))),
        ("helper", installed_file(&installed::program(paths::HELPER))),
        ("node keys", keys()),
        ("runtime", runtime()),
        ("drained", drained()),
        ("revoked", revoked_users()),
        ("agents", agents()),
    ] {
        say(&format!("{label:LABEL$}{}", printable(&value)))?;
    }
    Ok(Exit::Done)
}

fn pam() -> String {
    let found = match Service::read(Path::new(SSHD)).and_then(|service| service.judge()) {
        Ok(found) => found,
        Err(failure) => return failure.error,
    };
    let fault = found.faults.first().map(|fault| format!("; {}", fault.what)).unwrap_or_default();
    match found.ours {
        Some(ours) => format!("{}: enabled, {}{fault}", ours.place, options(&ours.options)),
        None => format!("{SSHD}: not enabled; 'iam-session-admin enable'"),
    }
}

fn site() -> String {
    installed::site(Path::new(paths::SITE_CONFIG)).map_or_else(|why| why, |()| paths::SITE_CONFIG.to_owned())
}

fn options(options: &[String]) -> String {
    if options.is_empty() { "no options".to_owned() } else { options.join(" ") }
}

fn installed_file(found: &InstalledFile) -> String {
    match found {
        InstalledFile::Good(path) => path.display().to_string(),
        InstalledFile::Bad(path, why) => format!("{} cannot be used: {why}", path.display()),
        InstalledFile::Missing => "there is none: is the package installed completely?".to_owned(),
    }
}

fn keys() -> String {
    let files = match node_keys::files() {
        Ok(files) => files,
        Err(failure) => return failure.error,
    };
    let usable: Vec<&str> = files.iter().filter(|file| file.read().is_ok()).map(|file| file.id()).collect();
    match usable.first() {
        None => "none that can be used: enrolments are sealed with passphrases; 'iam-session-admin key add'"
            .to_owned(),
        Some(first) => {
            let unusable = files.len() - usable.len();
            let rest = if unusable == 0 { String::new() } else { format!(", {unusable} not in order") };
            format!("{}, {first} seals new enrolments{rest}; 'iam-session-admin key list'", usable.len())
        }
    }
}

fn runtime() -> String {
    let only = "only users who have /run/user/UID from logind are served";
    match installed::runtime() {
        InstalledFile::Good(path) => format!("{} is a mount of its own", path.display()),
        InstalledFile::Bad(path, why) => format!("{}: {why}; {only}", path.display()),
        InstalledFile::Missing => format!("{} is missing; {only}", paths::RUN),
    }
}

fn drained() -> String {
    match is_drained() {
        true => "yes: no login gets an agent; 'iam-session-admin drain --off' ends that".to_owned(),
        false => "no".to_owned(),
    }
}

fn revoked_users() -> String {
    match revoked_file::count() {
        Ok(0) => "nobody".to_owned(),
        Ok(1) => "1 user".to_owned(),
        Ok(users) => format!("{users} users"),
        Err(failure) => format!("nobody is served: {}", failure.error),
    }
}

fn agents() -> String {
    let found = match find::find(ProcessesOf::Everybody) {
        Ok(found) => found,
        Err(failure) => return failure.error,
    };
    found.warnings().iter().for_each(|line| warn(line));
    let agents = found.agents;
    let mut users: Vec<u32> = agents.iter().map(|agent| agent.uid).collect();
    users.sort_unstable();
    users.dedup();
    let replaced = agents.iter().filter(|agent| agent.program == process::ProgramVersion::Replaced).count();
    let old = if replaced == 0 {
        String::new()
    } else {
        format!(", {replaced} of a program that has been replaced")
    };
    format!("{} of {} {}{old}", agents.len(), users.len(), if users.len() == 1 { "user" } else { "users" })
}
