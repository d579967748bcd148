//! The licence texts of what is linked into the programs, each once with the names of those it is of. Reads the
//! sources of the crates, writes one file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::crates::{self, Crate};
use crate::error::Error;

const HEAD: &str = "\
Programs of this package are linked from crates of others, from Rust's standard library (MIT OR Apache-2.0) and, where
they are static, from a C library. That is musl on x86_64 (MIT). It is the GNU C library for other processors, and where
the package was rebuilt (LGPL-2.1-or-later: LGPL-2.1.txt beside this file; the source package has all that it takes to
link them with another one). Where a licence is a choice with MIT in it, MIT was chosen.
";
/// That of the musl in Rust's toolchain.
const MUSL: &str = include_str!("../../licences/musl.txt");
const RULE: &str = "\n\n----------------------------------------------------------------------\n";

pub(crate) fn write(file: &Path) -> Result<(), Error> {
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in crates::linked()? {
        for text in texts(&one)? {
            owners.entry(text).or_default().push(format!("{} {} ({})", one.name, one.version, one.licence));
        }
    }
    // By who comes first, so that a change of one crate changes one place.
    let mut sections: Vec<_> = owners.into_iter().map(|(text, names)| (names, text)).collect();
    sections.sort();
    let mut all = HEAD.to_owned();
    let of_crates = sections.iter().map(|(names, text)| (names.join("\n"), text.as_str()));
    for (names, text) in std::iter::once(("musl (MIT)".to_owned(), MUSL.trim_end())).chain(of_crates) {
        // Writing to a String does not fail.
        write!(all, "{RULE}{names}\n\n{text}\n").unwrap_or_default();
    }
    fs::write(file, all).map_err(Error::at(file))
}

/// The texts beside a crate's manifest that apply to us.
fn texts(one: &Crate) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(&one.directory).map_err(Error::at(&one.directory))? {
        let name = entry.map_err(Error::at(&one.directory))?.file_name();
        names.extend(name.into_string().ok().filter(|name| is_licence(name)));
    }
    names.sort();
    let choice = one.licence.contains(" OR ") || one.licence.contains('/');
    if choice && names.iter().any(|name| is_mit(name)) {
        names.retain(|name| is_mit(name) || !is_choice(name));
    }
    if names.is_empty() {
        return Err(Error::NoLicence(one.name.clone()));
    }
    let read = |name: &String| {
        let path = one.directory.join(name);
        Ok(tidy(&fs::read_to_string(&path).map_err(Error::at(&path))?))
    };
    names.iter().map(read).collect()
}

fn is_licence(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let word = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
    word.iter().any(|word| name.starts_with(word)) && !name.ends_with(".HTML")
}

fn is_mit(name: &str) -> bool {
    name.to_ascii_uppercase().contains("MIT")
}

/// Another branch of the choice; not a notice, nor the licence of something that the crate contains.
fn is_choice(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["APACHE", "ISC", "UNLICENSE", "ZLIB", "BSD"].iter().any(|word| name.contains(word))
}

/// The same text with other line ends or blank lines around it is the same text.
fn tidy(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_linked_crate_has_a_licence_text() {
        let crates = crates::linked().unwrap();
        assert!(
            crates.iter().any(|one| one.name == "rustls")
                && crates.iter().any(|one| one.name == "pam-bindings")
        );
        assert!(!crates.iter().any(|one| one.name == "clap_derive"), "a macro is not linked");
        for one in crates {
            // Some have a line besides that names the choice.
            assert!(texts(&one).unwrap().iter().any(|text| text.len() > 100), "{one:?}");
        }
    }

    #[test]
    fn of_a_choice_only_mit_is_printed() {
        let shown = |name: &str| is_mit(name) || !is_choice(name);
        assert!(shown("LICENSE-MIT.txt") && shown("LICENSE-THIRD-PARTY") && shown("COPYRIGHT"));
        assert!(!shown("LICENSE-APACHE") && !shown("UNLICENSE"));
        assert!(is_licence("licence.md") && !is_licence("README.md"));
    }
}
