//! What the package has put on this host, and the places that it needs. Looks at files; changes none.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::paths;

/// Where libpam looks for modules: EL, Debian's multiarch (below), others.
const MODULE_DIRECTORIES: [&str; 4] =
    ["/usr/lib64/security", "/lib64/security", "/usr/lib/security", "/lib/security"];
const MODULE: &str = "pam_iam.so";
/// elf(5): e_ident, e_type and e_machine, which this program's own file must have the same of.
const ELF_HEAD: usize = 20;
const CLASS: usize = 4;
const MACHINE: std::ops::Range<usize> = 18..20;

/// A file that must be there and in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InstalledFile {
    /// It is.
    Good(PathBuf),
    /// It is not: which, and why not.
    Bad(PathBuf, &'static str),
    /// There is none.
    Missing,
}

/// The module where libpam finds it, of this machine's kind.
pub(crate) fn module() -> InstalledFile {
    let multiarch = ["/usr/lib", "/lib"].into_iter().filter_map(|above| fs::read_dir(above).ok());
    let multiarch = multiarch.flatten().flatten().map(|entry| entry.path().join("security"));
    let directories = MODULE_DIRECTORIES.iter().map(PathBuf::from).chain(multiarch);
    let found: Vec<PathBuf> =
        directories.map(|directory| directory.join(MODULE)).filter(|path| path.exists()).collect();
    let good = found.iter().find(|path| judge(path).is_none());
    match (good, found.first()) {
        (Some(path), _) => InstalledFile::Good(path.clone()),
        (None, Some(path)) => InstalledFile::Bad(path.clone(), judge(path).unwrap_or_default()),
        (None, None) => InstalledFile::Missing,
    }
}

fn judge(path: &Path) -> Option<&'static str> {
    if !is_roots(path) {
        return Some("root alone must be able to write it");
    }
    let (Some(module), Some(own)) = (elf(path), elf(Path::new("/proc/self/exe"))) else {
        return Some("it is no ELF file");
    };
    let same = module.get(CLASS) == own.get(CLASS) && module.get(MACHINE) == own.get(MACHINE);
    (!same).then_some("it is of another architecture than this program")
}

fn elf(path: &Path) -> Option<[u8; ELF_HEAD]> {
    let mut head = [0; ELF_HEAD];
    File::open(path).ok()?.read_exact(&mut head).ok()?;
    head.starts_with(b"\x7fELF").then_some(head)
}

/// A program that holds secrets: users may run it and not read it, or they could attach to it.
pub(crate) fn program(path: &str) -> InstalledFile {
    let path = PathBuf::from(path);
    let Ok(metadata) = fs::metadata(&path) else { return InstalledFile::Missing };
    if !metadata.is_file() || !is_roots(&path) {
        return InstalledFile::Bad(path, "it must be a file that root alone can write");
    }
    match metadata.mode() & 0o7777 {
        0o711 => InstalledFile::Good(path),
        _ => InstalledFile::Bad(path, "its mode must be 0711, so that who runs it cannot attach to it"),
    }
}

fn is_roots(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.uid() == 0 && metadata.mode() & 0o022 == 0)
}

/// Whether the module reads the site's directory, by its own rule; without one there is nothing to distrust.
pub(crate) fn site(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let wrong = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => format!("cannot be looked at ({error})"),
        Ok(metadata) if !metadata.is_dir() => "is no directory".to_owned(),
        Ok(_) if !is_roots(path) => "must be root's, and writable by root alone".to_owned(),
        Ok(_) => return Ok(()),
    };
    Err(format!("{shown} {wrong}: nobody is served"))
}

/// Whether runtime directories can be made where logind makes none.
pub(crate) fn runtime() -> InstalledFile {
    let path = PathBuf::from(paths::RUN);
    let Ok(metadata) = fs::symlink_metadata(&path) else { return InstalledFile::Missing };
    if !metadata.is_dir() || metadata.uid() != 0 || metadata.mode() & 0o7777 != 0o711 {
        return InstalledFile::Bad(path, "it must be a directory of root with mode 0711");
    }
    let above = fs::metadata("/run").map(|above| above.dev());
    if above.is_ok_and(|above| above == metadata.dev()) {
        return InstalledFile::Bad(path, "it is no mount of its own");
    }
    InstalledFile::Good(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_library_of_this_machine_is_told_from_other_files() {
        let own = elf(Path::new("/proc/self/exe")).unwrap();
        assert!(own.starts_with(b"\x7fELF"));
        assert_eq!(elf(Path::new("/etc/passwd")), None);
        assert_eq!(judge(Path::new("/etc/passwd")), Some("it is no ELF file"));
        assert_eq!(judge(Path::new("/bin/sh")), None);
    }

    #[test]
    fn a_site_directory_that_others_can_write_is_not_read() {
        let path = Scratch::new();
        assert_eq!(site(&path.join("none")), Ok(()));
        fs::set_permissions(&*path, fs::Permissions::from_mode(0o775)).unwrap();
        assert!(site(&path).is_err_and(|why| why.ends_with("writable by root alone: nobody is served")));
        assert!(site(Path::new("/etc/passwd")).is_err());
        assert_eq!(site(Path::new("/etc")), Ok(()));
    }

    #[test]
    fn what_users_can_read_holds_no_secrets() {
        assert!(matches!(program("/bin/sh"), InstalledFile::Bad(_, why) if why.starts_with("its mode")));
        assert_eq!(program("/nonexistent"), InstalledFile::Missing);
    }
}
