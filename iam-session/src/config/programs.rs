//! What a user says of programs that are to find no token: the table `programs`. Pure; touches nothing.

use super::ConfigError;
use super::document::ConfigEntry;

/// They are written into a line for a shell's eval, which must find nothing of its own in them.
const PROGRAMS: &str =
    "an array of at most 64 names of programs, of A-Z a-z 0-9 . _ + -, beginning with a letter or a digit";
const TABLE: &str = "a table with without_token";
const WITHOUT_TOKEN: &str = "without_token";
/// A shell reads the lines at each start.
const MAX_PROGRAMS: usize = 64;
/// NAME_MAX of every file system.
const MAX_NAME: usize = 255;

/// The programs that are to run without a token.
pub(super) fn without_token(table: &ConfigEntry<'_>) -> Result<Vec<String>, ConfigError> {
    let mut programs = Vec::new();
    for entry in table.entries(TABLE)? {
        if entry.key() != WITHOUT_TOKEN {
            return Err(entry.unknown(&[WITHOUT_TOKEN]));
        }
        programs = entry.strings(PROGRAMS)?;
        if let Some(wrong) = programs.iter().find(|name| !is_program(name)) {
            return Err(entry.wrong(wrong, PROGRAMS));
        }
        if programs.len() > MAX_PROGRAMS {
            return Err(entry.surplus("too many names", PROGRAMS));
        }
    }
    Ok(programs)
}

fn is_program(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= MAX_NAME
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::super::document::Document;
    use super::*;

    fn parse(text: &str) -> Result<Vec<String>, String> {
        let mut programs = Vec::new();
        let document = Document::of("c.toml", text);
        let read = document.each(|entry| {
            programs = without_token(entry)?;
            Ok(())
        });
        read.map_err(|error| error.to_string())?;
        Ok(programs)
    }

    #[test]
    fn programs_have_names_that_mean_nothing_to_a_shell() {
        let names = r#"["rucio", "g++", "dirac-proxy-init", "python3.9", "7z"]"#;
        let read = parse(&format!("[programs]\nwithout_token = {names}")).unwrap();
        assert_eq!(read, ["rucio", "g++", "dirac-proxy-init", "python3.9", "7z"]);
        for wrong in ["", "-n", "/usr/bin/rucio", "a b", "a;b", "$(x)", "a'b", "a\u{e9}", "~"] {
            let text = format!("[programs]\nwithout_token = [\"rucio\", \"{wrong}\"]");
            let expected = format!("c.toml:2: without_token = '{wrong}' is wrong; accepted: {PROGRAMS}");
            assert_eq!(parse(&text), Err(expected), "{wrong}");
        }
    }

    #[test]
    fn a_mistake_is_one_line_with_its_place() {
        let many = format!("[programs]\nwithout_token = [{}]", "\"a\",".repeat(MAX_PROGRAMS + 1));
        for (text, expected) in [
            ("programs = 1", format!("c.toml:1: programs is of type integer; accepted: {TABLE}")),
            (
                "[programs]\nwithout = []",
                "c.toml:2: unknown key 'without'; accepted: without_token".to_owned(),
            ),
            (
                "[programs]\nwithout_token = \"rucio\"",
                format!("c.toml:2: without_token is of type string; accepted: {PROGRAMS}"),
            ),
            (&many, format!("c.toml:2: too many names; accepted: {PROGRAMS}")),
        ] {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }
}
