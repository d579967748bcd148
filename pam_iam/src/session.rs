//! A login and its end. Ties the other files together.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::write;
use pam::constants::PAM_TEXT_INFO;
use pam::conv::Conv;
use pam::items::{RHost, Service};
use pam::module::PamHandle;

use crate::agent::{Agent, Answer};
use crate::error::OpenError;
use crate::ffi::{self, kept_session};
use crate::hint::Hint;
use crate::launch::{Pipe, Plan};
use crate::lifeline::Session;
use crate::log::{Field, Log};
use crate::message::Message;
use crate::node_key;
use crate::options::{HintPolicy, Options};
use crate::runtime_dir;
use crate::served::{self, Login, NotServed};
use crate::session_record::{self, Begun, Record};
use crate::{agent, clock};

/// Whether the host lets us talk to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    /// It does.
    Allowed,
    /// PAM_SILENT.
    Silent,
}

/// What may be exported.
const VARIABLES: [&CStr; 3] = [c"BEARER_TOKEN_FILE", c"IAM_SESSION_SOCK", c"IAM_SESSION_ID"];

/// What names a session: PROTOCOL.md, section 1, "Names".
struct Names {
    uid: u32,
    id: [u8; 16],
    id_text: String,
    runtime: String,
}

/// Starts an agent for this login, if its user is served, and waits for what it says about itself.
///
/// A second open of a handle whose session lives does nothing: the variables stand, and the first close ends it.
/// One for another user, or after the agent has gone, ends the earlier session and starts afresh.
pub(crate) fn open(pamh: &mut PamHandle, options: &Options, log: &Log, talk: Talk) -> Result<(), OpenError> {
    if let Err(why) = served::permits(pamh, options) {
        log.debug(why);
        return Ok(());
    }
    let user = served::user(pamh).ok_or(served::Unknown::User)?;
    if kept_session::find(pamh).is_some_and(|session| session.lives_for(&user)) {
        log.debug("this login has a session already");
        return Ok(());
    }
    // Of another user, or of an agent that is gone: its variables must not stand for whoever comes now.
    close(pamh);
    let login = match served::find(&user, options)? {
        Ok(login) => login,
        Err(why) => {
            match why {
                // Of a host that was drained and forgotten, the log should say why nobody has a token.
                NotServed::Drained => log.warning(why),
                _ => log.debug(why),
            }
            return Ok(());
        }
    };
    // Not before: the look-up has no bound, and what it took is not the agent's.
    let began = clock::now();
    let names = Names::new(pamh, &login)?;
    let patience = agent::Patience { began, start: options.start_wait, token: options.token_wait };
    let started =
        start(pamh, &login, &names, options, log).and_then(|mut agent| Ok((agent.answer(patience)?, agent)));
    if !matches!(started, Ok((Answer::Said { .. } | Answer::Late, _))) {
        session_record::remove(&names.id_text);
    }
    let (answer, agent) = started?;
    let exports = agent.exports(answer, options.export);
    if answer == Answer::NotServed {
        log.debug("not served: in none of the groups of groups=");
        return Ok(());
    }
    let session = Session::new(user, &names.id_text, log.clone(), agent.lifeline)?;
    kept_session::keep(pamh, session).map_err(OpenError::Keep)?;
    if let Err(error) = names.export(pamh, exports) {
        close(pamh);
        return Err(error);
    }
    report(pamh, answer, &names, options, log, talk);
    Ok(())
}

/// Ends this login's session, if it has one and this process opened it, and takes its variables back.
pub(crate) fn close(pamh: &mut PamHandle) {
    if kept_session::find(pamh).is_some_and(Session::close) {
        for name in VARIABLES {
            // A name alone deletes (pam_putenv(3)); what is not there need not be.
            let _ = ffi::set_pam_variable(pamh, name);
        }
    }
}

fn start(
    pamh: &PamHandle,
    login: &Login,
    names: &Names,
    options: &Options,
    log: &Log,
) -> Result<Agent, OpenError> {
    let lifeline = Pipe::new()?;
    let status = Pipe::new()?;
    let keys = node_key::derive(login.site.as_ref(), names.uid, |error| log.warning(error));
    let message = Message {
        session_id: names.id,
        uid: names.uid,
        token_wait: options.token_wait,
        hint: options.hint,
        keys: &keys,
        user: &login.account.name,
        home: &login.account.home,
        runtime: &names.runtime,
    };
    send(&lifeline, &message.to_bytes()?)?;
    // Both are overwritten before the fork: the child must not have them in its memory.
    drop(keys);
    let record = begin_record(pamh, login, names, log);
    let plan = Plan::new(&login.account, &options.groups);
    let agent = Agent::start(plan, lifeline, status, record.as_ref().map(Begun::ends));
    // While the agent starts.
    if let Some(record) = record {
        record.leave_to_child();
    }
    Ok(agent?)
}

