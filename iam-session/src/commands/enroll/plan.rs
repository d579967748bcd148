//! Everything about an enrolment that is settled before the issuer is asked. Asks for the host's name.

use std::ffi::OsString;

use nix::unistd::gethostname;

use super::scopes::Wish;
use super::{EnrollArgs, Occasion};
use crate::account;
use crate::commands::named_client;
use crate::commands::prompt::Person;
use crate::commands::providers_for_user::usable_directory;
use crate::commands::secret_input::word;
use crate::config::{ExpectedSubject, OfflineAccess, Provider, same_issuer};
use crate::protocol::{Failure, NamedClient, Status, Target};
use crate::secret::Secret;

/// One enrolment.
#[derive(Debug)]
pub(super) struct EnrollPlan {
    pub(super) provider: Provider,
    pub(super) account: String,
    /// The account whose client is to be used, if it can be.
    pub(super) client_of: Option<String>,
    /// Another client to use: the user's own, or the site's. Without one, a client is registered.
    pub(super) client: Option<NamedClient>,
    /// Some issuers want one before they register a client.
    pub(super) initial_access_token: Option<Secret>,
    pub(super) wish: Wish,
    /// The issuer of the account that is replaced, where it was another URL of this one.
    pub(super) moved_from: Option<String>,
    pub(super) user: String,
    pub(super) host: String,
}

impl EnrollPlan {
    pub(super) fn new(
        args: &EnrollArgs,
        mut provider: Provider,
        person: Option<&Person>,
        status: &Status,
        occasion: Occasion,
        cert_dir: Option<OsString>,
    ) -> Result<Self, Failure> {
        let token = args.initial_access_token_file.as_deref();
        let initial_access_token =
            token.map(|path| word::from_file(path, "the initial access token")).transpose()?;
        let client = match initial_access_token {
            Some(_) => None,
            None => named_client::named(&args.client, &provider, person)?,
        };
        let account = args.account.clone().unwrap_or_else(|| provider.alias.clone());
        let moved_from = check_account(&account, &provider, status)?.map(str::to_owned);
        if provider.transport.ca_dir.is_none() {
            provider.transport.ca_dir = cert_dir.and_then(usable_directory);
        }
        let host = gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let needed = provider.expect_subject.as_ref().and_then(ExpectedSubject::scope).unwrap_or_default();
        let needed = needed.union(&provider.audience_scopes.all());
        let wish = Wish::new(&args.scopes, provider.scope.clone(), needed);
        let wish = match provider.offline_access {
            OfflineAccess::Unknown => wish.without_offline_access(),
            OfflineAccess::Asked => wish,
        };
        let is_named = client.is_some() || initial_access_token.is_some();
        Ok(Self {
            client_of: client_of(status, &account, &provider.issuer, is_named, occasion).map(str::to_owned),
            client,
            initial_access_token,
            wish,
            moved_from,
            user: status.user.clone(),
            host,
            account,
            provider,
        })
    }

    /// What the mint is told of it.
    pub(super) fn target(&self) -> Target {
        Target {
            account: self.account.clone(),
            issuer: self.provider.issuer.clone(),
            ca_dir: self.provider.transport.ca_dir.clone(),
        }
    }
}

/// The account whose client an enrolment can use: the one it replaces, or another one of the same issuer. A client that
/// somebody names, the user or the site, counts more; but not where it is the account's own that is asked for.
fn client_of<'a>(
    status: &'a Status,
    account: &str,
    issuer: &str,
    is_named: bool,
    occasion: Occasion,
) -> Option<&'a str> {
    if is_named && occasion == Occasion::First {
        return None;
    }
    let names = status.accounts.iter().filter(|account| same_issuer(&account.issuer, issuer));
    let is_locked = |name: &&str| status.locked.iter().any(|locked| locked == name);
    let mut names = names.map(|account| account.name.as_str()).filter(|name| !is_locked(name));
    let own = names.clone().find(|name| *name == account);
    own.or_else(|| names.next().filter(|_| !is_named))
}

