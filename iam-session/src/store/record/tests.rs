use std::path::PathBuf;

use super::*;
use crate::issuer::wire::ClientAuth;
use crate::store::crypto::KEY;
use crate::store::passphrase::tests::cheap;
use crate::store::slot::LABEL as LABEL_SLOT;
use crate::store::{PassphraseKey, SessionToken, UserKey};
use crate::vectors;

const UID: u32 = 1000;
const CANARY: &str = "refresh-token-canary";

fn key(id: u8) -> UserKey {
    UserKey { id: KeyId([id; 8]), key: Zeroizing::new([id; KEY]) }
}

pub(in crate::store) fn record() -> Record {
    Record {
        issuer: "https://issuer.example/".into(),
        endpoints: Endpoints {
            token: "https://issuer.example/token".into(),
            device_authorization: None,
            registration: None,
            revocation: None,
        },
        client: Client {
            client_id: "client".into(),
            client_secret: Some(Secret::new("client-secret-canary".into())),
            auth: ClientAuth::Basic,
            registration_client_uri: None,
            registration_access_token: None,
        },
        refresh_token: Secret::new(CANARY.into()),
        refresh_token_expires_at: None,
        scope: ScopeSet::parse("openid"),
        states_scope: false,
        subject: None,
        audience_mode: AudienceMode::Audience,
        registered_scope: None,
        client_name: None,
        transport: Transport::default(),
        enrolled_at: 1,
        rotates: false,
    }
}

fn path() -> PathBuf {
    "/home/alice/.local/state/iam-session/wlcg.cred".into()
}

fn sealed() -> Vec<u8> {
    Opened::create(record(), UID, SealingKey::Node(&key(1))).unwrap().seal(&path()).unwrap()
}

fn open(file: &[u8], keys: Vec<UserKey>) -> Result<Opened, StoreError> {
    Opened::open(file, &path(), UID, &Keyring::new(keys))
}

#[test]
fn what_was_sealed_comes_back_at_the_next_generation() {
    let mut opened = open(&sealed(), vec![key(9), key(1)]).unwrap();
    assert_eq!((opened.record.refresh_token.expose(), opened.generation()), (CANARY, 1));
    let id = opened.id();
    opened.record.refresh_token = Secret::new("second".into());
    let again = open(&opened.seal(&path()).unwrap(), vec![key(1)]).unwrap();
    assert_eq!((again.record.refresh_token.expose(), again.generation()), ("second", 2));
    assert_eq!(again.id(), id);
}

