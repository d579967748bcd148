//! The terminal, asked without echo. Touches /dev/tty, its settings and, while it is asked, this process's signals.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::Purpose;
use crate::protocol::Failure;
use crate::secret::Secret;

/// What would otherwise end or stop us while nothing that is typed can be seen.
const SIGNALS: [Signal; 5] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP];
/// A line of a terminal is at most 4095 bytes (termios(3)); a buffer that never grows leaves no copy.
const MAX_LINE: usize = 4096;

/// The controlling terminal.
pub(crate) struct Terminal {
    file: File,
    purpose: Purpose,
}

impl Terminal {
    /// Opens it, to ask for a passphrase.
    pub(crate) fn open() -> Result<Self, Failure> {
        Self::open_for(Purpose::Passphrase)
    }

    /// Opens it.
    pub(crate) fn open_for(purpose: Purpose) -> Result<Self, Failure> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty");
        Ok(Self { file: file.map_err(|_| purpose.no_terminal())?, purpose })
    }

    /// Whether there is one.
    pub(crate) fn is_there() -> bool {
        Self::open().is_ok()
    }

    /// Writes to it, wherever standard output goes.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.file.write_all(text.as_bytes()).map_err(|error| self.purpose.broken(&error))
    }

    /// Asks for a line that is not shown.
    pub(crate) fn ask(&mut self, prompt: &str) -> Result<Secret, Failure> {
        let broken = |error: io::Error| self.purpose.broken(&error);
        let signals = TerminalSignals::hold().map_err(|errno| broken(errno.into()))?;
        let silent = Silent::begin(&self.file).map_err(|errno| broken(errno.into()))?;
        (&self.file).write_all(prompt.as_bytes()).map_err(broken)?;
        let line = self.read_line(&signals);
        drop(silent);
        self.say("\n")?;
        line
    }

    fn read_line(&self, signals: &TerminalSignals) -> Result<Secret, Failure> {
        let mut buffer = Zeroizing::new([0_u8; MAX_LINE]);
        let read = loop {
            let mut descriptors = [
                PollFd::new(self.file.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.descriptor.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut descriptors, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(self.purpose.broken(&errno.into())),
            }
            if signals.have_come() {
                return Err(self.purpose.cancelled());
            }
            // In canonical mode a terminal is readable when a line is, and read(2) gives that line.
            if descriptors.first().and_then(PollFd::revents).is_some_and(|events| !events.is_empty()) {
                break (&self.file).read(&mut *buffer).map_err(|error| self.purpose.broken(&error))?;
            }
        };
        let line = buffer.get(..read).unwrap_or_default();
        // Without a newline it is Ctrl-D that ended it.
        let line = line.strip_suffix(b"\n").ok_or_else(|| self.purpose.cancelled())?;
        match self.purpose {
            Purpose::Passphrase | Purpose::Password => super::given::text(line)
                .ok_or_else(|| super::usage(format!("the {} is too long, or no UTF-8", self.purpose.name()))),
            Purpose::Credential => credential(line),
        }
    }
}

/// A line of a terminal that is as long as one can be has lost its end.
fn credential(line: &[u8]) -> Result<Secret, Failure> {
    let whole = line.len() + 1 < MAX_LINE;
    let text = std::str::from_utf8(line).ok().filter(|_| whole);
    text.map(|text| Secret::new(text.trim().to_owned())).ok_or_else(|| {
        Failure::usage("that is too long for a line of a terminal, or no UTF-8").advise("give it in a file")
    })
}

/// The terminal without echo, until it is dropped.
struct Silent<'a> {
    file: &'a File,
    shown: Termios,
}

impl<'a> Silent<'a> {
    fn begin(file: &'a File) -> nix::Result<Self> {
        let shown = tcgetattr(file)?;
        let mut silent = shown.clone();
        silent.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHONL);
        silent.local_flags.insert(LocalFlags::ICANON | LocalFlags::ISIG);
        // What was typed before the question is no answer to it.
        tcsetattr(file, SetArg::TCSAFLUSH, &silent)?;
        Ok(Self { file, shown })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(self.file, SetArg::TCSAFLUSH, &self.shown);
    }
}

/// The ending signals, held back until this is dropped: echo is to be put back first.
struct TerminalSignals {
    descriptor: SignalFd,
    former: SigSet,
}

impl TerminalSignals {
    fn hold() -> nix::Result<Self> {
        let set: SigSet = SIGNALS.into_iter().collect();
        let former = SigSet::thread_get_mask()?;
        set.thread_block()?;
        let descriptor = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { descriptor, former })
    }

    fn have_come(&self) -> bool {
        matches!(self.descriptor.read_signal(), Ok(Some(_)))
    }
}

impl Drop for TerminalSignals {
    fn drop(&mut self) {
        let _ = self.former.thread_set_mask();
    }
}
