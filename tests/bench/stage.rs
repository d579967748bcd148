//! The machine that is measured: the provider, alice, who has enrolled, and the peers, which have what she has. Starts
//! processes.

use std::fs;

use serde_json::Value;
use support::{Background, Host, ISSUER, Login, Process, Provider};

use crate::samples::Samples;

/// The CA of the provider alone; or, once [`Stage::trust_bundle`] was called, the system's and that.
const CA_FILE: &str = "/etc/iam-session/iam.example.pem";
const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Both, from the start.
const BUNDLE: &str = "/mnt/bundle.pem";
/// One that the provider knows without a registration.
const CLIENT: &str = "device-code-client";
const SECRET: &str = "secret";
const SCOPE: &str = "openid offline_access storage.read:/";
const HELPER: &str = "/usr/libexec/iam-session/helper";
const SESSION: &str = "/mnt/session";

/// Programs that are compared, by their whole paths: a search for one would be measured, too.
pub(crate) const TOKEN: &str = "/usr/bin/iam-session token";
pub(crate) const OIDC_TOKEN: &str = "/usr/bin/oidc-token";
pub(crate) const CURL: &str = "/mnt/curl.sh /etc/iam-session/iam.example.pem";
pub(crate) const CURL_BUNDLE: &str = "/mnt/curl.sh /mnt/bundle.pem";
pub(crate) const NOOP: &str = "/mnt/noop";

/// Services of PAM that differ in one line.
pub(crate) const OURS: &str = "bench-ours";
pub(crate) const PAM_EXEC: &str = "bench-exec";

