//! A running helper: started clean, asked a line at a time, ended with whoever started it. Starts a process.
//!
//! The agent's mint, the command line (`token --once`, `doctor`) and root's `end-grants` use it; it is the only way to an
//! issuer.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::issuer::wire::{
    DEADLINE, ErrorClass, HelperAnswer, HelperReply, HelperRequest, IssuerError, MAX_LINE, UNTRUSTED,
};
use crate::line::{self, LineError, Lines, Wait};
use crate::paths;
use crate::protocol::{Failure, FailureKind};

/// On top of the helper's own deadline: its start, reading a bundle of roots on a busy node.
const MARGIN: Duration = Duration::from_secs(10);

/// Why the helper gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelperError {
    /// It cannot be started.
    #[error("cannot start {}: {source}", path.display())]
    Start { path: PathBuf, source: io::Error },
    /// It does not speak as agreed, or not at all.
    #[error("the issuer helper failed: {0}")]
    Broken(LineError),
    /// It answered something else than was asked.
    #[error("the issuer helper answered something else than was asked")]
    Garbage,
    /// The descriptor that interrupts became readable; the answer is still to come.
    #[error("interrupted")]
    Interrupted,
    /// The issuer did not do it, or could not be asked.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
}

impl HelperError {
    /// Whether trying again later may help.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Issuer(error) if matches!(error.class, ErrorClass::Unreachable | ErrorClass::Busy))
    }
}

impl From<HelperError> for Failure {
    fn from(error: HelperError) -> Self {
        let (kind, hint) = match &error {
            HelperError::Start { .. } => (FailureKind::Failed, Some("is the package installed completely?")),
            // The message says who can see to it.
            HelperError::Issuer(error)
                if error.class == ErrorClass::Unreachable && error.message.contains(UNTRUSTED) =>
            {
                (FailureKind::Unreachable, None)
            }
            HelperError::Issuer(error) => classified(error.class),
            _ => (FailureKind::Failed, None),
        };
        Self { error: error.to_string(), info: hint.map(str::to_owned), kind }
    }
}

/// The issuer gave a token for somebody else.
pub(crate) fn not_for(issuer: &str, audience: &str) -> Failure {
    let hint = "the issuer does not know this audience, or takes it another way: ask its administrators";
    Failure::refused(format!("{issuer} did not make the token for '{audience}'")).advise(hint)
}

/// Nobody can show a code.
pub(crate) fn no_device_flow(issuer: &str) -> Failure {
    let hint = "where it has one that its discovery document does not name, 'device_authorization_endpoint' in the \
                provider's file names it";
    Failure::failed(format!("{issuer} offers no device flow")).advise(hint)
}

fn classified(class: ErrorClass) -> (FailureKind, Option<&'static str>) {
    use ErrorClass as E;
    match class {
        E::Unreachable | E::Busy => (FailureKind::Unreachable, Some("try again later")),
        E::AupUnsigned => (FailureKind::Refused, Some("sign it there, in a browser")),
        E::RegistrationClosed => (
            FailureKind::Refused,
            Some(
                "name a client with --client-id, or give an initial access token with --initial-access-token-file",
            ),
        ),
        E::ScopeRefused => (FailureKind::Refused, Some("ask for fewer scopes with -s")),
        E::UserSuspended | E::ClientSuspended => {
            (FailureKind::Refused, Some("ask the issuer's administrators"))
        }
        E::AccessDenied | E::Refused | E::AudienceRefused => (FailureKind::Refused, None),
        E::CredentialDead | E::ClientGone => (
            FailureKind::NotEnrolled,
            Some("'iam-session status' says which account must be enrolled again, and how"),
        ),
        E::ExpiredToken => (FailureKind::Failed, Some("run the command again for a new code")),
        E::Malformed | E::AuthorizationPending | E::SlowDown => (FailureKind::Failed, None),
    }
}

