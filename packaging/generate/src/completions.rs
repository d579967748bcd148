//! Completions of the command line for bash, zsh and fish. Writes files.

use std::fs;
use std::path::Path;

use clap_complete::{Shell, generate};

use crate::error::Error;

/// Where each shell looks, below the root, and for which name.
const PLACES: [(Shell, &str); 3] = [
    (Shell::Bash, "usr/share/bash-completion/completions/iam-session"),
    (Shell::Zsh, "usr/share/zsh/site-functions/_iam-session"),
    (Shell::Fish, "usr/share/fish/vendor_completions.d/iam-session.fish"),
];

pub(crate) fn write(root: &Path) -> Result<(), Error> {
    for (shell, place) in PLACES {
        let mut script = Vec::new();
        generate(shell, &mut iam_session::cli::command(), "iam-session", &mut script);
        let path = root.join(place);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(Error::at(directory))?;
        }
        fs::write(&path, script).map_err(Error::at(&path))?;
    }
    Ok(())
}
