//! The hints that are printed at a login. Pure; touches nothing.

/// A hint that the agent found due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// The enrolment ends within 7 days.
    EndsSoon,
    /// There is none, and a provider for this user.
    Enrol,
    /// A passphrase is wanted.
    Unlock,
}

impl Hint {
    /// One line, ours from end to end.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::EndsSoon => {
                "Your enrolment for access tokens ends within 7 days: 'iam-session status' says how to renew it."
            }
            Self::Enrol => "To have access tokens here, run 'iam-session enroll' once.",
            Self::Unlock => "Your access tokens are locked: run 'iam-session unlock'.",
        }
    }
}
