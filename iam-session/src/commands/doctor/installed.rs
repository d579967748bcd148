//! Whether what the package installs is there and has the modes it needs. Looks at files below /usr, and, as root,
//! at the names and modes of node keys.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::host;
use crate::host::node_keys::KeyFile;
use crate::paths::{AGENT, HELPER, SITE_CONFIG};

const MODULE: &str = "pam_iam.so";
/// One that every libpam has.
const NEIGHBOUR: &str = "pam_permit.so";
/// e_machine of what we run on (elf.h), where we know it.
const MACHINE: Option<u16> = if cfg!(target_arch = "x86_64") {
    Some(62)
} else if cfg!(target_arch = "aarch64") {
    Some(183)
} else {
    None
};
/// A program that its user cannot read cannot be attached to, either.
const PROGRAM_MODE: u32 = 0o711;

pub(super) fn module() -> Vec<Finding> {
    const CHECK: &str = "module";
    let directories = security_directories();
    let Some(path) = directories.iter().map(|directory| directory.join(MODULE)).find(|path| path.exists())
    else {
        let place =
            directories.first().map_or("libpam's directory".to_owned(), |one| one.display().to_string());
        let what = format!("there is no {MODULE} in {place}");
        return vec![Finding::wrong(CHECK, &what, "administrator: install the package")];
    };
    let name = path.display();
    let told = match fs::metadata(&path) {
        Err(error) => Err(format!("cannot look at {name}: {error}")),
        Ok(metadata) if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 => {
            Err(format!("{name} can be written by others than root"))
        }
        Ok(_) => fits(&path).map_err(|why| format!("{name} {why}")),
    };
    vec![match told {
        Ok(()) => Finding::ok(CHECK, &name.to_string()),
        Err(what) => {
            Finding::wrong(CHECK, &what, "administrator: install the package for this machine again")
        }
    }]
}

/// Where libpam looks on EL and Debian: each directory that has modules, once.
fn security_directories() -> Vec<PathBuf> {
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let below = [
        "/usr/lib64",
        &format!("/usr/lib/{multiarch}"),
        "/usr/lib",
        "/lib64",
        &format!("/lib/{multiarch}"),
        "/lib",
    ]
    .map(|directory| Path::new(directory).join("security"));
    below.into_iter().filter(|directory| directory.join(NEIGHBOUR).exists()).collect()
}

/// An ELF file of our class and machine (elf(5)).
fn fits(path: &Path) -> Result<(), String> {
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    let class = if cfg!(target_pointer_width = "64") { 2 } else { 1 };
    let [b'\x7f', b'E', b'L', b'F', its_class, .., low, high] = header else {
        return Err("is no ELF file".to_owned());
    };
    let machine = if cfg!(target_endian = "little") {
        u16::from_le_bytes([low, high])
    } else {
        u16::from_be_bytes([low, high])
    };
    if its_class != class || MACHINE.is_some_and(|ours| ours != machine) {
        return Err("is for another kind of machine".to_owned());
    }
    Ok(())
}

/// The two programs; for root also what only root sees.
pub(super) fn programs_and_keys(uid: u32) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [AGENT, HELPER].into_iter().filter_map(program).collect();
    if findings.is_empty() {
        let what = concat!("agent and helper are installed; this is version ", env!("CARGO_PKG_VERSION"));
        findings.push(Finding::ok("programs", what));
    }
    let mend = format!("administrator: chown root:root {SITE_CONFIG} && chmod go-w {SITE_CONFIG}");
    let site = host::installed::site(Path::new(SITE_CONFIG));
    findings.extend(site.err().map(|what| Finding::wrong("site", &what, &mend)));
    if uid == 0 {
        findings.extend(keys(&Path::new(SITE_CONFIG).join("keys.d")));
    }
    findings
}

/// What is wrong with a program.
fn program(path: &str) -> Option<Finding> {
    const CHECK: &str = "programs";
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            return Some(Finding::wrong(
                CHECK,
                &format!("{path}: {error}"),
                "administrator: install the package",
            ));
        }
    };
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    let mend = format!("administrator: chown root:root {path} && chmod 0711 {path}");
    (owner != 0 || mode != PROGRAM_MODE).then(|| {
        Finding::wrong(CHECK, &format!("{path} has owner {owner} and mode {mode:04o}, not 0 and 0711"), &mend)
    })
}

fn keys(directory: &Path) -> Vec<Finding> {
    const CHECK: &str = "node keys";
    let shown = directory.display();
    let Ok(metadata) = fs::symlink_metadata(directory) else {
        return vec![Finding::wrong(
            CHECK,
            &format!("there is no {shown}: enrolments cannot be sealed"),
            NEW_KEY,
        )];
    };
    let mut findings = Vec::new();
    if !is_roots(&metadata, 0o700) {
        let mend = format!("run 'chown root:root {shown} && chmod 0700 {shown}'");
        findings.push(Finding::wrong(CHECK, &format!("{shown} is not root's alone, mode 0700"), &mend));
    }
    let mut usable = 0_usize;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "key") {
            continue;
        }
        match unusable(&path) {
            None => usable += 1,
            Some(why) => {
                let what = format!("{} {why}", path.display());
                let mend = "copy it again, by its own name, root's and with mode 0400; or remove it";
                findings.push(Finding::wrong(CHECK, &what, mend));
            }
        }
    }
    findings.push(match usable {
        0 => Finding::wrong(CHECK, &format!("none in {shown} that can be used"), NEW_KEY),
        number => Finding::ok(CHECK, &format!("{number} in {shown}")),
    });
    findings
}

/// Why the module would not use a key.
fn unusable(path: &Path) -> Option<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match KeyFile::of(name) {
        None => Some("is not named TIME-ID.key, as 'iam-session-admin key add' does".to_owned()),
        Some(file) => file.read_at(path).err().map(|why| why.to_string()),
    }
}

const NEW_KEY: &str = "copy those of the hosts that share the homes, or run 'iam-session-admin key add'";

fn is_roots(metadata: &Metadata, mode: u32) -> bool {
    metadata.uid() == 0 && metadata.mode() & 0o7777 == mode
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::commands::doctor::finding::State;

    #[test]
    fn our_own_program_fits_and_a_text_does_not() {
        assert_eq!(fits(&std::env::current_exe().unwrap()), Ok(()));
        assert!(fits(Path::new("/etc/passwd")).is_err());
    }

    #[test]
    fn a_key_by_another_name_than_the_modules_is_no_key() {
        let directory = std::env::temp_dir().join(format!("iam-session-doctor-keys-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (unnamed, other) =
            (directory.join("a.key"), directory.join("20260101T000000-0011223344556677.key"));
        for path in [&unnamed, &other] {
            fs::write(path, [7; 32]).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
        }
        assert!(unusable(&unnamed).unwrap().starts_with("is not named"));
        // Of root's it is not the key that its name says; of another's it is not root's.
        assert!(unusable(&other).is_some());
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_directory_without_keys_is_wrong() {
        let found = keys(Path::new("/nonexistent/keys.d"));
        assert_eq!((found.len(), found[0].state), (1, State::Wrong));
    }
}
