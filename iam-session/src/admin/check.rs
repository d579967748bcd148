//! `iam-session-admin check`: lists what is wrong with the configuration of this host, a line each. Reads files.

use std::path::{Path, PathBuf};

use clap::Parser;

use super::enable::{SSHD, Service};
use super::{revoked_file, say, system_user};
use crate::config::{ConfigError, Providers, Site};
use crate::host::installed::{self, InstalledFile};
use crate::host::pam_file::{MODULE, PamFile, Rule, Says};
use crate::host::pam_judge::Fault;
use crate::host::{node_keys, pam_stack};
use crate::outcome::{Exit, Outcome};
use crate::paths;
use crate::protocol::FailureKind;
use crate::text::printable;

/// Say what is wrong with the configuration.
#[derive(Debug, Parser)]
pub(super) struct CheckArgs {
    /// Another service's file
    #[arg(long, value_name = "FILE", default_value = SSHD)]
    pam_file: PathBuf,
}

/// Included by other services as well: cron and systemd --user would start agents.
const SHARED: [&str; 5] =
    ["password-auth", "system-auth", "common-session", "common-session-noninteractive", "postlogin"];

pub(super) fn run(args: &CheckArgs) -> Outcome {
    let site = Path::new(paths::SITE_CONFIG);
    let mut wrong: Vec<String> = installed::site(site).err().into_iter().collect();
    wrong.extend(configuration(site));
    wrong.extend(pam(&args.pam_file));
    wrong.extend(SHARED.into_iter().filter_map(shared));
    wrong.extend(files());
    wrong.extend(system_user::find().err().map(|failure| failure.line()));
    for line in &wrong {
        say(&printable(line))?;
    }
    if wrong.is_empty() {
        say("nothing is wrong")?;
        return Ok(Exit::Done);
    }
    Ok(Exit::With(FailureKind::Failed))
}

/// The first mistake in each kind of file.
fn configuration(directory: &Path) -> Vec<String> {
    let site = Site::load(directory);
    let providers = Providers::load(directory);
    let mut wrong: Vec<String> = Vec::new();
    wrong.extend(site.as_ref().err().map(ConfigError::to_string));
    wrong.extend(providers.as_ref().err().map(ConfigError::to_string));
    if let (Ok(site), Ok(providers)) = (&site, &providers)
        && let Some(alias) = &site.default_provider
        && providers.by_alias(alias).is_none()
    {
        let directory = directory.display();
        wrong.push(format!("{directory}: default_provider = '{alias}' is no provider; accepted: an alias of {directory}/issuers.d"));
    }
    wrong
}

fn pam(path: &Path) -> Vec<String> {
    match Service::read(path).and_then(|service| service.judge()) {
        Err(failure) => vec![failure.error],
        Ok(found) => {
            found.faults.into_iter().map(|Fault { what, mend, .. }| format!("{what}; {mend}")).collect()
        }
    }
}

/// `None` where there is no such file, and where it does not have the module.
fn shared(name: &str) -> Option<String> {
    let (path, text) = pam_stack::of_system(name).ok()?;
    let is_ours = |rule: &&Rule| matches!(&rule.says, Says::Line(line) if line.is_module(MODULE));
    let line = PamFile::parse(&text).rules.iter().find(is_ours)?.line;
    Some(format!(
        "{}:{line}: {MODULE} is for sshd's own file; cron and others include this one",
        path.display()
    ))
}

fn files() -> Vec<String> {
    let mut wrong = Vec::new();
    let programs = [
        ("pam_iam.so", installed::module()),
        (paths::AGENT, installed::program(paths::AGENT)),
        (paths::HELPER, installed::program(paths::HELPER)),
    ];
    for (name, found) in programs {
        match found {
            InstalledFile::Good(_) => {}
            InstalledFile::Bad(path, why) => wrong.push(format!("{}: {why}", path.display())),
            InstalledFile::Missing => wrong.push(format!("{name} is not installed")),
        }
    }
    wrong.extend(revoked_file::mistakes());
    match node_keys::files() {
        Err(failure) => wrong.push(failure.error),
        Ok(files) => wrong.extend(
            files.iter().filter_map(|file| Some(format!("{} {}", file.path().display(), file.read().err()?))),
        ),
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn every_kind_of_file_is_looked_at() {
        let directory = Scratch::new();
        directory.write("config.toml", "lingers = 1\n");
        directory.write("issuers.d/a.toml", "issuer = \"http://a/\"\n");
        let wrong = configuration(&directory);
        assert!(
            wrong.len() == 2
                && wrong[0].contains("config.toml:1: unknown key")
                && wrong[1].contains("a.toml:1: "),
            "{wrong:?}"
        );
        directory.write("config.toml", "default_provider = \"b\"\n");
        directory.write("issuers.d/a.toml", "issuer = \"https://a/\"\n");
        let wrong = configuration(&directory);
        assert!(wrong.len() == 1 && wrong[0].contains("default_provider = 'b' is no provider"), "{wrong:?}");
        assert_eq!(configuration(&directory.join("none")), [""; 0]);
    }
}
