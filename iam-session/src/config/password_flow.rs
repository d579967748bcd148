//! Whether a site lets its users give their password to a program. Pure; touches nothing.

pub(super) const PASSWORD_FLOW: &str = "\"yes\" or \"no\"";

/// Whether users may give their password at an issuer to `iam-session token --once`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordFlow {
    /// They may.
    Yes,
    /// RFC 9700 §2.4: the grant must not be used, for it shows the password to more than the issuer.
    #[default]
    No,
}

pub(super) fn password_flow(text: &str) -> Option<PasswordFlow> {
    match text {
        "yes" => Some(PasswordFlow::Yes),
        "no" => Some(PasswordFlow::No),
        _ => None,
    }
}
