//! What the rows have in common: a login with a token, a storage element, and a server that says whose token came.
//! Starts processes.

use std::cell::RefCell;

use support::{Authority, Background, Host, ISSUER, Login, Output, Storage};

pub(crate) const PYTHON: &str = "/mnt/tools/readers/bin/python";
/// Where `server.py` is.
pub(crate) const SERVER: &str = "localhost:8555";
const CERTIFICATE: &str = "/etc/iam-session/readers.pem";

pub(crate) struct Scene<'h> {
    pub(crate) host: &'h Host,
    pub(crate) storage: &'h Storage,
    pub(crate) login: Login,
    server: RefCell<Background>,
}

impl<'h> Scene<'h> {
    pub(crate) fn start(host: &'h Host, storage: &'h Storage) -> Self {
        let authority = Authority::new();
        let identity = authority.identity("localhost");
        let authorities = authority.certificate + &host.read("/etc/iam-session/iam.example.pem");
        host.write(CERTIFICATE, authorities, 0o644);
        host.write("/mnt/readers.crt", &identity.certificate, 0o644);
        host.write("/mnt/readers.key", &identity.key, 0o600);
        host.write("/mnt/readers.py", include_str!("server.py"), 0o644);
        let mut command = host.as_root().command("python3");
        command.args(["/mnt/readers.py", "8555", "/mnt/readers.crt", "/mnt/readers.key"]);
        let mut server = Background::start(command);
        assert_eq!(server.line(), "ready");
        let login = host.login("alice");
        for trust in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "_condor_AUTH_SSL_CLIENT_CAFILE"] {
            login.run(&format!("export {trust}={CERTIFICATE}")).successful();
        }
        login.run("export X509_CERT_DIR=/etc/grid-security/certificates").successful();
        Self { host, storage, login, server: RefCell::new(server) }
    }

    /// HTCondor's schedd, which takes the provider's tokens.
    pub(crate) fn schedd(&self) -> Background {
        self.host.write("/mnt/schedd.sh", include_str!("schedd.sh"), 0o755);
        let schedd = Background::start(self.host.as_root().command("/mnt/schedd.sh"));
        let connect = "bash -c '</dev/tcp/127.0.0.1/9618'";
        self.host.wait_until("the schedd", || self.login.run(connect).status == 0);
        schedd
    }

    /// A program of the pinned ones, whose first line names a Python that is not on this machine.
    pub(crate) fn program(name: &str) -> String {
        format!("{PYTHON} /mnt/tools/readers/bin/{name}")
    }

    /// Runs lines of Python.
    pub(crate) fn python(&self, lines: &str) -> Output {
        assert!(!lines.contains('\''), "the shell quotes them so");
        self.login.run(&format!("{PYTHON} -c '{lines}'"))
    }

    /// What a command says of its version, or `pip` of that of a package, has this one.
    pub(crate) fn has_version(&self, command: &str, version: &str) {
        let output = self.login.run(&format!("pip() {{ {PYTHON} -m pip \"$@\"; }}; {command}"));
        let found = says(&output.stdout, version) || says(&output.stderr, version);
        assert!(found, "the page says {version}, and here is {output:?}");
    }

    /// Runs a command, and waits until the server has told of a request to this path; gives whose token came with it.
    pub(crate) fn sent(&self, command: &str, path: &str) -> String {
        let output = self.login.run(command);
        let mut server = self.server.borrow_mut();
        // A last request of ours ends what there is to read, if the command made none to the path.
        let ping = format!("curl -s https://{SERVER}/end -o /dev/null");
        self.login.run(&ping).successful();
        let mut seen = Vec::new();
        loop {
            let line = server.line();
            if line == "GET /end none" {
                break;
            }
            seen.push(line);
        }
        let of_path = |line: &&String| line.split(' ').nth(1) == Some(path) && !line.ends_with(" none");
        let line = seen.iter().find(of_path).or(seen.iter().find(|line| line.contains(path)));
        let line = line.unwrap_or_else(|| panic!("nothing came to {path}: {seen:?} {output:?}"));
        line.rsplit(' ').next().unwrap().to_owned()
    }

    /// The command sends the session's token to the path.
    pub(crate) fn sends_ours(&self, command: &str, path: &str) {
        assert_eq!(self.sent(command, path), ISSUER, "{command}");
    }

    /// It reads the file of the storage element.
    pub(crate) fn reads(&self, command: &str) {
        let output = self.login.run(command);
        assert!(output.status == 0 && output.stdout.contains("event 1"), "{command}: {output:?}");
    }

    pub(crate) fn is_refused(&self, command: &str) {
        let output = self.login.run(command);
        assert!(!output.stdout.contains("event 1") && output.status != 0, "{command}: {output:?}");
    }
}

/// Whether this version is in a text, or a later level of it: 2.21.0 is a 2.21, and neither 2.2 nor 1.
fn says(text: &str, version: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    text.match_indices(version).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + version.len()..]);
        !before.ends_with(is_part) && !after.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::says;

    #[test]
    fn a_version_is_found_whole() {
        assert!(
            says("gfal2-util 2.21.0", "2.21") && says("Version: 2.2\n", "2.2") && says("v5.5.3", "5.5.3")
        );
        assert!(!says("Version: 2.20\n", "2.2") && !says("12.2", "2.2") && !says("1.2.2", "2.2"));
    }
}
