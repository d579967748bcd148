//! Which issuer is meant. Asks whoever is at the terminal if it has to.

use super::person::Person;
use crate::account;
use crate::config::{Provider, Providers, Site, issuer_url};
use crate::protocol::{Failure, FailureKind};
use crate::text::printable;

/// The provider that `argument` names; without one the user's default one, or the user's choice. `is_member` says
/// whether the user is in one of some Unix groups.
pub(in crate::commands) fn choose(
    argument: Option<&str>,
    providers: &Providers,
    site: &Site,
    is_member: impl FnMut(&[String]) -> bool,
    person: Option<&mut Person>,
) -> Result<Provider, Failure> {
    let provider = match argument {
        Some(text) => named(text, providers)?,
        None => match providers.default_of(site, is_member) {
            Some(default) => default.provider.clone(),
            None => ask(providers, site, person)?,
        },
    };
    if site.allows(&provider.issuer) {
        return Ok(provider);
    }
    Err(Failure {
        error: format!("this site does not allow its users to enrol with {}", provider.issuer),
        info: site.allowed_issuers.as_ref().map(|allowed| format!("allowed: {}", allowed.join(", "))),
        kind: FailureKind::Refused,
    })
}

fn named(text: &str, providers: &Providers) -> Result<Provider, Failure> {
    if let Some(provider) = providers.by_alias(text).or_else(|| providers.by_issuer(text)) {
        return Ok(provider.clone());
    }
    let Some(issuer) = issuer_url(text) else {
        let error = format!("'{text}' is neither a provider that is known here nor an https:// URL");
        return Err(usage(error, listing(providers)));
    };
    if let Some(other) = providers.by_issuer_in_another_case(text) {
        let error = format!("'{text}' is not known here, and '{}' is", printable(&other.issuer));
        return Err(usage(error, format!("'iam-session enroll {}' enrols with that one", other.alias)));
    }
    let alias = account::name_for_issuer(&issuer).unwrap_or_else(|| "issuer".to_owned());
    Ok(Provider::unlisted(&issuer, &alias))
}

fn ask(providers: &Providers, site: &Site, person: Option<&mut Person>) -> Result<Provider, Failure> {
    if let Some(alias) = site.default_provider.as_deref().filter(|alias| providers.by_alias(alias).is_none())
    {
        return Err(Failure::failed(format!(
            "the site's default_provider '{alias}' has no file in issuers.d"
        ))
        .advise("name a provider or an issuer's URL"));
    }
    let offered = providers.allowed(site);
    let Some(person) = person.filter(|_| !offered.is_empty()) else {
        return Err(usage("which issuer?".to_owned(), listing(providers)));
    };
    let mut question = "Which issuer?\n".to_owned();
    for (number, provider) in (1..).zip(&offered) {
        question += &format!("  {number}  {}\n", describe(provider));
    }
    question += &format!("Type its number, 1 to {}, or its name:", offered.len());
    let answer = person.ask(&question, None)?;
    let chosen = pick(&answer, &offered);
    chosen.ok_or_else(|| usage(format!("'{answer}' is none of them"), listing(providers)))
}

/// A number of the list, or an alias typed out of habit.
fn pick(answer: &str, offered: &[&Provider]) -> Option<Provider> {
    let by_number = answer.parse::<usize>().ok().and_then(|number| offered.get(number.checked_sub(1)?));
    let chosen = by_number.or_else(|| offered.iter().find(|provider| provider.alias == answer));
    chosen.map(|provider| (*provider).clone())
}

fn describe(provider: &Provider) -> String {
    let name = provider.name.as_deref().map(|name| format!("  {}", printable(name))).unwrap_or_default();
    format!("{}  {}{name}", provider.alias, provider.issuer)
}

fn listing(providers: &Providers) -> String {
    let known: Vec<String> =
        providers.iter().map(|provider| format!("{} ({})", provider.alias, provider.issuer)).collect();
    if known.is_empty() {
        return "name an issuer's URL, e.g. https://issuer.example/".to_owned();
    }
    format!("name one of: {}", known.join(", "))
}