/// One write into an empty pipe of which both ends are ours: it neither blocks nor raises SIGPIPE, nor is it partial.
fn send(lifeline: &Pipe, message: &[u8]) -> nix::Result<()> {
    fcntl(&lifeline.write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    if write(lifeline.write.as_fd(), message)? == message.len() { Ok(()) } else { Err(Errno::EIO) }
}

/// Writes the session down for the administrator; the login does not depend on it.
fn begin_record(pamh: &PamHandle, login: &Login, names: &Names, log: &Log) -> Option<Begun> {
    let service = pamh.get_item::<Service<'_>>().ok().flatten();
    let remote = pamh.get_item::<RHost<'_>>().ok().flatten();
    let record = Record {
        session: &names.id_text,
        user: login.account.name.to_bytes(),
        uid: names.uid,
        service: service.map(|service| service.0.to_bytes()).unwrap_or_default(),
        remote: remote.map(|remote| remote.0.to_bytes()),
    };
    session_record::begin(&record)
        .map_err(|errno| {
            log.warning(format_args!("session {} has no record: {}", names.id_text, errno.desc()));
        })
        .ok()
}

fn report(pamh: &PamHandle, answer: Answer, names: &Names, options: &Options, log: &Log, talk: Talk) {
    const EVENT: &str = "session_opened";
    // sshd's word, not the user's: the agent's lines, which are the user's, join by the session.
    let service = text_of(pamh.get_item::<Service<'_>>().ok().flatten().map(|service| service.0));
    let rhost = text_of(pamh.get_item::<RHost<'_>>().ok().flatten().map(|rhost| rhost.0));
    let about: [Field<'_>; 3] = [("session", &names.id_text), ("service", &service), ("rhost", &rhost)];
    match answer {
        Answer::NotServed => {}
        Answer::Late => {
            let waited = options.start_wait.as_millis();
            let [session, service, rhost] = about;
            log.alarm(EVENT, &[session, service, rhost, ("waited_ms", &waited), ("state", &"late")]);
        }
        Answer::Said { state, hint } => {
            let [session, service, rhost] = about;
            log.audit(EVENT, &[session, service, rhost, ("state", &state)]);
            if let Some(hint) = hint.filter(|_| talk == Talk::Allowed && options.hint != HintPolicy::Never) {
                print(pamh, hint);
            }
        }
    }
}

/// What the host has set, for the log.
fn text_of(item: Option<&CStr>) -> String {
    item.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A host without a conversation, or whose conversation fails, shows nothing: no reason to fail a login.
fn print(pamh: &PamHandle, hint: Hint) {
    if let Ok(Some(conversation)) = pamh.get_item::<Conv<'_>>() {
        let _ = conversation.send(PAM_TEXT_INFO, hint.text());
    }
}

impl Names {
    fn new(pamh: &mut PamHandle, login: &Login) -> Result<Self, OpenError> {
        let (uid, gid) = (login.account.uid, login.account.gid);
        let offered = ffi::pam_variable(pamh, c"XDG_RUNTIME_DIR");
        let runtime = runtime_dir::choose(uid, gid, offered.as_deref().map(std::ffi::CStr::to_bytes))?;
        let id = random().map_err(OpenError::Random)?;
        let id_text = id.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { uid, id, id_text, runtime })
    }

    /// Puts the variables into the PAM environment, that of the token file if it is wanted; into the host's own nothing
    /// is ever put.
    fn export(&self, pamh: &mut PamHandle, token_file: bool) -> Result<(), OpenError> {
        let Self { uid, id_text, runtime, .. } = self;
        let token_file = token_file.then(|| format!("BEARER_TOKEN_FILE={runtime}/bt_u{uid}-iam"));
        let session = [
            format!("IAM_SESSION_SOCK={runtime}/iam-session/{id_text}.sock"),
            format!("IAM_SESSION_ID={id_text}"),
        ];
        for setting in token_file.into_iter().chain(session) {
            let setting = CString::new(setting).map_err(|_| Errno::EINVAL)?;
            ffi::set_pam_variable(pamh, &setting).map_err(OpenError::Export)?;
        }
        Ok(())
    }
}

/// 128 bits that name a session. Not getrandom(2): glibc 2.17 has no wrapper for it, and at a login the kernel's pool
/// has long been seeded, which is all that it knows better than the device.
fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