/// A helper. It ends when this is dropped, whatever it is doing.
pub(crate) struct Helper {
    child: Child,
    requests: ChildStdin,
    replies: ChildStdout,
    lines: Lines,
}

impl Helper {
    /// Starts `program` without arguments and with the environment of PROTOCOL.md, section 1.
    ///
    /// It is in a process group of its own: a Ctrl-C at the terminal is for the command line to answer, and
    /// what it answers may need the helper.
    pub(crate) fn start(program: &Path) -> Result<Self, HelperError> {
        Self::spawn(program, Command::new(program).process_group(0).stderr(Stdio::null()))
    }

    /// The same for a mint, which has its session's record as descriptor 2 and passes it on: PROTOCOL.md, section 7.
    pub(crate) fn start_in_session(program: &Path) -> Result<Self, HelperError> {
        Self::spawn(program, Command::new(program).process_group(0).stderr(Stdio::inherit()))
    }

    /// The same for root, who has no business in reading what comes from the network: root's tool starts it, as the
    /// package's system user, in a session of its own and with nothing of root's.
    pub(crate) fn start_for_root() -> Result<Self, HelperError> {
        let program = Path::new(paths::ADMIN);
        Self::spawn(program, Command::new(program).arg("helper").stderr(Stdio::null()))
    }

    fn spawn(program: &Path, command: &mut Command) -> Result<Self, HelperError> {
        let failed = |source| HelperError::Start { path: program.to_owned(), source };
        let mut child = command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (requests, replies) = pipes.ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        let helper = Self { child, requests, replies, lines: Lines::new(MAX_LINE) };
        // Ours alone: the helper's ends of the pipes are other open file descriptions.
        line::unblock(&helper.requests).and_then(|()| line::unblock(&helper.replies)).map_err(failed)?;
        Ok(helper)
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`HelperError`]; after `Interrupted`, [`receive`](Self::receive) still gets the answer.
    pub(crate) fn ask(
        &mut self,
        request: &HelperRequest,
        interrupt: Option<BorrowedFd<'_>>,
    ) -> Result<HelperAnswer, HelperError> {
        let line = line::encode(request, MAX_LINE).map_err(HelperError::Broken)?;
        line::send(&mut self.requests, &line, Wait::at_most(DEADLINE)).map_err(HelperError::Broken)?;
        self.receive(interrupt)
    }

    /// Waits for the answer to the last request.
    pub(crate) fn receive(&mut self, interrupt: Option<BorrowedFd<'_>>) -> Result<HelperAnswer, HelperError> {
        let wait = Wait::at_most(DEADLINE + MARGIN).unless(interrupt);
        let line = self.lines.next(&mut self.replies, wait).map_err(|error| match error {
            LineError::Interrupted => HelperError::Interrupted,
            error => HelperError::Broken(error),
        })?;
        match serde_json::from_slice(&line) {
            Ok(HelperReply::Ok(answer)) => Ok(answer),
            Ok(HelperReply::Error(error)) => Err(error.into()),
            Err(_) => Err(HelperError::Garbage),
        }
    }
}