fn usage(error: String, info: String) -> Failure {
    Failure::usage(error).advise(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn providers(aliases: &[&str]) -> Providers {
        let one = |alias: &&str| Provider::unlisted(&format!("https://{alias}.example/"), alias);
        Providers::of(aliases.iter().map(one).collect())
    }

    fn chosen(argument: Option<&str>, aliases: &[&str], site: &Site) -> Result<String, String> {
        match choose(argument, &providers(aliases), site, |_| false, None) {
            Ok(provider) => Ok(format!("{} {}", provider.alias, provider.issuer)),
            Err(failure) => Err(format!("{}; {}", failure.error, failure.info.unwrap_or_default())),
        }
    }

    #[test]
    fn a_provider_goes_by_alias_or_by_url() {
        let site = Site::default();
        for argument in ["cms", "https://cms.example/", "https://cms.example"] {
            assert_eq!(chosen(Some(argument), &["cms", "egi"], &site), Ok("cms https://cms.example/".into()));
        }
    }

    #[test]
    fn an_unlisted_url_is_an_issuer_too() {
        assert_eq!(
            chosen(Some("https://new.example/x"), &["cms"], &Site::default()),
            Ok("new.example https://new.example/x".into())
        );
    }

    #[test]
    fn a_realm_in_another_case_is_named_and_not_tried() {
        let realm = Provider::unlisted("https://kc.example/realms/Grid", "grid");
        let providers = Providers::of(vec![realm]);
        let other = named("https://kc.example/realms/grid", &providers).unwrap_err();
        assert!(other.error.contains("'https://kc.example/realms/Grid' is"), "{other:?}");
        assert!(named("https://kc.example/realms/else", &providers).is_ok());
    }

    #[test]
    fn a_name_that_nobody_knows_gets_the_list() {
        assert_eq!(
            chosen(Some("atlas"), &["cms", "egi"], &Site::default()),
            Err("'atlas' is neither a provider that is known here nor an https:// URL; \
                 name one of: cms (https://cms.example/), egi (https://egi.example/)"
                .into())
        );
        assert_eq!(
            chosen(Some("http://a/"), &[], &Site::default()),
            Err("'http://a/' is neither a provider that is known here nor an https:// URL; \
                 name an issuer's URL, e.g. https://issuer.example/"
                .into())
        );
    }

    #[test]
    fn without_an_argument_the_default_or_the_only_one_is_meant() {
        let mut site = Site::default();
        assert_eq!(chosen(None, &["cms"], &site), Ok("cms https://cms.example/".into()));
        site.default_provider = Some("egi".into());
        assert_eq!(chosen(None, &["cms", "egi"], &site), Ok("egi https://egi.example/".into()));
        site.default_provider = Some("gone".into());
        assert_eq!(
            chosen(None, &["cms", "egi"], &site),
            Err("the site's default_provider 'gone' has no file in issuers.d; name a provider or an issuer's URL".into())
        );
    }

    #[test]
    fn what_the_site_forbids_is_refused_and_not_counted() {
        let site = Site { allowed_issuers: Some(vec!["https://egi.example".into()]), ..Site::default() };
        assert_eq!(chosen(None, &["cms", "egi"], &site), Ok("egi https://egi.example/".into()));
        assert_eq!(
            chosen(Some("cms"), &["cms", "egi"], &site),
            Err("this site does not allow its users to enrol with https://cms.example/; allowed: https://egi.example"
                .into())
        );
    }

    #[test]
    fn a_number_or_an_alias_picks() {
        let providers = providers(&["cms", "egi"]);
        let offered: Vec<&Provider> = providers.iter().collect();
        let alias = |answer| pick(answer, &offered).map(|provider| provider.alias);
        assert_eq!(alias("2").as_deref(), Some("egi"));
        assert_eq!(alias("cms").as_deref(), Some("cms"));
        assert_eq!((alias("0"), alias("3"), alias("")), (None, None, None));
    }
}
