//! Whom we trust to name an issuer: the system's CA bundle, the grid's, and what the provider's file adds.
//! Reads CA files; never the environment (SSL_CERT_FILE and SSL_CERT_DIR are the user's).

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::wire::Transport;

/// The system's bundle: the first that exists. Red Hat and its kin, Debian, SUSE, Alpine and the BSDs.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Where grid sites keep the IGTF's CAs.
const GRID_DIRECTORY: &str = "/etc/grid-security/certificates";
/// The largest bundle of a system is below 1 MiB.
const MAX_FILE: u64 = 8 * 1024 * 1024;
/// The IGTF distribution has a few hundred files.
const MAX_ENTRIES: usize = 8192;

/// Why there is nobody to trust.
#[derive(Debug, thiserror::Error)]
pub(super) enum RootsError {
    #[error("cannot read CA certificates from {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("no CA certificate is in {}", path.display())]
    Empty { path: PathBuf },
    #[error("no CA certificates are installed on this system")]
    Nobody,
}

/// All roots for `transport`.
///
/// # Errors
/// What the provider's file names must be readable; what the system may have need not be there.
pub(super) fn roots(transport: &Transport) -> Result<RootCertStore, RootsError> {
    let mut certificates = HashSet::new();
    for bundle in SYSTEM_BUNDLES.map(Path::new) {
        if let Ok(found) = read_file(bundle) {
            certificates.extend(found);
            break;
        }
    }
    if let Ok(found) = read_directory(Path::new(GRID_DIRECTORY)) {
        certificates.extend(found);
    }
    if let Some(file) = transport.ca_file.as_deref().map(Path::new) {
        let found = read_file(file).map_err(|source| RootsError::Unreadable { path: file.into(), source })?;
        if found.is_empty() {
            return Err(RootsError::Empty { path: file.into() });
        }
        certificates.extend(found);
    }
    if let Some(directory) = transport.ca_dir.as_deref().map(Path::new) {
        let found = read_directory(directory);
        certificates
            .extend(found.map_err(|source| RootsError::Unreadable { path: directory.into(), source })?);
    }
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates);
    if store.is_empty() { Err(RootsError::Nobody) } else { Ok(store) }
}

/// All that can be read of a directory of PEM files; what cannot is skipped, for such directories also hold
/// revocation lists, policies and certificates of other times.
fn read_directory(directory: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut seen = HashSet::new();
    let mut certificates = Vec::new();
    for entry in directory.read_dir()?.take(MAX_ENTRIES) {
        let path = entry?.path();
        if !is_certificate_name(&path) {
            continue;
        }
        let Ok(file) = open_regular(&path) else { continue };
        // Each certificate is there under its own name and under a hash of its subject.
        if !file.metadata().is_ok_and(|metadata| seen.insert((metadata.dev(), metadata.ino()))) {
            continue;
        }
        certificates.extend(read_pem(file).unwrap_or_default());
    }
    Ok(certificates)
}

/// `*.pem`, `*.crt`, and `<hash>.0` with the further numbers of colliding hashes (openssl-rehash(1)).
fn is_certificate_name(path: &Path) -> bool {
    path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| {
        let is_number = !extension.is_empty() && extension.bytes().all(|byte| byte.is_ascii_digit());
        is_number || matches!(extension, "pem" | "crt")
    })
}

fn read_file(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    read_pem(open_regular(path)?)
}

/// O_NONBLOCK, so that a FIFO in place of a file cannot hold us up.
fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// Sections that are no certificate, or a broken one, are left out.
fn read_pem(file: File) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut text = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut text)?;
    Ok(CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_certificates() {
        for (name, is) in [
            ("a.pem", true),
            ("a.crt", true),
            ("1ea2c5b6.0", true),
            ("1ea2c5b6.12", true),
            ("1ea2c5b6.r0", false),
            ("a.signing_policy", false),
            ("pem", false),
            ("a.", false),
        ] {
            assert_eq!(is_certificate_name(Path::new(name)), is, "{name}");
        }
    }

    #[test]
    fn what_the_provider_names_must_be_there() {
        let file = Transport { ca_file: Some("/nonexistent/ca.pem".into()), ..Transport::default() };
        let error = roots(&file).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/ca.pem"), "{error}");
        let directory = Transport { ca_dir: Some("/nonexistent/".into()), ..Transport::default() };
        assert!(matches!(roots(&directory), Err(RootsError::Unreadable { .. })));
        let empty = Transport { ca_file: Some("/proc/self/cmdline".into()), ..Transport::default() };
        assert!(matches!(roots(&empty), Err(RootsError::Empty { .. })));
        let device = Transport { ca_file: Some("/dev/null".into()), ..Transport::default() };
        assert!(matches!(roots(&device), Err(RootsError::Unreadable { .. })));
    }
}
