//! The crates of others that are linked into the programs. Runs cargo, which reads manifests and Cargo.lock.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::error::Error;

/// A crate that some program has code of.
#[derive(Debug)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    /// SPDX, as its manifest says it.
    pub(crate) licence: String,
    /// Where its sources are.
    pub(crate) directory: PathBuf,
}

/// By name and version. What runs at build time only, as procedural macros do, is not in the programs.
pub(crate) fn linked() -> Result<Vec<Crate>, Error> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--all-features"])?;
    let metadata: Value = serde_json::from_str(&metadata)
        .map_err(|error| Error::Cargo { command: "cargo metadata".to_owned(), why: error.to_string() })?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_others = |package: &&Value| !package["source"].is_null();
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let mut crates = Vec::new();
    for (name, version) in names()? {
        let same = |package: &&Value| package["name"] == *name && package["version"] == *version;
        let Some(package) = packages.iter().find(same) else {
            return Err(Error::Unknown(format!("{name} {version}")));
        };
        if of_others(&package) {
            let mut directory = PathBuf::from(text(package, "manifest_path"));
            directory.pop();
            crates.push(Crate { licence: text(package, "license"), name, version, directory });
        }
    }
    Ok(crates)
}

/// `cargo metadata` knows the features of the whole workspace; `cargo tree`, those of what is built.
fn names() -> Result<BTreeSet<(String, String)>, Error> {
    let programs = ["-p", "iam-session", "-p", "pam_iam", "--features", "iam-session/helper"];
    let shape = ["-e", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"];
    let tree = cargo(&[&["tree"], &programs[..], &shape[..]].concat())?;
    let name = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    Ok(tree.lines().filter_map(name).collect())
}

fn cargo(arguments: &[&str]) -> Result<String, Error> {
    let command = format!("cargo {} --locked", arguments.join(" "));
    let failed = |why: String| Error::Cargo { command: command.clone(), why };
    let output = Command::new("cargo").args(arguments).arg("--locked").output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        return Err(failed(messages.lines().last().unwrap_or("it says nothing").to_owned()));
    }
    String::from_utf8(output.stdout).map_err(|error| failed(error.to_string()))
}
