//! Everything about an enrolment that is settled before the issuer is asked. Asks for the host's name.

use std::ffi::OsString;
use std::path::Path;

use nix::unistd::gethostname;

use super::EnrollArgs;
use super::client::Origin;
use super::scopes::Wish;
use crate::account;
use crate::config::{ExpectedSubject, OfflineAccess, Provider, Site, same_issuer};
use crate::outcome::warn;
use crate::protocol::{Failure, Status};

/// INDIGO IAM takes 4 to 256 characters.
const MAX_CLIENT_NAME: usize = 256;

/// One enrolment.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) provider: Provider,
    pub(super) account: String,
    pub(super) origin: Origin,
    pub(super) wish: Wish,
    pub(super) user: String,
    pub(super) host: String,
    pub(super) client_name: String,
}

impl Plan {
    pub(super) fn new(
        args: &EnrollArgs,
        mut provider: Provider,
        origin: Origin,
        site: &Site,
        status: &Status,
        cert_dir: Option<OsString>,
    ) -> Result<Self, Failure> {
        let account = args.account.clone().unwrap_or_else(|| provider.alias.clone());
        check_account(&account, &provider.issuer, status)?;
        if provider.transport.ca_dir.is_none() {
            provider.transport.ca_dir = cert_dir.and_then(usable);
        }
        let host = gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let needed = provider.expect_subject.as_ref().and_then(ExpectedSubject::scope).unwrap_or_default();
        let needed = needed.union(&provider.audience_scopes.all());
        let wish = Wish::new(&args.scopes, provider.scope.clone(), needed);
        let wish = if provider.offline_access == OfflineAccess::Unknown {
            wish.without_offline_access()
        } else {
            wish
        };
        let client_name = client_name(site.site.as_deref().unwrap_or(&host), &status.user);
        Ok(Self { provider, account, origin, wish, user: status.user.clone(), host, client_name })
    }
}

/// A record is never replaced by one of another issuer: the name would change its meaning under scripts.
fn check_account(name: &str, issuer: &str, status: &Status) -> Result<(), Failure> {
    let usage = |error, info: &str| Failure::usage(error).advise(info);
    account::validate(name)
        .map_err(|error| usage(error.to_string(), "choose another with --account NAME"))?;
    match status.accounts.iter().find(|account| account.name == name) {
        Some(taken) if !same_issuer(&taken.issuer, issuer) => Err(usage(
            format!("account '{name}' is already one of {}", taken.issuer),
            "choose another name with --account NAME",
        )),
        _ => Ok(()),
    }
}

/// The grid's usual directory of CA certificates, as the user's environment has it. The helper is started
/// without that environment, and the agent renews long after it is gone: it goes into the record.
pub(in crate::commands) fn usable(directory: OsString) -> Option<String> {
    let text = directory.into_string().ok().filter(|text| !text.is_empty())?;
    if Path::new(&text).is_absolute() {
        return Some(text);
    }
    warn(&format!("X509_CERT_DIR is '{text}', not an absolute path, and is ignored"));
    None
}

/// What the consent page shows. A site's name is short; a user's may be as long as a directory likes.
fn client_name(site: &str, user: &str) -> String {
    format!("iam-session:{site}:{user}").chars().take(MAX_CLIENT_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::{account, status};

    fn plan(name: Option<&str>, cert_dir: Option<&str>) -> Result<Plan, String> {
        let args = EnrollArgs { account: name.map(str::to_owned), ..EnrollArgs::default() };
        let provider = Provider::unlisted("https://new.example/", "new");
        let site = Site { site: Some("cern.ch".into()), ..Site::default() };
        let origin = Origin::Registered { initial_access_token: None };
        let plan = Plan::new(
            &args,
            provider,
            origin,
            &site,
            &status(vec![account("wlcg")]),
            cert_dir.map(OsString::from),
        );
        plan.map_err(|failure| format!("{}; {}", failure.error, failure.info.unwrap_or_default()))
    }

    #[test]
    fn the_client_is_named_for_site_and_user() {
        let plan = plan(None, None).unwrap();
        assert_eq!(plan.client_name, "iam-session:cern.ch:alice");
        assert_eq!(plan.account, "new");
        assert_eq!(client_name("s", &"u".repeat(300)).len(), MAX_CLIENT_NAME);
    }

    #[test]
    fn a_name_of_another_issuer_is_refused_beforehand() {
        assert_eq!(
            plan(Some("wlcg"), None).unwrap_err(),
            "account 'wlcg' is already one of https://wlcg.example/; choose another name with --account NAME"
        );
        assert!(plan(Some("../x"), None).unwrap_err().ends_with("; choose another with --account NAME"));
    }

    #[test]
    fn the_grids_certificates_go_into_the_record() {
        let ca_dir = |value| plan(None, value).unwrap().provider.transport.ca_dir;
        assert_eq!(
            ca_dir(Some("/etc/grid-security/certificates")).as_deref(),
            Some("/etc/grid-security/certificates")
        );
        assert_eq!((ca_dir(Some("certs")), ca_dir(Some("")), ca_dir(None)), (None, None, None));
    }
}
