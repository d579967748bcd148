use super::*;

fn parse(path: &str, text: &str) -> Result<Provider, String> {
    Provider::parse(&Document::of(path, text), ProviderFileOwner::Site).map_err(|error| error.to_string())
}

#[test]
fn a_file_of_one_line_is_enough() {
    let provider = parse("/etc/x/wlcg.toml", "issuer = \"https://wlcg.example/\"").unwrap();
    assert_eq!(
        provider,
        Provider { whose: ProviderFileOwner::Site, ..Provider::unlisted("https://wlcg.example/", "wlcg") }
    );
}

#[test]
fn every_key_is_read() {
    let provider = parse(
        "p.toml",
        "alias = \"cms\"\nissuer = \"https://cms.example/\"\nname = \"CMS\"\nscope = \"openid offline_access\"\n\
         session_scope = \"openid\"\naudience = \"resource\"\nrevocation = \"grant\"\nca_file = \"/a.pem\"\nca_dir = \"/certs\"\n\
         proxy = \"http://p:3128\"\nclient_id = \"cms-login\"\ngroups = [\"zh\", \"1399\"]\n\
         expect_subject = \"preferred_username=%u\"\nnotice_file = \"/etc/motd\"\noffline_access = \"no\"\n\
         registration = \"no\"\nformerly = [\"https://old.example/\"]\ndevice_authorization_endpoint = \"https://cms.example/device?x\"\n\
         [audience_scopes]\n\"https://se.example\" = \"aud-se\"\n[scope_sets]\nset = \"storage.read:/a storage.create:/b\"\n",
    )
    .unwrap();
    let transport = Transport {
        ca_file: Some("/a.pem".into()),
        ca_dir: Some("/certs".into()),
        proxy: Some("http://p:3128".into()),
    };
    assert_eq!((provider.alias.as_str(), provider.audience_mode), ("cms", AudienceMode::Resource));
    assert_eq!((provider.name.as_deref(), &provider.transport), (Some("CMS"), &transport));
    assert!(provider.was("https://old.example") && !provider.was("https://cms.example/"));
    assert_eq!(provider.scope, Some(ScopeSet::parse("offline_access openid")));
    assert_eq!(provider.revocation, Revocation::Grant);
    assert_eq!(provider.session_scope, Some(ScopeSet::parse("openid")));
    assert_eq!(
        (provider.client_id.as_deref(), provider.groups.join(" ").as_str()),
        (Some("cms-login"), "zh 1399")
    );
    assert_eq!(provider.expect_subject, ExpectedSubject::parse("preferred_username=%u"));
    assert_eq!(provider.notice, Some(Notice::File("/etc/motd".into())));
    assert_eq!(provider.offline_access, OfflineAccess::Unknown);
    assert!(provider.registers().is_err() && Provider::unlisted("https://a/", "a").registers().is_ok());
    assert_eq!(provider.scope_sets.get("set"), Some(&ScopeSet::parse("storage.create:/b storage.read:/a")));
    let none =
        Endpoints { token: "t".into(), device_authorization: None, registration: None, revocation: None };
    let completed = provider.completed(none.clone()).device_authorization;
    assert_eq!(completed.as_deref(), Some("https://cms.example/device?x"));
    let own = Endpoints { device_authorization: Some("https://own/".into()), ..none };
    assert_eq!(provider.completed(own.clone()), own);
}

#[test]
fn what_the_site_decides_is_not_in_a_users_file() {
    let user = |line: &str| {
        let text = format!("issuer = \"https://a/\"\n{line}");
        Provider::parse(&Document::of("u.toml", &text), ProviderFileOwner::User)
            .map_err(|error| error.to_string())
    };
    assert_eq!(user("client_id = \"mine\"").unwrap().client_id.as_deref(), Some("mine"));
    for key in SITE_KEYS {
        let error = user(&format!("{key} = \"sub=%u\"")).unwrap_err();
        assert_eq!(
            error,
            format!(
                "u.toml:2: '{key}' is for the site to set; accepted: alias, issuer, name, scope, audience, \
                 offline_access, registration, client_id, device_authorization_endpoint, ca_file, ca_dir, proxy"
            )
        );
    }
}

