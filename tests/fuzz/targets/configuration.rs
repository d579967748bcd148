//! The three kinds of configuration files, by the way they are read: a mistake is one line that names the file.

use std::path::{Path, PathBuf};
use std::{fs, process};

use iam_session::config::{ConfigError, Providers, Site, User};

/// In the place of /etc/iam-session, and of a home; in memory, where there is such a place.
fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory } else { Path::new("/tmp") };
    parent.join(format!("iam-session-parsers-{}", process::id()))
}

fn read<T>(file: &Path, result: Result<T, ConfigError>) -> Option<T> {
    match result {
        Ok(read) => Some(read),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(&file.display().to_string()), "{text}");
            assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
            None
        }
    }
}

pub(crate) fn check(data: &[u8]) {
    let place = place();
    for directory in ["issuers.d", ".config/iam-session"] {
        fs::create_dir_all(place.join(directory)).expect("a directory for the files");
    }
    let write = |name: &str| {
        let path = place.join(name);
        fs::write(&path, data).expect("a file");
        path
    };
    let site = read(&write("config.toml"), Site::load(&place));
    if let Some(site) = site {
        assert!(site.store_dir.expand("alice", 1000, Path::new("/home/alice")).is_absolute());
    }
    if let Some(providers) = read(&write("issuers.d/wlcg.toml"), Providers::load(&place)) {
        for provider in providers.iter() {
            assert!(provider.issuer.starts_with("https://"), "{provider:?}");
            assert!(providers.by_alias(&provider.alias).is_some());
        }
    }
    read(&write(".config/iam-session/config.toml"), User::load(&place));
    fs::remove_dir_all(&place).expect("the files can be removed");
}
