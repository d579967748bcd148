//! What is inside the package, as CycloneDX 1.5: every linked crate with its sum in the registry, and the sums of the
//! programs themselves. Reads Cargo.lock and the programs, writes one file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::crates::{self, Crate};
use crate::error::Error;

const GLIBC: &[u8] = b"GLIBC_TUNABLES";

pub(crate) fn write(file: &Path, programs: &Path) -> Result<(), Error> {
    let sums = sums()?;
    let mut components = programs_in(programs)?;
    // A static glibc reads this variable, and musl has none like it.
    let agent = programs.join("agent");
    let bytes = fs::read(&agent).map_err(Error::at(&agent))?;
    let is_glibc = bytes.windows(GLIBC.len()).any(|window| window == GLIBC);
    let (libc, licence) = if is_glibc { ("glibc", "LGPL-2.1-or-later") } else { ("musl", "MIT") };
    components.push(json!({
        "type": "library", "name": libc, "licenses": [{"expression": licence}],
        "description": "linked into the programs that are static",
    }));
    for one in crates::linked()? {
        components.push(component(&one, &sums)?);
    }
    // No serial number and no time: the same sources give the same bytes.
    let whole = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {
            "type": "application", "name": "iam-session", "version": env!("CARGO_PKG_VERSION"),
            "licenses": [{"expression": "Apache-2.0"}],
        }},
        "components": components,
    });
    fs::write(file, format!("{whole:#}\n")).map_err(Error::at(file))
}

fn programs_in(directory: &Path) -> Result<Vec<Value>, Error> {
    let mut programs = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(Error::at(directory))? {
        let path = entry.map_err(Error::at(directory))?.path();
        let bytes = fs::read(&path).map_err(Error::at(&path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        programs.insert(name, HEXLOWER.encode(&Sha256::digest(bytes)));
    }
    let file =
        |(name, sum)| json!({"type": "file", "name": name, "hashes": [{"alg": "SHA-256", "content": sum}]});
    Ok(programs.into_iter().map(file).collect())
}

fn component(one: &Crate, sums: &BTreeMap<(String, String), String>) -> Result<Value, Error> {
    let Crate { name, version, licence, .. } = one;
    let Some(sum) = sums.get(&(name.clone(), version.clone())) else {
        return Err(Error::Unknown(format!("the sum of {name} {version}")));
    };
    Ok(json!({
        "type": "library", "name": name, "version": version,
        "purl": format!("pkg:cargo/{name}@{}", version.replace('+', "%2B")),
        // Older manifests wrote a slash where SPDX has OR.
        "licenses": [{"expression": licence.replace('/', " OR ")}],
        "hashes": [{"alg": "SHA-256", "content": sum}],
    }))
}

/// The sums of Cargo.lock by name and version.
fn sums() -> Result<BTreeMap<(String, String), String>, Error> {
    let path = Path::new("Cargo.lock");
    let lock = fs::read_to_string(path).map_err(Error::at(path))?;
    Ok(lock.split("[[package]]").filter_map(sum).collect())
}

fn sum(entry: &str) -> Option<((String, String), String)> {
    let value = |key: &str| {
        let prefix = format!("{key} = \"");
        let line = entry.lines().find_map(|line| line.strip_prefix(&prefix))?;
        Some(line.strip_suffix('"')?.to_owned())
    };
    Some(((value("name")?, value("version")?), value("checksum")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_lock_file_gives_its_sum() {
        let entry = "\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry\"\nchecksum = \"ab\"\ndependencies = [\n \"b\",\n]\n";
        assert_eq!(sum(entry), Some((("a".to_owned(), "1.0.0".to_owned()), "ab".to_owned())));
        assert_eq!(sum("\nname = \"ours\"\nversion = \"0.1.0\"\n"), None);
    }
}
