//! The test vectors of PROTOCOL.md, section 6, for the unit tests. Touches nothing.

use data_encoding::HEXLOWER;

const PROTOCOL: &str = include_str!("../../PROTOCOL.md");

/// The bytes of the block with this title, all rows one after the other.
pub(crate) fn block(title: &str) -> Vec<u8> {
    rows(title).into_iter().flat_map(|(_, bytes)| bytes).collect()
}

/// The bytes of the first row of this name.
pub(crate) fn row(title: &str, name: &str) -> Vec<u8> {
    let found = rows(title).into_iter().find(|(row, _)| row == name);
    found.unwrap_or_else(|| panic!("no row '{name}' in '{title}'")).1
}

/// A row that goes on in the next line has no name there.
fn rows(title: &str) -> Vec<(String, Vec<u8>)> {
    let (_, block) = PROTOCOL.split_once(&format!("\n```text {title}\n")).expect("a block of this title");
    let (block, _) = block.split_once("\n```").expect("the block's end");
    let row = |line: &str| {
        let (name, digits) = line.rsplit_once("  ").expect("a name and digits");
        (name.trim_end().to_owned(), HEXLOWER.decode(digits.as_bytes()).expect("hexadecimal digits"))
    };
    block.lines().map(row).collect()
}