#[test]
fn an_audience_that_has_a_scope_is_asked_for_by_it() {
    let provider = parse(
        "p.toml",
        "issuer = \"https://a/\"\n[audience_scopes]\n\"https://se.example\" = \"aud-se\"\n\"https://b\" = \"aud-b x\"",
    )
    .unwrap();
    let asking = |audience: &str| {
        let (scope, audience) = provider.asking(&ScopeSet::parse("openid"), audience);
        (scope.to_string(), audience)
    };
    assert_eq!(asking("https://se.example"), ("aud-se openid".into(), String::new()));
    assert_eq!(asking("https://c https://b d"), ("aud-b openid x".into(), "https://c d".into()));
    assert_eq!(asking(""), ("openid".into(), String::new()));
}

#[test]
fn a_file_of_the_users_own_sends_no_secret_to_another_server() {
    let named = |whose, url: &str| {
        let provider = Provider {
            whose,
            device_authorization_endpoint: Some(url.into()),
            ..Provider::unlisted("https://iam.example/", "iam")
        };
        let token = "https://iam.example/token".to_owned();
        let none = Endpoints { token, device_authorization: None, registration: None, revocation: None };
        provider.completed(none).device_authorization
    };
    let (own, other) = ("https://iam.example/device", "https://evil.example/device");
    assert_eq!(named(ProviderFileOwner::Site, other).as_deref(), Some(other));
    assert_eq!(named(ProviderFileOwner::User, own).as_deref(), Some(own));
    assert_eq!(named(ProviderFileOwner::User, other), None);
}

#[test]
fn the_shipped_files_and_the_manual_agree_with_us() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/config");
    let shipped = super::super::Providers::load(&directory).unwrap();
    assert!(shipped.by_alias("wlcg").is_some() && shipped.by_alias("egi").is_some());
    // Without one a terminal is asked.
    let narrow = ScopeSet::parse("wlcg wlcg.groups storage.read:/");
    for alias in ["alice", "atlas", "cms", "infn-cloud", "lhcb", "wlcg"] {
        assert_eq!(shipped.by_alias(alias).unwrap().scope.as_ref(), Some(&narrow), "{alias}");
    }
    let page = include_str!("../../../../packaging/man/iam-session-issuers.5");
    for key in KEYS {
        assert!(page.contains(&format!(".B {key}\n")), "{key}");
    }
}

#[test]
fn a_mistake_is_one_line_with_its_place() {
    for (path, text, expected) in [
        ("p.toml", "", format!("p.toml:1: 'issuer' is missing; accepted: {ISSUER}")),
        ("p.toml", "\nissuer = \"a\"", format!("p.toml:2: issuer = 'a' is wrong; accepted: {ISSUER}")),
        (
            "a b.toml",
            "issuer = \"https://a/\"",
            format!("a b.toml:1: the file's name is no alias, and no 'alias' is set; accepted: {ACCOUNT}"),
        ),
        ("p.toml", "audience = \"aud\"", {
            let accepted = "\"audience\", \"resource\" or \"none\"";
            format!("p.toml:1: audience = 'aud' is wrong; accepted: {accepted}")
        }),
        (
            "p.toml",
            "ca_dir = \"certs\"",
            "p.toml:1: ca_dir = 'certs' is wrong; accepted: an absolute path".into(),
        ),
        ("p.toml", "[issuer]\nurl = \"\"", format!("p.toml:1: issuer is of type table; accepted: {ISSUER}")),
        (
            "p.toml",
            "client = \"x\"",
            format!("p.toml:1: unknown key 'client'; accepted: {}", KEYS.join(", ")),
        ),
        (
            "p.toml",
            "groups = [\"a\", \"b c\"]",
            format!("p.toml:1: groups = 'b c' is wrong; accepted: {GROUPS}"),
        ),
        (
            "p.toml",
            "client_id = \"a b\"",
            format!("p.toml:1: client_id = 'a b' is wrong; accepted: {CLIENT_ID}"),
        ),
        (
            "p.toml",
            "expect_subject = \"%u\"",
            format!("p.toml:1: expect_subject = '%u' is wrong; accepted: {SUBJECT}"),
        ),
        (
            "p.toml",
            "notice = \"a\"\nnotice_file = \"/b\"",
            "p.toml:2: there is a notice already; accepted: 'notice' or 'notice_file', not both".into(),
        ),
    ] {
        assert_eq!(parse(path, text), Err(expected));
    }
}
