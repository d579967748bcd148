//! How many instructions a program executes, as valgrind's callgrind counts them: a figure that hardly differs between
//! two runs. Starts processes.

use crate::built::required;
use crate::host::Host;
use crate::login::Login;
use crate::provider::Provider;
use crate::sandbox::Kernel;

const VALGRIND: &str = "valgrind --tool=callgrind --callgrind-out-file=";
const SERVICE: &str = "counted";
/// As docs/benchmarks.md names them.
pub const TOKEN: &str = "`iam-session token`, cached";
/// The same.
pub const OPEN_SESSION: &str = "`open_session` and `close_session`, in `pam_iam.so` alone";

/// The module looks each millisecond whether its child has ended. On a busy machine it looks more often, so the least
/// of so many counts is that without a wait.
const TIMES: u32 = 8;

/// A host on which alice has her token, to count on.
pub struct Counted {
    // First, so that it goes before the host it runs on.
    _provider: Provider,
    host: Host,
    login: Login,
}

impl Counted {
    /// The usual one, on the kernel that runs: under a filter of system calls other code runs.
    pub fn start() -> Self {
        required("/usr/bin/valgrind", "valgrind");
        required("/usr/bin/pamtester", "pamtester");
        let host = Host::plan().kernel(Kernel::Running).start();
        host.add_node_key();
        let provider = Provider::start(&host);
        host.enroll(&provider, "alice");
        let stack =
            format!("session required pam_permit.so\nsession optional pam_iam.so services={SERVICE}\n");
        host.write(&format!("/etc/pam.d/{SERVICE}"), stack, 0o644);
        let login = host.login("alice");
        Self { _provider: provider, host, login }
    }

    /// Instructions of `iam-session token`, in a login that has its token.
    ///
    /// # Panics
    /// It gives none.
    pub fn cached_token(&self) -> u64 {
        let counts = "/tmp/token.callgrind";
        let command = format!("{VALGRIND}{counts} /usr/bin/iam-session token");
        assert!(self.login.run(&command).successful().stdout.starts_with("ey"), "no token");
        of_object(&self.host.read(counts), "/iam-session")
    }

    /// Instructions of `pam_iam.so` alone, without libpam and libc, for a session of alice's to begin and end.
    ///
    /// # Panics
    /// It does not begin.
    pub fn open_session(&self) -> u64 {
        let counts = "/tmp/session.callgrind";
        // A child that is to become the agent would write its own counts over these.
        let command = format!(
            "echo $$; exec {VALGRIND}{counts}.%p pamtester {SERVICE} alice open_session close_session"
        );
        let count = |_| {
            // A login tidies up after those before. This one finds nothing to be tidied up.
            self.host.as_root().run("rm -f /run/pam_iam/*").successful();
            let output = self.host.as_root().run(&command).successful();
            let (pid, said) = output.stdout.split_once('\n').unwrap();
            assert!(said.contains("successfully opened"), "{output:?}");
            of_object(&self.host.read(&format!("{counts}.{pid}")), "/pam_iam.so")
        };
        (0..TIMES).map(count).min().unwrap()
    }
}

/// The instructions of one object in what callgrind has written: those of the functions themselves. The line after a
/// `calls=` has those of the function that was called, which are counted where that function is.
fn of_object(counts: &str, name: &str) -> u64 {
    let mut objects = std::collections::BTreeMap::new();
    let (mut current, mut is_called, mut sum) = ("", false, 0);
    for line in counts.lines() {
        if let Some(object) = line.strip_prefix("ob=").or(line.strip_prefix("cob=")) {
            let (number, path) = object.split_once(' ').unwrap_or((object, ""));
            if !path.is_empty() {
                objects.insert(number, path);
            }
            if line.starts_with("ob=") {
                current = objects[number];
            }
        } else if line.starts_with("calls=") {
            is_called = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            if !is_called && current.ends_with(name) {
                sum += line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok()).unwrap();
            }
            is_called = false;
        }
    }
    assert!(sum > 0, "no instructions of {name}: {objects:?}");
    sum
}

#[cfg(test)]
mod tests {
    use super::of_object;

    #[test]
    fn what_was_called_counts_where_it_is() {
        let counts = "version: 1\nevents: Ir\nsummary: 150\n\nob=(1) /lib/libpam.so\nfn=(1) a\n0 10\ncob=(2) /x/pam_iam.so\n\
                      cfn=(2) b\ncalls=1 0\n0 140\n0 5\n\nob=(2)\nfn=(2)\n0 100\n+3 20\ncob=(1)\ncfn=(3) c\ncalls=2 0\n* 20\n\
                      ob=(1)\nfn=(3)\n0 15\n";
        assert_eq!(of_object(counts, "/pam_iam.so"), 120);
        assert_eq!(of_object(counts, "/libpam.so"), 30);
    }
}
