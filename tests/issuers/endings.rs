//! How what was granted ends at the issuer.

use crate::Row;
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    ("forget ends the grant and deletes the client", forget),
    ("revoke --at-issuer ends the grant and deletes the client", revoke),
    ("a client of the site's loses the grant, and stays", sites_client),
];

fn enrolled(scene: &Scene<'_>) {
    scene.forget("alice");
    scene.enrol(&scene.open, "alice", "-s storage.read:/ Grid", "enrolled");
    assert_eq!(scene.open.registered_clients().len(), 1);
}

fn forget(scene: &Scene<'_>) {
    enrolled(scene);
    let said = scene.host.ssh("alice", "iam-session forget Grid").successful();
    assert!(said.stdout.contains("revoked") || said.stderr.contains("revoked"), "{said:?}");
    assert!(scene.open.registered_clients().is_empty());
}

fn revoke(scene: &Scene<'_>) {
    enrolled(scene);
    scene.host.as_root().run("iam-session-admin revoke alice --at-issuer").successful();
    assert!(scene.open.registered_clients().is_empty());
    scene.host.write("/etc/iam-session/revoked", "", 0o644);
    scene.host.ssh("alice", "iam-session forget --local Grid").successful();
}

fn sites_client(scene: &Scene<'_>) {
    scene.forget("alice");
    scene.open.add_client("sites", serde_json::json!({}), serde_json::json!({}));
    scene.enrol(&scene.open, "alice", "--client-id sites -s storage.read:/ Grid", "enrolled");
    assert_eq!(scene.open.offline_sessions("sites"), 1);
    scene.host.ssh("alice", "iam-session forget Grid").successful();
    assert_eq!(scene.open.offline_sessions("sites"), 0);
    assert!(scene.open.has_client("sites"));
}
