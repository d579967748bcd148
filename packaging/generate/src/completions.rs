//! Completions of the command lines for bash, zsh and fish. Writes files.

use std::fs;
use std::path::Path;

use clap::Command;
use clap_complete::{Shell, generate};

use crate::error::Error;

/// Where each shell looks, below the root; NAME stands for the program's.
const PLACES: [(Shell, &str); 3] = [
    (Shell::Bash, "usr/share/bash-completion/completions/NAME"),
    (Shell::Zsh, "usr/share/zsh/site-functions/_NAME"),
    (Shell::Fish, "usr/share/fish/vendor_completions.d/NAME.fish"),
];

pub(crate) fn write(root: &Path) -> Result<(), Error> {
    for mut command in [iam_session::cli::command(), iam_session::admin::command()] {
        for (shell, place) in PLACES {
            let path = root.join(place.replace("NAME", command.get_name()));
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory).map_err(Error::at(directory))?;
            }
            fs::write(&path, script(shell, &mut command)).map_err(Error::at(&path))?;
        }
    }
    Ok(())
}

fn script(shell: Shell, command: &mut Command) -> String {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(shell, command, name.clone(), &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        // clap_complete 4.6 takes a hyphen in a program's name for the space before a subcommand in half of its
        // places, and then completes no option.
        Shell::Bash => script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__")),
        _ => script,
    }
}