pub(crate) struct Stage {
    // First, so that it goes before the host it runs on.
    pub(crate) provider: Provider,
    pub(crate) host: Host,
    /// Alice's, with the variables of all agents.
    pub(crate) login: Login,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let host = Host::plan().start();
        host.add_node_key();
        let provider = Provider::start(&host);
        host.enroll_with(&provider, "alice", "-s max");
        let bundle = host.read(SYSTEM_BUNDLE) + &host.read(CA_FILE);
        host.write(BUNDLE, bundle, 0o644);
        host.write("/mnt/bench", fs::read(std::env::current_exe().unwrap()).unwrap(), 0o755);
        compile(&host);
        for (service, line) in [
            (OURS, format!("optional pam_iam.so services={OURS}")),
            (PAM_EXEC, "required pam_exec.so /bin/true".to_owned()),
        ] {
            let stack = format!("session required pam_permit.so\nsession {line}\n");
            host.write(&format!("/etc/pam.d/{service}"), stack, 0o644);
        }
        let login = host.login("alice");
        let stage = Self { provider, host, login };
        stage.write_curl();
        stage.start_oidc_agent();
        stage.start_ssh_agent();
        stage
    }

    /// Everybody's CA file is that of a site which trusts what its system trusts.
    pub(crate) fn trust_bundle(&self) {
        self.host.write(CA_FILE, self.host.read(BUNDLE), 0o644);
    }

    /// Rounds of commands in a login; for each command its milliseconds.
    pub(crate) fn pairs(
        login: &Login,
        first: usize,
        rounds: usize,
        pause: u32,
        commands: &[String],
    ) -> Vec<Samples> {
        let quoted: String = commands.iter().map(|command| format!(" '{command}'")).collect();
        let output = login.run(&format!("/mnt/bench pairs {first} {rounds} {pause}{quoted}"));
        columns(&output.successful().stdout, 1e-6)
    }

    /// Rounds of `open_session` by these services, and of programs; for each its milliseconds.
    pub(crate) fn open_sessions(&self, rounds: usize, kinds: &[&str]) -> Vec<Samples> {
        let command = format!("{SESSION} time {rounds} alice {}", kinds.join(" "));
        columns(&self.host.as_root().run(&command).successful().stdout, 1e-6)
    }

    /// Until no mint of alice's lives, and with it no helper: they end when nobody has asked them for 30 s.
    pub(crate) fn wait_for_the_mints_end(&self) {
        let is_one = |process: &Process| process.command.ends_with(" mint") || process.runs(HELPER);
        self.host.wait_until("the end of all mints", || !self.host.processes_of("alice").iter().any(is_one));
    }

    /// So many sessions of alice's in one process, for as long as it lives.
    pub(crate) fn hold_sessions(&self, many: usize) -> Background {
        let mut command = self.host.as_root().command(SESSION);
        command.args(["hold", &many.to_string(), "alice", OURS]);
        let mut held = Background::start(command);
        assert_eq!(held.line(), "held");
        held
    }

    /// A refresh token by the device flow, as somebody with nothing but curl gets it.
    fn refresh_token(&self) -> String {
        let post = |path: &str, fields: &str| -> Value {
            let command = format!(
                "curl -sS --cacert {CA_FILE} -u {CLIENT}:{SECRET} -d client_id={CLIENT} {fields} {ISSUER}{path}"
            );
            serde_json::from_str(&self.host.as_root().run(&command).successful().stdout).unwrap()
        };
        let code = post("devicecode", &format!("-d 'scope={SCOPE}'"));
        self.provider.approve(code["user_code"].as_str().unwrap_or_else(|| panic!("{code}")), "alice");
        let grant = "-d grant_type=urn:ietf:params:oauth:grant-type:device_code";
        let token =
            post("token", &format!("{grant} -d device_code={}", code["device_code"].as_str().unwrap()));
        token["refresh_token"].as_str().unwrap_or_else(|| panic!("{token}")).to_owned()
    }

    fn write_curl(&self) {
        let fields = format!(
            "-u {CLIENT}:{SECRET} -d grant_type=refresh_token -d refresh_token={}",
            self.refresh_token()
        );
        let script = format!(
            "#!/bin/sh\ncurl -sS --fail --cacert \"$1\" {fields} -d \"scope=$2\" {ISSUER}token | jq -er .access_token\n"
        );
        self.host.write("/mnt/curl.sh", script, 0o755);
    }

    fn start_oidc_agent(&self) {
        for file in ["issuer.config", "pubclients.config"].map(|name| format!("/etc/oidc-agent/{name}")) {
            self.host.write(&file, fs::read(&file).expect("install oidc-agent-cli"), 0o644);
        }
        let token = self.refresh_token();
        self.login.run("eval $(oidc-agent)").successful();
        let generate = format!(
            "OIDC_REFRESH_TOKEN={token} oidc-gen bench --manual --issuer={ISSUER} --client-id={CLIENT} --client-secret={SECRET} \
             --rt-env --cert-path={CA_FILE} --scope='{SCOPE}' --pw-cmd='echo bench' --prompt=none --confirm-default"
        );
        self.login.run(&generate).successful();
        self.login.run(&format!("{OIDC_TOKEN} bench")).successful();
    }

    fn start_ssh_agent(&self) {
        self.login
            .run("eval $(ssh-agent) && ssh-keygen -q -t ed25519 -N '' -f key && ssh-add -q key")
            .successful();
    }
}

/// The programs in C: a PAM application, and one that does nothing.
fn compile(host: &Host) {
    host.write("/mnt/session.c", include_str!("session.c"), 0o644);
    host.write("/mnt/noop.c", "int main(void) { return 0; }\n", 0o644);
    let compile = format!("cc -O2 -o {SESSION} /mnt/session.c -lpam && cc -O2 -static -o {NOOP} /mnt/noop.c");
    host.as_root().run(&compile).successful();
}

/// Rows of numbers by column, each times `factor`.
pub(crate) fn columns(lines: &str, factor: f64) -> Vec<Samples> {
    let row =
        |line: &str| line.split(' ').map(|field| field.parse::<f64>().unwrap() * factor).collect::<Vec<_>>();
    let rows: Vec<Vec<f64>> = lines.lines().map(row).collect();
    (0..rows[0].len()).map(|column| Samples::new(rows.iter().map(|row| row[column]).collect())).collect()
}
