//! Makes what is in the package and not in the repository. Dispatch only; packaging/generated.sh calls it.
//!
//! ```text
//! generate completions DIRECTORY             bash, zsh and fish, where each looks for them below usr/share
//! generate licences FILE                     the texts of what is linked into the programs, each once
//! generate components FILE PROGRAMS          CycloneDX: crates with their sums, and the programs that were built
//! ```
#![forbid(unsafe_code)]

mod completions;
mod components;
mod crates;
mod error;
mod licences;

use std::path::Path;
use std::process::ExitCode;

use error::Error;

const USAGE: &str = "usage: generate completions DIRECTORY | licences FILE | components FILE PROGRAMS";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match generate(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(arguments: &[&str]) -> Result<(), Error> {
    match arguments {
        ["completions", directory] => completions::write(Path::new(directory)),
        ["licences", file] => licences::write(Path::new(file)),
        ["components", file, programs] => components::write(Path::new(file), Path::new(programs)),
        _ => Err(Error::Usage(USAGE)),
    }
}
