//! Node keys (PROTOCOL.md, section 5). Writes below /etc/iam-session/keys.d.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::sandbox::Sandbox;

const DIRECTORY: &str = "/etc/iam-session/keys.d";

/// Writes a key under a name that begins with this time (`yyyymmddThhmmss`), and gives its path back.
pub(crate) fn add(sandbox: &Sandbox, time: &str) -> String {
    let mut key = [0; 32];
    getrandom::fill(&mut key).unwrap();
    let digest = Sha256::new().chain_update("iam-session/v1/key-id").chain_update(key).finalize();
    let path = format!("{DIRECTORY}/{time}-{}.key", HEXLOWER.encode(&digest[..8]));
    sandbox.write(&path, key, 0o400);
    fs::set_permissions(sandbox.path(DIRECTORY), fs::Permissions::from_mode(0o700)).unwrap();
    path
}
