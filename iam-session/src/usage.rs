//! Turns clap's word on a wrong command line into one line and what to do. Prints `--help` and `--version`.

use clap::error::{Error as ParseError, ErrorKind};

use crate::outcome::{Stop, print};
use crate::protocol::Failure;

/// `--help` and `--version` are results; everything else is one line and what to do.
pub(crate) fn help_or_mistake(error: &ParseError, command: &str) -> Stop {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return print(text.as_bytes()).map_or_else(|stop| stop, |()| Stop::Done);
    }
    Stop::Failure(mistake(&text, command))
}

/// clap writes paragraphs: what is wrong, perhaps a tip, the usage, a pointer to the help.
fn mistake(text: &str, command: &str) -> Failure {
    let mut paragraphs = text.split("\n\n").map(joined);
    let what = paragraphs.next().unwrap_or_default();
    let [tip, usage] = ["tip: ", "Usage: "].map(|label| {
        paragraphs.clone().find_map(|paragraph| paragraph.strip_prefix(label).map(str::to_owned))
    });
    // It names the subcommand, too; not every mistake has one.
    let command = usage.as_deref().and_then(names).unwrap_or_else(|| command.to_owned());
    let help = format!("see '{command} --help'");
    Failure::usage(what.strip_prefix("error: ").unwrap_or(&what))
        .advise(tip.map_or_else(|| help.clone(), |tip| format!("{tip}; {help}")))
}

/// The program and its subcommand, of a usage that goes on with options and arguments.
fn names(usage: &str) -> Option<String> {
    let is_name = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
    let names: Vec<_> = usage.split(' ').take_while(is_name).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

fn joined(paragraph: &str) -> String {
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}
