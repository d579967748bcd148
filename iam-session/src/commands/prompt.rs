//! What is asked of the person at the terminal. Touches standard input and standard error.

mod person;
mod provider;

pub(in crate::commands) use person::Person;
pub(in crate::commands) use provider::choose;
