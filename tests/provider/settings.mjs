// What a test can change while the provider runs (control command "set"). Lifetimes are in seconds.

export const settings = {
  // What the registration lets a client have and the discovery document names.
  scopes_supported: [
    'openid', 'offline_access', 'profile', 'email', 'wlcg', 'wlcg.groups', 'storage.read:/', 'storage.create:/',
    'storage.modify:/', 'storage.stage:/', 'compute.read', 'compute.modify', 'compute.create', 'compute.cancel',
  ],
  // Removed from a client without a word when it registers, as IAM does with restricted scopes.
  restricted_scopes: [],
  // Refused in a registration, in no client's list, and granted all the same, as Keycloak does with "openid".
  scopes_of_no_client: [],
  // A device code is given and redeemed with a proof (RFC 7636), as EGI Check-in wants it.
  demands_pkce: false,
  // A revocation by form is led to the pages, and has been done, as IAM does; by Basic it is answered.
  redirects_revocation_forms: true,
  // Refused wherever it is asked for, as Google and GitLab refuse "offline_access".
  unknown_scopes: [],
  // A refresh token comes though nobody asked for one, as there.
  refresh_token_unasked: false,
  // The audience is that of a scope, and one that is named is ignored, as at Keycloak; IAM's way if null.
  audience_scopes: null,
  // Scopes that stand for others, which a token has in their place, as at CILogon.
  scope_sets: {},
  // Left out of every token although granted, as IAM's scope policies do.
  denied_scopes: [],
  access_token_lifetime: 3600,
  refresh_token_lifetime: 30 * 86400,
  device_code_lifetime: 600,
  // So many characters more that JSON writes as two.
  refresh_token_padding: 0,
  // In the answer to a device; IAM names none, which means 5 s.
  device_interval: null,
  // A new refresh token at each refresh; the use of an old one then ends the whole grant.
  rotate: false,
  // One grant for all that a user approves for a client: revoking a refresh token ends all of it.
  shared_grants: false,
  // Clients can be read and changed by whoever registered them (RFC 7592).
  client_management: true,
  // A new registration token with each change of a client, which ends the one before.
  rotate_registration_tokens: false,
  // Seen before a client is registered, as some sites set IAM up; none is wanted if null.
  initial_access_token: null,
  // What the discovery document names and the registration lets a client have; all if null.
  auth_methods: null,
  // Whether clients can register themselves: true; "disabled", which the discovery document does not say; or false.
  registration: true,
  // A path that the issuer is at, too, as one that moves there; by itself it is at one place.
  also_at: null,
  // Whether the discovery document names the endpoint of the device flow.
  names_device_endpoint: true,
  // How failures are spelled: "iam" or "standard" (RFC 6749).
  errors: 'iam',
};

export function change(values) {
  for (const [name, value] of Object.entries(values)) {
    if (!(name in settings)) throw new Error(`no setting is called ${name}`);
    settings[name] = value;
  }
}
