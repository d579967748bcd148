//! Wrong passphrases, counted for all of a user's agents on this host: who guesses at one agent does not get a fresh try
//! at the next. Touches one file in the agents' directory.
//!
//! A program of the user's can remove it, as it can try passphrases on a copy of the store. It slows whoever sits down at
//! a terminal that was left.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::directory::{Directory, DirectoryError, Durability};

const NAME: &str = "guesses.json";
const MAX_FILE: usize = 1024;
/// After the first wrong passphrase, doubled after each further one up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The wrong ones since the last right one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Guesses {
    pub(super) wrong: u32,
    /// On CLOCK_BOOTTIME of the boot that is named.
    not_before: Duration,
    boot_id: String,
}

impl Guesses {
    pub(super) fn read(directory: &Directory, boot_id: &str) -> Self {
        let read = || serde_json::from_slice::<Self>(&directory.read(NAME, MAX_FILE).ok()??).ok();
        read().filter(|guesses| guesses.boot_id == boot_id).unwrap_or_default()
    }

    /// When the next one may be tried. A time further away than any pause is not ours.
    pub(super) fn not_before(&self, now: Duration) -> Duration {
        let (_, longest) = PAUSE;
        if self.not_before > now + longest { now } else { self.not_before }
    }

    /// One more.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub(super) fn add(
        mut self,
        directory: &Directory,
        boot_id: &str,
        now: Duration,
    ) -> Result<(), DirectoryError> {
        self.not_before = now + pause_after(self.wrong);
        self.wrong = self.wrong.saturating_add(1);
        boot_id.clone_into(&mut self.boot_id);
        let text = serde_json::to_vec(&self).unwrap_or_default();
        directory.replace(NAME, &text, Durability::Volatile)
    }

    /// A right one.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub(super) fn clear(directory: &Directory) -> Result<(), DirectoryError> {
        directory.remove(NAME)
    }
}

/// How long the next one waits after so many wrong ones and one more.
pub(super) fn pause_after(wrong: u32) -> Duration {
    let (first, longest) = PAUSE;
    (first * (1 << wrong.min(5))).min(longest)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::unistd::geteuid;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn they_add_up_over_agents_and_end_with_the_boot_or_a_right_one() {
        let path = std::env::temp_dir().join(format!("iam-session-guesses-{}", std::process::id()));
        let directory = Directory::create(&path, geteuid().as_raw()).unwrap();
        let read = || Guesses::read(&directory, "boot");
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            read().add(&directory, "boot", NOW).unwrap();
            assert_eq!(read().not_before(NOW), NOW + Duration::from_secs(pause));
        }
        assert_eq!(read().wrong, 7);
        assert_eq!(read().not_before(Duration::from_secs(1)), Duration::from_secs(1), "of no clock of ours");
        assert_eq!(Guesses::read(&directory, "another boot"), Guesses::default());
        Guesses::clear(&directory).unwrap();
        assert_eq!(read(), Guesses::default());
        fs::remove_dir_all(path).unwrap();
    }
}
