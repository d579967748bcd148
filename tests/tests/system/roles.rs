//! Roles: names for scopes and audiences, the site's and the user's.

use support::Host;

use crate::scene::{Scene, json_of, words};

const SITE: &str =
    "[roles.write]\nscope = \"storage.read:/x storage.modify:/x\"\naudience = \"https://se.example\"";

fn scene() -> Scene {
    let scene = Scene::of(Host::plan().site(SITE));
    scene.host.enroll_with(&scene.provider, "alice", "-s max");
    scene
}

#[test]
fn a_role_is_its_scopes_and_its_audience() {
    let scene = scene();
    let login = scene.host.login("alice");
    let token = login.run("iam-session token --role write").successful().stdout;
    let claims = scene.provider.verify(&token);
    assert_eq!(words(&claims["scope"]), ["storage.modify:/x", "storage.read:/x"]);
    assert_eq!(claims["aud"], "https://se.example");
    let elsewhere = json_of(&login, "iam-session token --role write --aud https://other.example --json");
    assert_eq!(elsewhere["audience"], "https://other.example");
}

#[test]
fn a_role_is_for_a_commands_own_token_too() {
    let scene = scene();
    let login = scene.host.login("alice");
    let run = login.run("iam-session run --role write -- printenv BEARER_TOKEN").successful();
    let claims = scene.provider.verify(&run.stdout);
    assert_eq!(words(&claims["scope"]), ["storage.modify:/x", "storage.read:/x"]);
    assert_eq!(claims["aud"], "https://se.example");
    let none = login.run("iam-session run --role wriet -- echo ran");
    assert_eq!((none.status, none.stdout.as_str()), (125, ""));
    assert_eq!(none.stderr, "iam-session: there is no role 'wriet'; there are: write\n");
}

#[test]
fn a_user_adds_roles_and_changes_none_of_the_sites() {
    let scene = scene();
    let login = scene.host.login("alice");
    let own = "[roles.write]\nscope = \"openid\"\n[roles.look]\nscope = \"storage.read:/y\"\n";
    login.run(&format!(
        "mkdir -p ~/.config/iam-session && printf '%s' '{own}' >~/.config/iam-session/config.toml"
    ));
    assert_eq!(json_of(&login, "iam-session token --role look --json")["scope"], "storage.read:/y");
    let write = json_of(&login, "iam-session token --role write --json");
    assert_eq!(write["scope"], "storage.modify:/x storage.read:/x");
}

#[test]
fn a_role_that_is_none_lists_those_that_there_are() {
    let scene = scene();
    let login = scene.host.login("alice");
    let told = login.run("iam-session token --role wriet");
    assert_eq!((told.status, told.stdout.as_str()), (2, ""));
    assert_eq!(told.stderr, "iam-session: there is no role 'wriet'; there are: write\n");
    let both = login.run("iam-session token --role write -s openid");
    assert_eq!(both.status, 2, "{both:?}");
}

#[test]
fn a_role_grants_nothing() {
    let scene = Scene::of(Host::plan().site("[roles.admin]\nscope = \"storage.modify:/\""));
    scene.host.enroll(&scene.provider, "alice");
    let refused = scene.host.login("alice").run("iam-session token --role admin");
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""), "{refused:?}");
}
