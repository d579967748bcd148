//! The storage element of the tests: xrootd with the scitokens plug-in, in a sandbox. Starts a process.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::built::{library, required};
use crate::certificate::Authority;
use crate::host::Host;
use crate::output;
use crate::provider::{ISSUER, Provider};
use crate::sandbox::Sandbox;
use crate::wait;

/// Its name.
const NAME: &str = "storage.example";
/// It does not run as root; its package makes this account.
const USER: &str = "xrootd";
/// What it exports, `/cms` and below, is here.
const DIRECTORY: &str = "/mnt/storage";
/// Its own files while it runs, and the issuer's keys as the scitokens library remembers them.
const STATE: &str = "/run/xrootd";
const CONFIGURATION: &str = "/etc/xrootd/storage.cfg";
const AUTHORIZATION: &str = "/etc/xrootd/scitokens.cfg";
const CERTIFICATE: &str = "/etc/xrootd/storage.pem";
const KEY: &str = "/etc/xrootd/storage.key";
const MESSAGES: &str = "/mnt/storage.log";
/// The last thing that it says before it serves.
const READY: &str = "xrootd anon@storage.example:1094 initialization completed.";

/// Where the grid's programs look for CAs.
const CERTIFICATES: &str = "/etc/grid-security/certificates";
/// The system's CAs, on Debian and on EL: the scitokens library fetches an issuer's keys with no others.
const BUNDLES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The server, and the programs that users read and write it with.
const PROGRAMS: [(&str, &str); 5] = [
    ("/usr/bin/xrootd", "xrootd-server"),
    ("/usr/bin/xrdcp", "xrootd-client"),
    ("/usr/bin/gfal-copy", "gfal2-util-scripts"),
    ("/usr/bin/davix-put", "davix"),
    ("/usr/bin/curl", "curl"),
];
/// Their plug-ins.
const LIBRARIES: [(&str, &str); 4] = [
    ("libXrdAccSciTokens-5.so", "xrootd-scitokens-plugins"),
    ("gfal2-plugins/libgfal_plugin_file.so", "gfal2-plugin-file"),
    ("gfal2-plugins/libgfal_plugin_http.so", "gfal2-plugin-http"),
    ("gfal2-plugins/libgfal_plugin_xrootd.so", "gfal2-plugin-xrootd"),
];

/// A storage element that takes tokens of the provider, by the audience of every WLCG service or by its own.
/// It ends with the sandbox.
pub struct Storage {
    xrootd: Child,
    directory: PathBuf,
}

impl Storage {
    /// The audience of tokens that are for it alone.
    pub const AUDIENCE: &str = "https://storage.example";

    /// Starts one in the sandbox of `host`, with a file `/cms/x`.
    ///
    /// # Panics
    /// It does not come up.
    pub fn start(host: &Host, provider: &Provider) -> Self {
        PROGRAMS.iter().for_each(|(program, package)| required(program, package));
        LIBRARIES.iter().for_each(|(name, package)| drop(library(name, package)));
        let sandbox = host.sandbox();
        sandbox.append("/etc/hosts", &format!("127.0.0.1 {NAME}\n"));
        trust(sandbox, &provider.authority);
        configure(sandbox, &provider.authority);
        sandbox.write(&format!("{DIRECTORY}/cms/x"), "event 1\n", 0o644);
        let own = format!("mkdir -m 0700 {STATE} && chown -R {USER}: {STATE} {DIRECTORY} {KEY}");
        host.as_root().run(&own).successful();
        let mut xrootd = run(sandbox);
        let ready = || sandbox.read(MESSAGES).contains(READY);
        wait::succeeds(|| ready() || xrootd.try_wait().unwrap().is_some());
        assert!(ready(), "xrootd does not come up:\n{}", sandbox.read(MESSAGES));
        Self { xrootd, directory: sandbox.path(DIRECTORY) }
    }

    /// Where xrootd's own programs find a file.
    pub fn url(&self, path: &str) -> String {
        format!("roots://{NAME}/{path}")
    }

    /// Where it is by HTTP.
    pub fn web_url(&self, path: &str) -> String {
        format!("davs://{NAME}:1094{path}")
    }

    /// What a file holds; `None` where there is none.
    pub fn contents(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.directory.join(path.trim_start_matches('/'))).ok()
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // It is nsenter that is killed, and must be waited for.
        self.xrootd.kill().unwrap_or_default();
        self.xrootd.wait().map(|_| ()).unwrap_or_default();
    }
}

/// Everybody on the host trusts the CA: the storage fetches the issuer's keys, users connect to the storage.
fn trust(sandbox: &Sandbox, authority: &Authority) {
    for bundle in BUNDLES.into_iter().filter(|bundle| sandbox.exists(bundle)) {
        sandbox.append(bundle, &authority.certificate);
    }
    sandbox.write(&format!("{CERTIFICATES}/tests.pem"), &authority.certificate, 0o644);
    output::run(sandbox.command("openssl").args(["rehash", CERTIFICATES]), b"").successful();
}

fn configure(sandbox: &Sandbox, authority: &Authority) {
    let identity = authority.identity(NAME);
    sandbox.write(CERTIFICATE, &identity.certificate, 0o644);
    sandbox.write(KEY, &identity.key, 0o600);
    sandbox.write(CONFIGURATION, configuration(), 0o644);
    sandbox.write(AUTHORIZATION, authorization(), 0o644);
}

fn configuration() -> String {
    format!(
        "all.export /cms
oss.localroot {DIRECTORY}
all.adminpath {STATE}
all.pidpath {STATE}
xrd.port 1094
xrd.tls {CERTIFICATE} {KEY}
# Who a client is, its token says.
xrd.tlsca noverify
xrootd.tls capable all
xrootd.seclib libXrdSec.so
sec.protocol ztn
ofs.authorize 1
ofs.authlib libXrdAccSciTokens.so config={AUTHORIZATION}
xrd.protocol XrdHttp:1094 libXrdHttp.so
http.header2cgi Authorization authz
"
    )
}

fn authorization() -> String {
    let audience = Storage::AUDIENCE;
    format!(
        "[Global]
audience = https://wlcg.cern.ch/jwt/v1/any, {audience}
onmissing = deny

[Issuer wlcg]
issuer = {ISSUER}
base_path = /
map_subject = False
default_user = {USER}
"
    )
}

/// xrootd, with a hostname of its own: it wants one that resolves.
fn run(sandbox: &Sandbox) -> Child {
    sandbox.write(MESSAGES, "", 0o644);
    let messages = fs::OpenOptions::new().append(true).open(sandbox.path(MESSAGES)).unwrap();
    let rename = format!("echo {NAME} >/proc/sys/kernel/hostname");
    let xrootd = format!("exec xrootd -R {USER} -c {CONFIGURATION}");
    let mut command = sandbox.command("unshare");
    command.args(["--uts", "--", "/bin/bash", "-c", &format!("{rename} && {xrootd}")]);
    command.env("XDG_CACHE_HOME", STATE);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(messages).spawn().unwrap()
}
