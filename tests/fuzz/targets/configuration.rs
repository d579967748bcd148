//! The three kinds of configuration files, by the way they are read: a mistake is one line that names the file.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fs, process};

use iam_session::config::{ConfigError, Providers, Site, User};

/// In the place of /etc/iam-session, and of a home.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let place = env::temp_dir().join(format!("iam-session-fuzz-{}", process::id()));
    for directory in ["issuers.d", ".config/iam-session"] {
        fs::create_dir_all(place.join(directory)).expect("a directory for the files");
    }
    place
});

fn check<T>(file: &Path, read: Result<T, ConfigError>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(&file.display().to_string()), "{text}");
            assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
            None
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let write = |name: &str| {
        let path = PLACE.join(name);
        fs::write(&path, data).expect("a file");
        path
    };
    let site = check(&write("config.toml"), Site::load(&PLACE));
    if let Some(site) = site {
        assert!(site.store_dir.expand("alice", 1000, Path::new("/home/alice")).is_absolute());
    }
    if let Some(providers) = check(&write("issuers.d/wlcg.toml"), Providers::load(&PLACE)) {
        for provider in providers.iter() {
            assert!(provider.issuer.starts_with("https://"), "{provider:?}");
            assert!(providers.by_alias(&provider.alias).is_some());
        }
    }
    check(&write(".config/iam-session/config.toml"), User::load(&PLACE));
});
