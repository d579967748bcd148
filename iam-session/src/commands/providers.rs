//! `iam-session providers`: lists the providers that one can enrol with by name. Reads the configuration of site and
//! user; asks nobody else.

use std::path::Path;

use clap::Parser;
use serde::Serialize;

use super::print_json;
use super::providers_for_user::{Membership, known_providers};
use crate::config::{DefaultProvider, Provider, ProviderFileOwner, Providers, Site, Why};
use crate::outcome::{Exit, Outcome, print};
use crate::paths::SITE_CONFIG;
use crate::text::printable;

/// List the providers that can be enrolled with by name.
#[derive(Debug, Default, Parser)]
#[command(name = "providers", bin_name = "iam-session providers")]
pub(crate) struct ProvidersArgs {
    /// Print one object
    #[arg(long)]
    json: bool,
}

const FORBIDDEN: &str = "(not allowed by this site)";

/// What `--json` prints.
#[derive(Serialize)]
struct ProviderList<'a> {
    default_provider: Option<&'a str>,
    default_because: Option<&'static str>,
    providers: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    alias: &'a str,
    issuer: &'a str,
    name: Option<&'a str>,
    whose: &'static str,
    allowed: bool,
    default: bool,
}

pub(crate) fn run(args: &ProvidersArgs) -> Outcome {
    let (site, providers) = (Site::load(Path::new(SITE_CONFIG))?, known_providers()?);
    let membership = Membership::default();
    let default = providers.default_of(&site, |groups| membership.of(groups));
    let list = list(&providers, &site, default.as_ref());
    match args.json {
        true => print_json(&list)?,
        false => print(table(&list, default.as_ref()).as_bytes())?,
    }
    Ok(Exit::Done)
}

fn list<'a>(
    providers: &'a Providers,
    site: &Site,
    default: Option<&DefaultProvider<'a>>,
) -> ProviderList<'a> {
    let alias = default.map(|default| default.provider.alias.as_str());
    let row = |provider: &'a Provider| Row {
        alias: &provider.alias,
        issuer: &provider.issuer,
        name: provider.name.as_deref(),
        whose: match provider.whose {
            ProviderFileOwner::Site => "site",
            ProviderFileOwner::User => "user",
        },
        allowed: site.allows(&provider.issuer),
        default: alias == Some(provider.alias.as_str()),
    };
    ProviderList {
        default_provider: alias,
        default_because: default.map(|default| match default.why {
            Why::Groups => "groups",
            Why::Site => "default_provider",
            Why::Only => "only",
        }),
        providers: providers.iter().map(row).collect(),
    }
}

fn table(list: &ProviderList<'_>, default: Option<&DefaultProvider<'_>>) -> String {
    let width = |text: fn(&Row<'_>) -> usize| list.providers.iter().map(text).max().unwrap_or_default();
    let (aliases, issuers) = (width(|row| row.alias.len()), width(|row| row.issuer.len()));
    let mut text = String::new();
    for row in &list.providers {
        let mark = if row.default { '*' } else { ' ' };
        text += &format!("{mark} {:aliases$}  {:issuers$}  {}", row.alias, row.issuer, row.whose);
        for more in row.name.map(printable).into_iter().chain((!row.allowed).then(|| FORBIDDEN.to_owned())) {
            text += &format!("  {more}");
        }
        text.push('\n');
    }
    text + &conclusion(list, default)
}

fn conclusion(list: &ProviderList<'_>, default: Option<&DefaultProvider<'_>>) -> String {
    let Some(DefaultProvider { provider, why }) = default else {
        return match list.providers.is_empty() {
            true => {
                "none are known: name an issuer's URL, 'iam-session enroll https://issuer.example/'\n".into()
            }
            false => "none is yours by default: name one, 'iam-session enroll NAME'\n".into(),
        };
    };
    let because = match why {
        Why::Groups => "for you are in a group of it",
        Why::Site => "the default of this site",
        Why::Only => "the only one",
    };
    format!("* 'iam-session enroll' means {}, {because}\n", provider.alias)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn providers() -> Providers {
        let wlcg = Provider {
            name: Some("WLCG\x1b[2J".into()),
            whose: ProviderFileOwner::Site,
            ..Provider::unlisted("https://wlcg.example/", "wlcg")
        };
        Providers::of(vec![wlcg, Provider::unlisted("https://mine.example/x/", "mine")])
    }

    fn shown(site: &Site) -> String {
        let providers = providers();
        let default = providers.default_of(site, |_| false);
        table(&list(&providers, site, default.as_ref()), default.as_ref())
    }

    #[test]
    fn each_has_its_line_and_the_default_its_reason() {
        let site = Site { default_provider: Some("wlcg".into()), ..Site::default() };
        assert_eq!(
            shown(&site),
            "* wlcg  https://wlcg.example/    site  WLCG\\x1b[2J\n\
             \x20 mine  https://mine.example/x/  user\n\
             * 'iam-session enroll' means wlcg, the default of this site\n"
        );
        assert!(
            shown(&Site::default())
                .ends_with("\nnone is yours by default: name one, 'iam-session enroll NAME'\n")
        );
    }

    #[test]
    fn what_the_site_does_not_allow_says_so() {
        let site = Site { allowed_issuers: Some(vec!["https://wlcg.example".into()]), ..Site::default() };
        let shown = shown(&site);
        assert!(
            shown.contains("  mine  https://mine.example/x/  user  (not allowed by this site)\n"),
            "{shown}"
        );
        assert!(shown.ends_with("means wlcg, the only one\n"), "{shown}");
    }

    #[test]
    fn nothing_known_says_what_to_do() {
        let text = table(&list(&Providers::default(), &Site::default(), None), None);
        assert!(text.starts_with("none are known: name an issuer's URL"), "{text}");
    }
}
