//! The same in an application that is not ours, pamtester, with pam_exec after the module.

use std::fs;
use std::process::{Command, Output};

use super::host::{Host, error, module, on_a_host};

fn pamtester(host: &Host, script: &str) -> Output {
    let stack = format!(
        "session optional {} start_wait=300ms\nsession required pam_exec.so log=/run/environment /usr/bin/env\n",
        module().display()
    );
    host.write("/etc/pam.d/sshd", &stack);
    host.agent(script);
    host.heard(|| {
        let _ = fs::remove_file("/run/environment");
        let mut command = Command::new("pamtester");
        command.args(["-v", "sshd", "alice", "open_session", "close_session"]);
        command.output().expect("pamtester is missing: tests/setup/packages.sh installs it")
    })
}

#[test]
fn a_session_opens_closes_and_its_variables_reach_the_next_module() {
    on_a_host(|host| {
        let output = pamtester(host, "say ready ends-soon");
        assert!(output.status.success(), "{output:?}");
        let environment = fs::read_to_string("/run/environment").unwrap();
        for name in
            ["BEARER_TOKEN_FILE=/run/iam-session/1000/bt_u1000-iam", "IAM_SESSION_SOCK=", "IAM_SESSION_ID="]
        {
            assert!(environment.contains(name), "{environment}");
        }
        let printed =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(printed.contains("ends within 7 days"), "{printed}");
    });
}

#[test]
fn as_an_optional_module_its_failure_fails_no_login() {
    on_a_host(|host| {
        let output = pamtester(host, "say failed socket; exit");
        assert!(output.status.success(), "{output:?}");
        assert!(!fs::read_to_string("/run/environment").unwrap().contains("IAM_SESSION"));
        assert_eq!(host.log(), [error("alice", "no session: the agent failed (socket)")]);
    });
}
