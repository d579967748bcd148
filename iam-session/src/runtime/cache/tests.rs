use std::fs;

use super::*;
use crate::jwt::tests::jwt_of;
use crate::scratch::Scratch;

fn cache() -> (Scratch, Cache) {
    let scratch = Scratch::new();
    let directory = Directory::open(&scratch, nix::unistd::geteuid().as_raw()).unwrap().unwrap();
    (scratch, Cache::new(directory, "boot".into()))
}

fn wanted(scope: &str) -> CacheKey {
    CacheKey { record_id: "01".into(), scope: ScopeSet::parse(scope), audience: String::new() }
}

fn token(scope: &str, issued: u64) -> CachedToken {
    CachedToken {
        wanted: wanted(scope),
        access_token: Secret::new(format!("token of {scope}")),
        granted: ScopeSet::parse(scope),
        issuer: "https://issuer.example/".into(),
        boot_id: "boot".into(),
        issued: Duration::from_secs(issued),
        ends: Duration::from_secs(issued + 100),
        expires_at: 5,
        jti: None,
        reply: TokenReply::default(),
    }
}

fn at(boot: u64) -> Now {
    Now { unix: 0, boot: Duration::from_secs(boot) }
}

fn found(cache: &Cache, scope: &str, now: u64) -> bool {
    cache.find(&wanted(scope), Duration::from_secs(now)).is_some()
}

#[test]
fn a_token_is_found_while_it_lives_and_for_what_it_was_asked() {
    let (_scratch, cache) = cache();
    cache.put(&token("a b", 10), at(10)).unwrap();
    assert!(found(&cache, "b a", 109));
    assert!(!found(&cache, "a b", 110));
    assert!(!found(&cache, "a", 10));
}

#[test]
fn a_token_of_another_boot_is_not_served() {
    let (_scratch, cache) = cache();
    cache.put(&CachedToken { boot_id: "earlier".into(), ..token("a", 10) }, at(10)).unwrap();
    assert!(!found(&cache, "a", 10));
}

#[test]
fn a_token_is_parsed_once_and_whatever_is_in_its_place_afterwards_is_seen() {
    let (_scratch, cache) = cache();
    let another_process = Cache::new(
        Directory::open(cache.directory().path(), cache.directory().uid()).unwrap().unwrap(),
        "boot".into(),
    );
    let find = || cache.find(&wanted("a"), Duration::from_secs(11));
    let text = || find().unwrap().access_token.expose().to_owned();
    cache.put(&token("a", 10), at(10)).unwrap();
    assert!(Rc::ptr_eq(&find().unwrap(), &find().unwrap()));
    // As long as the one before, so that neither its name nor its size tells.
    let renewed = CachedToken { access_token: Secret::new("TOKEN OF A".into()), ..token("a", 10) };
    another_process.put(&renewed, at(10)).unwrap();
    assert_eq!(text(), "TOKEN OF A");
    // By a hand that hides it.
    let path = cache.directory().path().join(wanted("a").file_name());
    let mtime = fs::metadata(&path).unwrap().modified().unwrap();
    let edited = fs::read_to_string(&path).unwrap().replace("TOKEN OF A", "token of b");
    fs::write(&path, edited).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(mtime).unwrap();
    assert_eq!(text(), "token of b");
    another_process.forget("01").unwrap();
    assert!(find().is_none());
}

#[test]
fn the_oldest_give_way_to_the_newest() {
    let (_scratch, cache) = cache();
    let count = || cache.directory().names().unwrap().len();
    for n in 0..90 {
        cache.put(&token(&format!("s{n}"), n), at(n)).unwrap();
        assert!(count() <= MAX_ENTRIES);
    }
    // The first that found no room made some: for itself, and for those that came after it.
    assert_eq!(count(), 90 - (MAX_ENTRIES - KEPT_ENTRIES));
    assert!(!found(&cache, "s15", 89) && found(&cache, "s16", 89) && found(&cache, "s89", 89));
}

#[test]
fn tokens_that_have_ended_make_room_before_those_that_live() {
    let (_scratch, cache) = cache();
    for n in 0..80 {
        cache.put(&token(&format!("s{n}"), if n % 2 == 0 { 10 } else { 200 }), at(200)).unwrap();
    }
    cache.put(&token("last", 200), at(200)).unwrap();
    assert_eq!(cache.directory().names().unwrap().len(), 41);
    assert!(found(&cache, "s1", 200) && found(&cache, "s79", 200) && found(&cache, "last", 200));
}

#[test]
fn a_forgotten_record_leaves_nothing_and_others_stay() {
    let (_scratch, cache) = cache();
    cache.put(&token("a", 10), at(10)).unwrap();
    let mut other = token("a", 10);
    other.wanted.record_id = "02".into();
    cache.put(&other, at(10)).unwrap();
    cache.forget("01").unwrap();
    assert!(!found(&cache, "a", 10));
    assert_eq!(cache.directory().names().unwrap().len(), 1);
}

#[test]
fn a_token_of_a_host_whose_clock_was_ahead_ends_when_it_says_itself() {
    const MINTED: u64 = 1_000_000;
    let ahead = 1800;
    let restored = |access_token: String, now| {
        let sealed = SessionToken {
            access_token: Secret::new(access_token),
            scope: ScopeSet::parse("a"),
            asked: None,
            issued_at: MINTED + ahead,
            expires_at: MINTED + ahead + 3600,
            jti: None,
        };
        let now = Now { unix: now, boot: Duration::from_secs(9000) };
        CachedToken::restored(sealed, wanted("a"), "https://issuer.example/", "boot", now)
    };
    let jwt = || jwt_of("{}", &format!(r#"{{"exp":{}}}"#, MINTED + 3600), "s");
    let token = restored(jwt(), MINTED + ahead).unwrap();
    assert_eq!((token.expires_at, token.ends), (MINTED + 3600, Duration::from_secs(9000 + 1800)));
    assert!(restored(jwt(), MINTED + 3600).is_none());
    assert_eq!(restored("opaque".into(), MINTED + ahead).unwrap().ends, Duration::from_secs(9000 + 3600));
}

#[test]
fn what_cannot_be_removed_keeps_no_token_out() {
    let (scratch, cache) = cache();
    fs::create_dir(scratch.join("0")).unwrap();
    for n in 0..90 {
        cache.put(&token(&format!("s{n}"), n), at(n)).unwrap();
    }
    assert!(found(&cache, "s89", 89) && cache.directory().names().unwrap().len() <= MAX_ENTRIES);
}
