//! The documents: sentences that are understood at the first reading, and names of files that are there. Reads the
//! sources; `cargo test --test documents -- --nocapture` prints the measures.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it happens")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Measured in full. Readers come to these first, and many of them are not native speakers.
const PLAIN: [&str; 2] = ["README.md", "ARCHITECTURE.md"];
/// In these, too, a sentence begins with its subject, and a link leads somewhere.
const ALL: [&str; 10] = [
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "PROTOCOL.md",
    "CONTRIBUTING.md",
    "tests/README.md",
    "docs/admin.md",
    "docs/programs.md",
    "docs/coming-from-oidc-agent.md",
    "docs/benchmarks.md",
];

const LONGEST: usize = 30;
const MEDIAN_BELOW: usize = 16;
/// Fewer words are a label, as in "**Example.**".
const LABEL: usize = 2;

/// Such a word at the start makes the reader wait for the subject. In a question it is right.
const REFUSED: [&str; 7] = ["Who", "Whose", "Whom", "Whoever", "What", "Of", "Where"];

/// What the names of files in a document may be relative to.
const ROOTS: [&str; 2] = ["", "iam-session/src"];
const KINDS: [&str; 8] = [".rs", ".md", ".sh", ".svg", ".toml", ".py", ".5", "/"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(document: &str) -> String {
    fs::read_to_string(repository().join(document)).unwrap()
}

/// The paragraphs and the items of lists, one text each: no headings, tables, code and comments.
fn blocks(text: &str) -> Vec<String> {
    let (mut blocks, mut is_code, mut is_open) = (Vec::<String>::new(), false, false);
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("```") {
            is_code = !is_code;
        }
        if is_code || line.is_empty() || ["```", "#", "|", "<!--"].iter().any(|mark| line.starts_with(mark)) {
            is_open = false;
            continue;
        }
        match item(line) {
            Some(item) => blocks.push(item.to_owned()),
            None if is_open => blocks.last_mut().unwrap().extend([" ", line]),
            None => blocks.push(line.to_owned()),
        }
        is_open = true;
    }
    blocks
}

/// The text of a list's item, if the line begins one.
fn item(line: &str) -> Option<&str> {
    let numbered = || line.trim_start_matches(|digit: char| digit.is_ascii_digit()).strip_prefix(". ");
    let is_numbered = line.starts_with(|digit: char| digit.is_ascii_digit());
    line.strip_prefix("- ").or_else(|| numbered().filter(|_| is_numbered))
}

/// A text as it is read aloud: a name in code counts as one word, of a link its text is left, of a picture nothing.
fn spoken(block: &str) -> String {
    let mut spoken = String::new();
    for (index, part) in block.split('`').enumerate() {
        if index % 2 == 1 {
            spoken += "code";
        } else {
            spoken += part;
        }
    }
    while let Some((start, rest)) = spoken.split_once("](") {
        let (_, rest) = rest.split_once(')').expect("the end of a link");
        let (before, label) = start.rsplit_once('[').expect("the start of a link");
        spoken = match before.strip_suffix('!') {
            Some(before) => format!("{before}{rest}"),
            None => format!("{before}{label}{rest}"),
        };
    }
    spoken.replace("**", "").replace(['*', '_'], "")
}

fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    for block in blocks(text) {
        let mut sentence = Vec::new();
        for word in spoken(&block).split_whitespace() {
            sentence.push(word.to_owned());
            if word.trim_end_matches([')', '"']).ends_with(['.', '?', '!']) {
                sentences.push(std::mem::take(&mut sentence).join(" "));
            }
        }
        sentences.push(sentence.join(" "));
    }
    sentences.retain(|sentence| words(sentence) > LABEL);
    sentences
}

fn words(sentence: &str) -> usize {
    sentence.split(' ').filter(|word| word.contains(char::is_alphanumeric)).count()
}

fn median(mut counts: Vec<usize>) -> usize {
    counts.sort_unstable();
    counts[counts.len() / 2]
}

/// What is in backquotes.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2))
}

/// Whether a piece of code names a file or a folder of the repository.
fn is_path(code: &str) -> bool {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    code.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && !code.contains("config.d/")
        && code.chars().all(is_name)
        && KINDS.iter().any(|kind| code.ends_with(kind))
}

/// As GitHub makes it of a heading.
fn anchor(heading: &str) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    text.split("```")
        .step_by(2)
        .flat_map(str::lines)
        .filter(|line| line.starts_with('#'))
        .map(anchor)
        .collect()
}

#[test]
fn sentences_are_short() {
    for document in ALL {
        let sentences = sentences(&read(document));
        let longest = sentences.iter().max_by_key(|sentence| words(sentence)).unwrap();
        let median = median(sentences.iter().map(|sentence| words(sentence)).collect());
        let count = sentences.len();
        println!("{document}: {count} sentences, median {median} words, longest {}", words(longest));
        if PLAIN.contains(&document) {
            let long: Vec<_> = sentences.iter().filter(|sentence| words(sentence) > LONGEST).collect();
            assert!(long.is_empty(), "{document}: over {LONGEST} words: {long:#?}");
            assert!(median < MEDIAN_BELOW, "{document}: half of the sentences have {median} words or more");
            assert!(count > 40, "{document}: {count} sentences were found");
        }
    }
}

#[test]
fn sentences_begin_with_their_subject() {
    let is_inverted = |sentence: &String| {
        let first = sentence.split(' ').next().unwrap_or_default();
        REFUSED.contains(&first) && !sentence.ends_with('?')
    };
    let inverted =
        |document: &&str| sentences(&read(document)).into_iter().filter(is_inverted).collect::<Vec<_>>();
    let all: Vec<_> = ALL.iter().map(|document| (document, inverted(document))).collect();
    assert!(all.iter().all(|(_, inverted)| inverted.is_empty()), "{all:#?}");
}

#[test]
fn files_that_the_architecture_names_are_there() {
    let text = read("ARCHITECTURE.md");
    let named: BTreeSet<&str> = code(&text).filter(|code| is_path(code)).collect();
    let is_there = |path: &&str| ROOTS.iter().any(|root| repository().join(root).join(path).exists());
    let missing: Vec<_> = named.iter().filter(|path| !is_there(path)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named.len() > 100, "{named:?}");
}

#[test]
fn the_architecture_has_all_that_is_at_the_top_of_the_programs() {
    let text = read("ARCHITECTURE.md");
    let named: BTreeSet<&str> =
        code(&text).map(|code| code.trim_end_matches(".rs").trim_end_matches('/')).collect();
    for entry in fs::read_dir(repository().join("iam-session/src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(named.contains(name) || name == "lib", "ARCHITECTURE.md does not name {name}");
    }
}

#[test]
fn links_lead_somewhere() {
    for document in ALL {
        let text = read(document);
        let here = repository().join(document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.contains("://") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { here.clone() } else { here.with_file_name("").join(path) };
            assert!(target.exists(), "{document}: {link}");
            if !heading.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                assert!(there.contains(heading), "{document}: {link}");
            }
        }
    }
}

#[test]
fn what_is_measured_is_prose() {
    let text = "# Of a heading\n\nOne `a b`, [two](x.md)\nthree. Who is it? ok.\n\n- **Label.** Of an item\n```\nOf code\n```\n| Of a table |\n";
    assert_eq!(sentences(text), ["One code, two three.", "Who is it?", "Of an item"]);
    assert_eq!(words("code — a (b)."), 3);
    assert_eq!(median(vec![9, 1, 5]), 5);
    assert_eq!(anchor("## What is it? `x`, y"), "what-is-it-x-y");
}