#[test]
fn no_secret_is_in_the_file_in_clear() {
    let file = sealed();
    for secret in [CANARY, "client-secret-canary"] {
        assert!(!file.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[test]
fn another_key_opens_nothing() {
    let mut same_id = key(2);
    same_id.id = KeyId([1; 8]);
    for keys in [vec![], vec![key(2)], vec![same_id]] {
        assert!(matches!(open(&sealed(), keys), Err(StoreError::NoKey { .. })));
    }
}

#[test]
fn another_users_record_is_named_as_such() {
    let other = Opened::open(&sealed(), &path(), UID + 1, &Keyring::new(vec![key(1)]));
    assert!(matches!(other, Err(StoreError::ForeignUser { uid: UID, .. })));
}

#[test]
fn a_later_version_is_refused_and_not_called_damaged() {
    for at in [9, 11] {
        let mut file = sealed();
        file[at] = 2;
        assert!(matches!(open(&file, vec![key(1)]), Err(StoreError::UnknownVersion { .. })));
    }
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let file = sealed();
    for at in 0..file.len() {
        let mut flipped = file.clone();
        flipped[at] ^= 1;
        assert!(open(&flipped, vec![key(1)]).is_err(), "byte {at} of {}", file.len());
    }
}

#[test]
fn no_cut_or_lengthened_file_opens() {
    let mut file = sealed();
    for length in 0..file.len() {
        assert!(open(&file[..length], vec![key(1)]).is_err(), "{length} of {}", file.len());
    }
    file.push(0);
    assert!(open(&file, vec![key(1)]).is_err());
}

#[test]
fn a_session_token_opens_with_its_record_only() {
    let opened = open(&sealed(), vec![key(1)]).unwrap();
    let token = SessionToken {
        asked: None,
        access_token: Secret::new("access".into()),
        scope: ScopeSet::parse("openid"),
        issued_at: 1,
        expires_at: 2,
        jti: None,
    };
    let file = token.seal(&opened).unwrap();
    assert_eq!(SessionToken::open(&file, &opened).unwrap().access_token.expose(), "access");
    let other = open(&sealed(), vec![key(1)]).unwrap();
    assert!(SessionToken::open(&file, &other).is_none());
    assert!(SessionToken::open(&file[..file.len() - 1], &opened).is_none());
}

fn derived<const N: usize>(name: &str) -> [u8; N] {
    vectors::row("keys", name).try_into().unwrap()
}

fn user_key_of_the_protocol() -> UserKey {
    UserKey { id: KeyId(derived("key id")), key: Zeroizing::new(derived("user key")) }
}

#[test]
fn derivation_gives_the_keys_of_the_protocol() {
    let user = user_key_of_the_protocol();
    let (salt, record_id) = (vectors::row("keys", "salt"), derived::<16>("record id"));
    let kek = crypto::derive(&user.key, Some(&salt), &[LABEL_SLOT, &record_id]);
    assert_eq!(*kek, derived("KEK"));
    for (label, name) in
        [(LABEL_COMMITMENT, "commitment"), (LABEL_RECORD, "record key"), (LABEL_TOKEN, "token key")]
    {
        let key = crypto::derive(&derived("data key"), Some(&record_id), &[label]);
        assert_eq!(*key, derived(name), "{name}");
    }
}

#[test]
fn the_record_and_the_token_of_the_protocol_open() {
    let opened = open(&vectors::block("record"), vec![user_key_of_the_protocol()]).unwrap();
    assert_eq!((opened.id(), opened.generation()), (derived("record id"), 1));
    assert_eq!(*opened.data_key, derived("data key"));
    assert_eq!(opened.record.refresh_token.expose(), "refresh-me");
    assert_eq!(opened.record.client.client_secret.as_ref().map(Secret::expose), Some("s3cret"));
    assert_eq!(opened.record.enrolled_at, 1_767_225_600);
    let token = SessionToken::open(&vectors::block("session token"), &opened).unwrap();
    assert_eq!((token.access_token.expose(), token.expires_at), ("read-me", 1_767_229_200));
}

fn passphrase(salt: u8, text: &str) -> PassphraseKey {
    cheap(salt).derive(&Secret::new(text.into())).unwrap()
}

fn unlocked(node: Vec<UserKey>, passphrase: Vec<PassphraseKey>) -> Keyring {
    let mut keys = Keyring::new(node);
    keys.unlock(passphrase);
    keys
}

fn sealed_under_passphrase() -> Vec<u8> {
    let key = passphrase(1, "correct");
    Opened::create(record(), UID, SealingKey::Passphrase(&key)).unwrap().seal(&path()).unwrap()
}

#[test]
fn a_record_under_a_passphrase_is_locked_until_that_is_given() {
    let file = sealed_under_passphrase();
    let open = |keys| Opened::open(&file, &path(), UID, &keys).map(|opened| opened.generation());
    for keys in [
        Keyring::default(),
        Keyring::new(vec![key(1)]),
        unlocked(vec![], vec![passphrase(2, "correct")]),
        unlocked(vec![], vec![passphrase(1, "wrong")]),
    ] {
        assert!(matches!(open(keys), Err(StoreError::Locked { .. })));
    }
    assert_eq!(open(unlocked(vec![key(1)], vec![passphrase(1, "correct")])).unwrap(), 1);
}

/// As a thief makes one who has learned the data key of an earlier record, and copies its slot.
#[test]
fn what_is_sealed_after_a_new_data_key_is_closed_to_who_knew_the_one_before() {
    let mut planted = open(&sealed(), vec![key(1)]).unwrap();
    let known = planted.data_key.clone();
    assert!(decrypt(&format::parse(&planted.seal(&path()).unwrap(), &path()).unwrap(), &known).is_some());
    planted.rekey(SealingKey::Node(&key(2))).unwrap();
    let file = planted.seal(&path()).unwrap();
    assert!(decrypt(&format::parse(&file, &path()).unwrap(), &known).is_none());
    assert!(open(&file, vec![key(1)]).is_err());
    let again = open(&file, vec![key(2)]).unwrap();
    assert_eq!(
        (again.generation(), again.id(), again.record.refresh_token.expose()),
        (3, planted.id(), CANARY)
    );
}

#[test]
fn a_record_that_is_sealed_again_keeps_its_slots() {
    let keys = unlocked(vec![], vec![passphrase(1, "correct")]);
    let mut opened = Opened::open(&sealed_under_passphrase(), &path(), UID, &keys).unwrap();
    let owner = Owner { record_id: &opened.id(), uid: UID };
    opened
        .header
        .slots
        .push(Slot::Key(KeySlot::wrap(&opened.data_key, owner, SealingKey::Node(&key(1))).unwrap()));
    opened.header.slots.push(Slot::Other { kind: 77, body: vec![1, 2, 3] });
    let file = opened.seal(&path()).unwrap();
    // Either key opens it, and rotation needs but one.
    let again =
        Opened::open(&file, &path(), UID, &Keyring::new(vec![key(1)])).unwrap().seal(&path()).unwrap();
    let last = Opened::open(&again, &path(), UID, &keys).unwrap();
    assert_eq!((last.generation(), last.header.slots), (3, opened.header.slots));
}

#[test]
fn no_flipped_bit_of_a_record_under_a_passphrase_goes_unnoticed() {
    let file = sealed_under_passphrase();
    let keys = unlocked(vec![], vec![passphrase(1, "correct")]);
    for at in 0..file.len() {
        let mut flipped = file.clone();
        flipped[at] ^= 1;
        assert!(Opened::open(&flipped, &path(), UID, &keys).is_err(), "byte {at} of {}", file.len());
    }
}

#[test]
fn parameters_out_of_range_make_a_damaged_record() {
    let mut file = sealed_under_passphrase();
    let parameters = cheap(1).to_bytes();
    let at = file.windows(parameters.len()).position(|window| window == parameters).unwrap() + 16;
    file[at] = 0xff;
    assert!(matches!(Cover::read(&file, &path(), UID), Err(StoreError::Damaged { .. })));
    assert!(matches!(open(&file, vec![]), Err(StoreError::Damaged { .. })));
}

#[test]
fn the_cover_tells_what_opens_a_record() {
    let cover = Cover::read(&sealed_under_passphrase(), &path(), UID).unwrap();
    assert_eq!((cover.keys, cover.derivations), (vec![cheap(1).key_id()], vec![cheap(1)]));
    let cover = Cover::read(&sealed(), &path(), UID).unwrap();
    assert_eq!((cover.keys, cover.derivations), (vec![key(1).id], vec![]));
    assert!(matches!(Cover::read(&sealed(), &path(), UID + 1), Err(StoreError::ForeignUser { .. })));
}

#[test]
fn a_record_that_only_a_later_version_opens_is_not_called_locked() {
    let mut opened = open(&sealed(), vec![key(1)]).unwrap();
    opened.header.slots = vec![Slot::Other { kind: 77, body: vec![] }];
    let file = opened.seal(&path()).unwrap();
    assert!(matches!(open(&file, vec![key(1)]), Err(StoreError::UnknownVersion { .. })));
}

#[test]
fn a_node_key_seals_before_a_passphrase() {
    let keys = unlocked(vec![key(1)], vec![passphrase(1, "a")]);
    assert!(matches!(keys.sealing(), Some(SealingKey::Node(_))));
    let keys = unlocked(vec![], vec![passphrase(1, "a"), passphrase(2, "b")]);
    assert_eq!(keys.sealing().unwrap().user_key().id, cheap(2).key_id());
    assert!(Keyring::default().sealing().is_none());
}

/// Bounds of issuer/token.rs, issuer/registration.rs and issuer/url.rs; JSON makes two characters of each quote.
#[test]
fn whatever_an_issuer_may_send_can_be_kept() {
    let quotes = |length| Secret::new("\"".repeat(length));
    let url = || Some(format!("https://issuer.example/{}", "x".repeat(2048)));
    let mut long = record();
    long.refresh_token = quotes(16 * 1024);
    long.client = Client {
        client_id: "\"".repeat(4096),
        client_secret: Some(quotes(4096)),
        auth: ClientAuth::Basic,
        registration_client_uri: url(),
        registration_access_token: Some(quotes(16 * 1024)),
    };
    long.endpoints.device_authorization = url();
    long.endpoints.revocation = url();
    // Of an enrolment, which is a line of 64 KiB at most.
    long.scope = ScopeSet::parse(&"x".repeat(64 * 1024));
    long.registered_scope = Some(ScopeSet::parse("openid"));
    let mut opened = Opened::create(long, UID, SealingKey::Node(&key(1))).unwrap();
    let again = open(&opened.seal(&path()).unwrap(), vec![key(1)]).unwrap();
    assert_eq!(again.record.refresh_token.expose().len(), 16 * 1024);
    assert!(again.record.registered_scope.is_some());
}

#[test]
fn more_scopes_than_there_is_room_for_cost_no_refresh_token() {
    let mut opened = open(&sealed(), vec![key(1)]).unwrap();
    opened.record.refresh_token = Secret::new("second".into());
    opened.record.registered_scope = Some(ScopeSet::parse(&"x".repeat(300 * 1024)));
    opened.record.client_name = Some("name".into());
    let again = open(&opened.seal(&path()).unwrap(), vec![key(1)]).unwrap();
    assert_eq!(again.record.refresh_token.expose(), "second");
    assert_eq!((again.record.registered_scope, again.record.client_name), (None, None));
    assert_eq!(again.record.scope.to_string(), "openid");
}
