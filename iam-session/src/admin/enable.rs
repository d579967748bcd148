//! `iam-session-admin enable` and `disable`: put the module's line into a PAM service's file, and take it out. Touch
//! that file and a copy of it below /etc/iam-session, and read /etc/login.defs.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use clap::Parser;
use nix::fcntl::Flock;

use super::confirm::{self, Consent};
use super::file::{self, FileLook};
use super::{audit, say};
use crate::clock::unix_time;
use crate::host::installed::{self, InstalledFile};
use crate::host::pam_file::MODULE;
use crate::host::pam_judge::{self, Fault, Judgement, UnfitPamFile};
use crate::host::pam_line;
use crate::host::pam_stack::{self, DIRECTORIES};
use crate::outcome::{Exit, Outcome, warn};
use crate::protocol::Failure;
use crate::text::{printable, utc};

pub(super) const SSHD: &str = "/etc/pam.d/sshd";
/// libpam reads whole files; one that is larger is none of a service.
const MAX_FILE: u64 = 256 * 1024;
/// Not beside the file: there each file is a service.
const BACKUPS: &str = "/etc/iam-session/backup";
const AUTHSELECT: &str = "/etc/authselect";
const LOGIN_DEFS: &str = "/etc/login.defs";

/// Put the module into sshd's PAM file.
#[derive(Debug, Parser)]
pub(super) struct EnableArgs {
    #[command(flatten)]
    edit: EditArgs,
}

/// Take the module out of sshd's PAM file.
#[derive(Debug, Parser)]
pub(super) struct DisableArgs {
    #[command(flatten)]
    edit: EditArgs,
}

#[derive(Debug, clap::Args)]
struct EditArgs {
    /// Another service's file
    #[arg(long, value_name = "FILE", default_value = SSHD)]
    pam_file: PathBuf,
    #[command(flatten)]
    consent: Consent,
}

pub(super) fn enable(args: &EnableArgs) -> Outcome {
    let service = Service::read(&args.edit.pam_file)?;
    let found = service.judge()?;
    if let Some(ours) = &found.ours {
        if let Some(fault) = found.faults.iter().find(|fault| fault.weighs) {
            let info = format!("{}; or 'disable' it and enable it anew", fault.mend);
            return Err(Failure::failed(fault.what.clone()).advise(info).into());
        }
        say(&format!("{}: enabled already", printable(&ours.place)))?;
        return Ok(Exit::Done);
    }
    check_installed()?;
    let line = pam_line::line(&service.name, uid_min());
    let placed =
        pam_judge::place(&service.name, &line, &service.files()).map_err(|why| service.refused(why))?;
    if let Some(why) = &placed.before {
        say(&printable(&format!("the line comes earlier than the last of the sessions: {why}")))?;
    }
    let told = "logins from now on get an agent; keep a root shell open while you try one";
    apply(&args.edit, &service, &placed.text, told)
}

pub(super) fn disable(args: &DisableArgs) -> Outcome {
    let service = Service::read(&args.edit.pam_file)?;
    let changed = pam_judge::displace(&service.name, &service.files()).map_err(|why| service.refused(why))?;
    if changed == service.text {
        say(&format!("{}: not enabled", shown(&service.path)))?;
        return Ok(Exit::Done);
    }
    let told = "logins from now on get no agent; those that there are go on ('iam-session-admin kill --all' ends them)";
    apply(&args.edit, &service, &changed, told)
}

/// A PAM service, whose file is this system's own.
pub(super) struct Service {
    name: String,
    /// Where it is to be, which is not where it was read, if the distribution's own holds.
    path: PathBuf,
    read_at: PathBuf,
    text: String,
    look: FileLook,
}

impl Service {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        if let Ok(target) = fs::read_link(path) {
            return Err(match target.starts_with(AUTHSELECT) {
                true => Failure::failed(format!("{} belongs to authselect", path.display())).advise("put the line into a profile of your own: 'authselect create-profile', then its sshd file, then 'authselect select custom/…'"),
                false => Failure::failed(format!("{} is a link to {}", path.display(), target.display())).advise("give the file itself with --pam-file, if it is meant to be changed"),
            });
        }
        let [own, distribution] = DIRECTORIES;
        let name = path.file_name().unwrap_or_default();
        let theirs = path.starts_with(own).then(|| Path::new(distribution).join(name));
        let mut read_at = path.to_owned();
        let mut read = file::read(path, MAX_FILE)?;
        if let (None, Some(theirs)) = (&read, theirs) {
            read = file::read(&theirs, MAX_FILE)?;
            read_at = theirs;
        }
        let (bytes, look) = read.ok_or_else(|| {
            Failure::failed(format!("there is no {}", path.display())).advise("is sshd installed, with PAM?")
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::failed(format!("{} is no UTF-8 text", read_at.display())))?;
        Ok(Self { name: name.to_string_lossy().into_owned(), path: path.to_owned(), read_at, text, look })
    }

    /// The service's own file as it was read, the others as they are.
    fn files(&self) -> impl Fn(&str) -> io::Result<(PathBuf, String)> {
        |name| match name == self.name {
            true => Ok((self.read_at.clone(), self.text.clone())),
            false => pam_stack::of_system(name),
        }
    }

    pub(super) fn judge(&self) -> Result<Judgement, Failure> {
        pam_judge::judge(&self.name, &self.files())
            .map_err(|error| Failure::failed(format!("cannot read {}: {error}", self.path.display())))
    }

