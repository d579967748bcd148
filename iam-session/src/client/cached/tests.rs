use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use super::*;
use crate::runtime::AgentPresence;
use crate::runtime::accounts::AccountEntry;
use crate::runtime::accounts::tests::{book, entry};
use crate::runtime::cache::{CachedToken, TokenReply};
use crate::scratch::Scratch;
use crate::secret::Secret;

const NOW: Now = Now { unix: 1000, boot: Duration::from_secs(1000) };

/// A runtime directory with an agent, an account and its session token.
struct Scene {
    scratch: Scratch,
    socket: PathBuf,
    runtime: RuntimeDirectory,
    presence: Option<AgentPresence>,
}

impl Scene {
    fn new() -> Self {
        let scratch = Scratch::new();
        let places = RuntimePaths::new(&*scratch, geteuid().as_raw());
        let socket = places.socket("one");
        let (runtime, presence) = RuntimeDirectory::enter(places, "one").unwrap();
        book(vec![entry("a")]).write(&runtime.agents).unwrap();
        let scene = Self { scratch, socket, runtime, presence: Some(presence) };
        scene.cache(&entry("a"));
        scene
    }

    fn cache(&self, entry: &AccountEntry) {
        let token = CachedToken {
            wanted: entry.session_token(),
            access_token: Secret::new("access".into()),
            granted: entry.session_scope.clone(),
            issuer: entry.issuer.clone(),
            boot_id: self.runtime.cache.boot_id().to_owned(),
            issued: Duration::from_secs(900),
            ends: Duration::from_secs(1900),
            expires_at: 1900,
            jti: None,
            reply: TokenReply::default(),
        };
        self.runtime.cache.put(&token, NOW).unwrap();
    }

    fn tokens(&self) -> CachedTokens<'_> {
        CachedTokens { socket: &self.socket, uid: geteuid().as_raw(), revoked: self.scratch.join("revoked") }
    }

    fn gives(&self, request: &TokenRequest) -> bool {
        self.tokens().token(request, NOW).is_some()
    }

    fn gives_one(&self) -> bool {
        self.gives(&TokenRequest::default())
    }

    fn agents(&self) -> PathBuf {
        self.scratch.join("iam-session")
    }

    fn cached(&self) -> PathBuf {
        fs::read_dir(self.agents().join("cache")).unwrap().next().unwrap().unwrap().path()
    }
}

#[test]
fn a_token_that_is_at_hand_is_given_and_nothing_else() {
    let scene = Scene::new();
    let token = scene.tokens().token(&TokenRequest::default(), NOW).unwrap();
    assert_eq!((token.access_token.expose(), token.account.as_str()), ("access", "a"));
    let asks = |seconds| TokenRequest { min_valid_period: seconds, ..TokenRequest::default() };
    assert!(scene.gives(&asks(800)));
    for request in [
        asks(-1),
        asks(1000),
        TokenRequest { account: Some("b".into()), ..TokenRequest::default() },
        TokenRequest { audience: "https://se.example".into(), ..TokenRequest::default() },
    ] {
        assert!(!scene.gives(&request), "{request:?}");
    }
}

#[test]
fn what_a_dead_agent_left_is_not_given() {
    let mut scene = Scene::new();
    let presence = scene.presence.take();
    assert!(scene.gives_one());
    drop(presence);
    assert!(scene.agents().join("one.lock").exists() && !scene.gives_one());
    fs::remove_file(scene.agents().join("one.lock")).unwrap();
    assert!(!scene.gives_one() && !scene.agents().join("one.lock").exists());
}

#[test]
fn a_lock_of_the_host_and_any_list_of_revoked_users_are_the_agents_to_judge() {
    let scene = Scene::new();
    for file in [scene.agents().join("locked"), scene.scratch.join("revoked")] {
        fs::write(&file, "").unwrap();
        assert!(!scene.gives_one(), "{}", file.display());
        fs::remove_file(&file).unwrap();
        symlink("/nowhere", &file).unwrap();
        assert!(!scene.gives_one(), "{}", file.display());
        fs::remove_file(&file).unwrap();
        assert!(scene.gives_one());
    }
}

#[test]
fn links_and_what_others_can_enter_or_own_are_left_alone() {
    let scene = Scene::new();
    let moved = scene.scratch.join("moved");
    for place in [scene.agents().join("accounts.json"), scene.cached(), scene.agents().join("one.lock")] {
        fs::rename(&place, &moved).unwrap();
        symlink(&moved, &place).unwrap();
        assert!(!scene.gives_one(), "{}", place.display());
        fs::remove_file(&place).unwrap();
        nix::unistd::mkfifo(&place, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(!scene.gives_one(), "{}", place.display());
        fs::remove_file(&place).unwrap();
        fs::rename(&moved, &place).unwrap();
        assert!(scene.gives_one(), "{}", place.display());
    }
    for directory in [scene.agents(), scene.agents().join("cache")] {
        fs::set_permissions(&directory, Permissions::from_mode(0o750)).unwrap();
        assert!(!scene.gives_one(), "{}", directory.display());
        fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
        fs::rename(&directory, &moved).unwrap();
        symlink(&moved, &directory).unwrap();
        assert!(!scene.gives_one(), "{}", directory.display());
        fs::remove_file(&directory).unwrap();
        fs::rename(&moved, &directory).unwrap();
    }
    assert!(scene.gives_one());
    let foreign = CachedTokens { uid: geteuid().as_raw() + 1, ..scene.tokens() };
    assert!(foreign.token(&TokenRequest::default(), NOW).is_none());
}

#[test]
fn variables_that_came_through_sudo_name_nothing_of_ours() {
    let with = |set: &'static str| is_of_sudo(move |name| (name == set).then(|| "0".into()));
    assert!(SUDO.iter().all(|name| with(name)) && !with("IAM_SESSION_SOCK"));
}
