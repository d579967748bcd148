//! What a person and a program see of a device flow: the code, how often it is polled, and Ctrl-C. Touches the terminal,
//! standard output and this process's signals.

mod code;
mod pace;
mod qr;
mod signals;

pub(in crate::commands) use code::{Report, event, notice, show, steps};
pub(in crate::commands) use pace::poll;
pub(in crate::commands) use qr::QrArgs;
pub(in crate::commands) use signals::{Signals, cancelled};