    fn refused(&self, why: UnfitPamFile) -> Failure {
        let by_hand = "do it by hand: pam_iam(8), THE PAM LINE".to_owned();
        let (why, info) = match why {
            UnfitPamFile::Unreadable(why) => (why.to_string(), by_hand),
            UnfitPamFile::NoSessions => ("it has no session line".to_owned(), by_hand),
            UnfitPamFile::Ends(Fault { what, mend, .. }) => (what, format!("{mend}; or {by_hand}")),
            UnfitPamFile::Counts(place) => {
                (format!("{place} counts {MODULE} among the lines that it jumps over"), by_hand)
            }
        };
        Failure::failed(format!("{} is not changed: {why}", self.path.display())).advise(info)
    }
}

/// A line whose module is missing changes nothing, but who enables it thinks otherwise.
fn check_installed() -> Result<(), Failure> {
    match installed::module() {
        InstalledFile::Good(_) => {}
        InstalledFile::Bad(path, why) => return Err(Failure::failed(format!("{}: {why}", path.display()))),
        InstalledFile::Missing => {
            return Err(Failure::failed("pam_iam.so is in no directory of PAM modules")
                .advise("install the package first"));
        }
    }
    if let Ok(keys) = crate::host::node_keys::files()
        && keys.is_empty()
    {
        warn("there is no node key, so users choose passphrases: 'iam-session-admin key add' makes one");
    }
    Ok(())
}

/// Shows the change, asks, keeps a copy, makes it.
fn apply(args: &EditArgs, service: &Service, after: &str, told: &str) -> Outcome {
    let (path, before) = (&service.path, &service.text);
    say(&printed(path, before, after))?;
    confirm::ask(&format!("change {}?", shown(path)), args.consent)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let _lock = lock(&name)?;
    // Whoever was asked may have taken long to answer, and a package or another administrator not have waited.
    if Service::read(path)?.text != *before {
        let error = format!("{} has been changed meanwhile, and was left alone", path.display());
        return Err(Failure::failed(error).advise("run it again").into());
    }
    let backup = free_backup(&name, unix_time());
    file::replace(&backup, before.as_bytes(), FileLook::PUBLIC)?;
    file::replace(path, after.as_bytes(), service.look)?;
    audit(&format!("changed {}, the former one is {}", path.display(), backup.display()));
    say(&format!("{} is changed, {} is what it was; {told}", shown(path), shown(&backup)))?;
    Ok(Exit::Done)
}

/// One root shell at a time changes a service's file: its lock is beside the backups, where it is no service's.
fn lock(service: &str) -> Result<Flock<File>, Failure> {
    DirBuilder::new().mode(0o700).recursive(true).create(BACKUPS).map_err(|error| {
        Failure::failed(format!("cannot keep a copy in {BACKUPS}: {error}; nothing was changed"))
    })?;
    file::lock(&Path::new(BACKUPS).join(service))
}

/// A name that no other backup has, under the lock: a second may see several.
fn free_backup(service: &str, now: u64) -> PathBuf {
    let first = Path::new(BACKUPS).join(format!("{service}-{}", utc(now)));
    let mut backup = first.clone();
    let mut number = 2;
    while backup.symlink_metadata().is_ok() {
        backup = format!("{}-{number}", first.display()).into();
        number += 1;
    }
    backup
}

/// The lines that differ, with one before and one behind, as diff(1) shows them.
fn printed(path: &Path, before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let shorter = old.len().min(new.len()) - head;
    let tail =
        old.iter().rev().zip(new.iter().rev()).take(shorter).take_while(|(one, other)| one == other).count();
    let part = |lines: &[&str], sign: &str, from: usize, to: usize| -> Vec<String> {
        let lines = lines.get(from..to).unwrap_or_default();
        lines.iter().map(|line| format!("{sign}{}", printable(line))).collect()
    };
    let mut shown = vec![format!("{}:{}", path.display(), head + 1)];
    shown.extend(part(&old, " ", head.saturating_sub(1), head));
    shown.extend(part(&old, "-", head, old.len() - tail));
    shown.extend(part(&new, "+", head, new.len() - tail));
    shown.extend(part(&old, " ", old.len() - tail, (old.len() - tail + 1).min(old.len())));
    shown.join("\n")
}

/// The first uid of people here (login.defs(5)).
fn uid_min() -> u32 {
    let text = fs::read_to_string(LOGIN_DEFS).unwrap_or_default();
    parse_uid_min(&text).unwrap_or(pam_line::MIN_UID)
}

fn parse_uid_min(text: &str) -> Option<u32> {
    let mut lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("UID_MIN")).then(|| words.next())?
    });
    // The last one wins, as for shadow's own programs.
    lines.next_back()?.parse().ok().filter(|uid| (1..u32::MAX).contains(uid))
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_change_is_shown_with_its_surroundings() {
        let path = Path::new("/etc/pam.d/sshd");
        assert_eq!(printed(path, "a\nb\nc\n", "a\nb\nx\nc\n"), "/etc/pam.d/sshd:3\n b\n+x\n c");
        assert_eq!(printed(path, "a\nb\n", "a\n"), "/etc/pam.d/sshd:2\n a\n-b");
        assert_eq!(printed(path, "a\na\n", "a\na\na\n"), "/etc/pam.d/sshd:3\n a\n+a");
    }

    #[test]
    fn the_first_uid_is_that_of_login_defs() {
        assert_eq!(parse_uid_min("# UID_MIN 5\nUID_MIN\t\t  500\nSYS_UID_MIN 201\n"), Some(500));
        for text in ["", "UID_MIN\n", "UID_MIN x\n", "UID_MIN 0\n", "#UID_MIN 5\n"] {
            assert_eq!(parse_uid_min(text), None, "{text:?}");
        }
    }
}