/// Asks, exactly once, the helper that is kept from request to request, so that its connection to the issuer stays
/// open. One that broke is not asked again: the next request gets another.
pub(crate) fn ask(kept: &mut Option<Helper>, request: &HelperRequest) -> Result<HelperAnswer, HelperError> {
    let mut helper = match kept.take() {
        Some(helper) => helper,
        None => Helper::start_in_session(Path::new(paths::HELPER))?,
    };
    let answer = helper.ask(request, None);
    if matches!(answer, Ok(_) | Err(HelperError::Issuer(_))) {
        *kept = Some(helper);
    }
    answer
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It keeps nothing that a kill could spoil; waiting leaves no zombie to a long-lived parent.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::wire::Operation;
    use crate::scratch::Scratch;

    /// A program of shell text in place of the helper.
    struct Script(Scratch);

    impl Script {
        fn new(text: &str) -> Self {
            let scratch = Scratch::new();
            // Written by a child: a descriptor open for writing here could be inherited by the fork of a test
            // beside this one, and execve(2) would answer ETXTBSY.
            let install = r#"printf '#!/bin/sh\n%s\n' "$1" >"$0" && chmod 755 "$0""#;
            let status = Command::new("sh")
                .args(["-c", install])
                .arg(scratch.join("helper"))
                .arg(text)
                .status()
                .unwrap();
            assert!(status.success());
            Self(scratch)
        }

        fn ask(&self) -> Result<HelperAnswer, HelperError> {
            Helper::start(&self.0.join("helper"))?.ask(&request(), None)
        }
    }

    fn request() -> HelperRequest {
        Operation::Discover { issuer: "https://issuer.example/".into() }.over(&Default::default())
    }

    #[test]
    fn no_advice_enrols_another_account() {
        let dead = |class| IssuerError { class, message: "m".into(), status: None, retry_after: None };
        for class in [ErrorClass::CredentialDead, ErrorClass::ClientGone, ErrorClass::ExpiredToken] {
            let info = Failure::from(HelperError::Issuer(dead(class))).info.unwrap();
            assert!(!info.contains("iam-session enroll"), "which account is not known here: {info}");
        }
    }

    #[test]
    fn an_answer_comes_back() {
        let script = Script::new(r#"read -r line; echo '{"ok":{"answer":"done"}}'"#);
        assert!(matches!(script.ask(), Ok(HelperAnswer::Done)));
    }

    #[test]
    fn the_environment_is_clean() {
        let script = Script::new(
            r#"read -r line; unset PWD OLDPWD SHLVL _; n=$(/usr/bin/env -u PWD -u OLDPWD -u SHLVL -u _ | tr '\n' ' ')
            echo "{\"error\":{\"class\":\"refused\",\"message\":\"$n$(pwd) $#\"}}""#,
        );
        assert_eq!(script.ask().unwrap_err().to_string(), "PATH=/usr/bin:/bin / 0");
    }

    #[test]
    fn an_issuers_error_keeps_its_class() {
        let script = Script::new(
            r#"read -r line; echo '{"error":{"class":"busy","message":"503 at x","status":503}}'"#,
        );
        let error = script.ask().unwrap_err();
        assert!(error.is_passing());
        let failure = Failure::from(error);
        assert_eq!((failure.error.as_str(), failure.kind), ("503 at x", FailureKind::Unreachable));
    }

    #[test]
    fn nobody_is_told_to_wait_for_another_certificate() {
        let failure = |class, message: &str| {
            Failure::from(HelperError::Issuer(IssuerError {
                class,
                message: message.into(),
                status: None,
                retry_after: None,
            }))
        };
        let untrusted = failure(
            ErrorClass::Unreachable,
            "cannot reach i.example: its certificate has expired: tell them",
        );
        assert_eq!((untrusted.info, untrusted.kind), (None, FailureKind::Unreachable));
        let down = failure(ErrorClass::Unreachable, "i.example did not answer");
        assert_eq!(down.info.as_deref(), Some("try again later"));
        // The issuer's own words, which it chooses.
        let dead = failure(ErrorClass::CredentialDead, "i.example: invalid_grant: its certificate");
        assert_eq!(dead.kind, FailureKind::NotEnrolled);
    }

    #[test]
    fn a_helper_that_dies_or_babbles_is_an_error() {
        assert!(matches!(Script::new("exit 1").ask(), Err(HelperError::Broken(LineError::Closed))));
        assert!(matches!(Script::new("echo hello; read -r line").ask(), Err(HelperError::Garbage)));
    }

    #[test]
    fn a_missing_helper_is_named() {
        let error = Helper::start(Path::new("/nonexistent/helper")).err().map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("cannot start /nonexistent/helper: No such file or directory (os error 2)")
        );
    }
}
