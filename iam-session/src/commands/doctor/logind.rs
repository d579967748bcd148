//! Whether logind ends what a login left running, and the agent with it. Reads logind's configuration.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::finding::Finding;

/// A file of one name counts in the last of these that has it (logind.conf(5)).
const PLACES: [&str; 4] = ["/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd"];
const KEY: &str = "KillUserProcesses";

pub(super) fn look() -> Option<Finding> {
    let place = kills(&PLACES.map(Path::new))?;
    let what = format!(
        "{KEY}=yes in {}: logind ends at logout what the login left running, and the agent that stays for it",
        place.display()
    );
    let mend = "administrator: for tokens in tmux after a logout, set KillUserProcesses=no";
    Some(Finding::note("logind", &what, mend))
}

/// The file that says that logind does.
fn kills(places: &[&Path]) -> Option<PathBuf> {
    let main = places.iter().rev().map(|place| place.join("logind.conf")).find(|file| file.exists());
    let mut drop_ins = BTreeMap::new();
    for place in places {
        let files = fs::read_dir(place.join("logind.conf.d")).into_iter().flatten().flatten();
        let files = files.filter(|file| file.path().extension().is_some_and(|ending| ending == "conf"));
        drop_ins.extend(files.map(|file| (file.file_name(), file.path())));
    }
    let files = main.into_iter().chain(drop_ins.into_values());
    let mut said = files.filter_map(|file| Some((says(&fs::read_to_string(&file).ok()?)?, file)));
    said.next_back().and_then(|(kills, file)| kills.then_some(file))
}

/// What a file says last, if it says anything.
fn says(text: &str) -> Option<bool> {
    let values = text.lines().rev().filter_map(|line| line.trim().split_once('='));
    let mut values = values.filter(|(key, _)| key.trim_end() == KEY).map(|(_, value)| value.trim());
    // systemd does not mind capitals.
    values.next().map(|value| matches!(&*value.to_ascii_lowercase(), "1" | "yes" | "y" | "true" | "t" | "on"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_last_file_that_says_anything_counts() {
        let root = Scratch::new();
        let [usr, etc] = ["usr", "etc"].map(|name| root.join(name));
        let found = || kills(&[&usr, &etc]);
        assert_eq!(found(), None);
        root.write("usr/logind.conf", "[Login]\nKillUserProcesses=yes\n");
        assert_eq!(found(), Some(usr.join("logind.conf")));
        root.write("etc/logind.conf", "[Login]\n#KillUserProcesses=yes\n");
        assert_eq!(found(), None);
        let drop_in = root.write("usr/logind.conf.d/50-kill.conf", "KillUserProcesses = On\n");
        assert_eq!(found(), Some(drop_in));
        root.write("etc/logind.conf.d/50-kill.conf", "KillUserProcesses=no\n");
        assert_eq!(found(), None);
    }
}