/// A record is never replaced by one of another issuer: the name would change its meaning under scripts. Where the site
/// says that the issuer has moved, it is the same one; then its former URL is given back.
fn check_account<'a>(
    name: &str,
    provider: &Provider,
    status: &'a Status,
) -> Result<Option<&'a str>, Failure> {
    let usage = |error, info: &str| Failure::usage(error).advise(info);
    account::validate(name)
        .map_err(|error| usage(error.to_string(), "choose another with --account NAME"))?;
    match status.accounts.iter().find(|account| account.name == name) {
        Some(taken) if provider.was(&taken.issuer) => Ok(Some(&taken.issuer)),
        Some(taken) if !same_issuer(&taken.issuer, &provider.issuer) => Err(usage(
            format!("account '{name}' is already one of {}", taken.issuer),
            "choose another name with --account NAME",
        )),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::{account, status};
    use crate::config::ProviderFileOwner;

    fn plan(name: Option<&str>) -> Result<EnrollPlan, String> {
        let args = EnrollArgs { account: name.map(str::to_owned), ..EnrollArgs::default() };
        let provider = Provider::unlisted("https://new.example/", "new");
        let plan =
            EnrollPlan::new(&args, provider, None, &status(vec![account("wlcg")]), Occasion::First, None);
        plan.map_err(|failure| format!("{}; {}", failure.error, failure.info.unwrap_or_default()))
    }

    #[test]
    fn a_name_of_another_issuer_is_refused_beforehand() {
        assert_eq!(plan(None).unwrap().account, "new");
        assert_eq!(
            plan(Some("wlcg")).unwrap_err(),
            "account 'wlcg' is already one of https://wlcg.example/; choose another name with --account NAME"
        );
        assert!(plan(Some("../x")).unwrap_err().ends_with("; choose another with --account NAME"));
    }

    #[test]
    fn an_account_of_an_issuer_that_has_moved_is_replaced_if_the_site_says_so() {
        let planned = |whose| {
            let formerly = vec!["https://wlcg.example".to_owned()];
            let provider = Provider { whose, formerly, ..Provider::unlisted("https://new.example/", "wlcg") };
            let status = status(vec![account("wlcg")]);
            EnrollPlan::new(&EnrollArgs::default(), provider, None, &status, Occasion::Again, None)
        };
        let plan = planned(ProviderFileOwner::Site).unwrap();
        assert_eq!(plan.moved_from.as_deref(), Some("https://wlcg.example/"));
        assert_eq!(plan.client_of, None, "its client is not that of the new one");
        assert!(planned(ProviderFileOwner::User).is_err());
    }

    fn chosen(sites: Option<&str>, locked: &[&str], name: &str, occasion: Occasion) -> Option<String> {
        let mut status = status(vec![account("other"), account("a"), account("b")]);
        status.accounts[0].issuer = "https://other.example/".into();
        status.locked = locked.iter().map(|&name| name.to_owned()).collect();
        let client_id = sites.map(str::to_owned);
        let provider = Provider { client_id, ..Provider::unlisted("https://wlcg.example", "wlcg") };
        let args = EnrollArgs { account: Some(name.into()), ..EnrollArgs::default() };
        EnrollPlan::new(&args, provider, None, &status, occasion, None).unwrap().client_of
    }

    #[test]
    fn the_sites_client_counts_more_unless_it_is_the_accounts_own_that_is_asked_for() {
        assert_eq!(chosen(Some("sites"), &[], "b", Occasion::First), None);
        assert_eq!(chosen(Some("sites"), &[], "b", Occasion::Again).as_deref(), Some("b"));
        assert_eq!(chosen(Some("sites"), &["b"], "b", Occasion::Again), None);
    }

    #[test]
    fn the_client_is_that_of_the_account_itself_or_of_another_one_of_its_issuer() {
        let chosen = |locked: &[&str], name| chosen(None, locked, name, Occasion::First);
        assert_eq!(chosen(&[], "b").as_deref(), Some("b"));
        assert_eq!(chosen(&[], "new").as_deref(), Some("a"));
        assert_eq!(chosen(&["a"], "new").as_deref(), Some("b"));
        assert_eq!(chosen(&["a", "b"], "new"), None);
    }
}
