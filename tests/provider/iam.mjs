// What INDIGO IAM does otherwise than oidc-provider: scopes of clients, the shape of answers, the spelling of errors.

import * as crypto from 'node:crypto';

import { ANSWERS } from './answers.mjs';
import { CLIENTS } from './clients.mjs';
import { undress } from './refresh_tokens.mjs';
import { settings } from './settings.mjs';
import { expanded, within, words } from './scopes.mjs';
import { count } from './traffic.mjs';

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
// That nobody can register.
const NO_GRANTS = ['password', 'client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'];
const METHODS = ['client_secret_basic', 'client_secret_post', 'none'];

// By client_id. oidc-provider would refuse every scope with a path, so it never sees them.
const registered = new Map(CLIENTS.map(({ client_id: client, scope }) => [client, words(scope)]));

// What was sent with a request for a device code, where a proof is demanded.
const challenges = new Map();

export function deleteClients({ Client }) {
  Client.adapter.entries.clear();
  registered.clear();
}

const wanted = (scope) => words(scope)
  .filter((word) => within(settings.scopes_supported, word) && !settings.restricted_scopes.includes(word));

const say = (ctx, [status, body]) => Object.assign(ctx, { status, body });

// Why a client is not registered, as IAM says it, which is free text or nothing.
function objection(ctx) {
  const { initial_access_token: token, auth_methods: methods } = settings;
  if (settings.registration === 'disabled') return ANSWERS.registration_disabled();
  if (token && ctx.get('authorization') !== `Bearer ${token}`) {
    return ctx.get('authorization') ? ANSWERS.dead_token('access', '') : ANSWERS.registration_closed();
  }
  const { token_endpoint_auth_method: method, client_name: name = '', grant_types: grants = [] } =
    ctx.request.body ?? {};
  const grant = grants.find((one) => NO_GRANTS.includes(one));
  if (grant) return ANSWERS.grant_not_registered(grant);
  if (name.length < 4 || name.length > 256) return ANSWERS.name_of_wrong_length();
  return !METHODS.includes(method) || (methods && !methods.includes(method)) ? [400, ''] : null;
}

async function registration(ctx, next) {
  const refused = objection(ctx);
  if (refused) {
    say(ctx, refused);
    return;
  }
  const { scope, ...metadata } = ctx.request.body ?? {};
  if (words(scope).some((word) => settings.scopes_of_no_client.includes(word))) {
    const policy = "Policy 'Allowed Client Scopes' rejected request to client-registration service";
    Object.assign(ctx, { status: 403, body: { error: 'insufficient_scope', error_description: policy } });
    return;
  }
  ctx.request.body = metadata;
  await next();
  if (ctx.status !== 201) return;
  const kept = wanted(scope ?? settings.scopes_supported.join(' '));
  registered.set(ctx.body.client_id, kept);
  ctx.body.scope = kept.join(' ');
  ctx.body.created_at = Date.now();
  // IAM sets neither.
  delete ctx.body.client_secret_expires_at;
  delete ctx.body.client_id_issued_at;
  if (settings.client_management) return;
  delete ctx.body.registration_client_uri;
  delete ctx.body.registration_access_token;
}

// RFC 7592: a client is read, and changed as a whole.
async function client(ctx, next) {
  if (!settings.client_management) {
    ctx.status = 404;
    ctx.body = '';
    return;
  }
  if (!ctx.get('authorization')) {
    say(ctx, ANSWERS.no_registration_token());
    return;
  }
  const { scope, created_at: _, ...metadata } = ctx.request.body ?? {};
  if (ctx.method === 'PUT') ctx.request.body = metadata;
  await next();
  if (ctx.status !== 200) return;
  if (ctx.method === 'PUT') registered.set(ctx.body.client_id, wanted(scope));
  ctx.body.scope = registered.get(ctx.body.client_id).join(' ');
  // IAM gives a registration token once.
  if (!settings.rotate_registration_tokens) delete ctx.body.registration_access_token;
}

// The scope that a client may not ask for.
const refusedScope = (allowed, scope) => words(scope)
  .find((word) => settings.unknown_scopes.includes(word) || !within(allowed, word));

async function deviceAuthorization(ctx, next) {
  const { client_id: client, scope } = ctx.request.body ?? {};
  const allowed = registered.get(client);
  if (!allowed) {
    // No body at all: of a client that is not known, and where the form names none.
    say(ctx, [client ? 404 : 400, '']);
    return;
  }
  if (refusedScope([...allowed, ...settings.scopes_of_no_client], scope)) {
    say(ctx, ANSWERS.scope_of_device(client));
    return;
  }
  const { code_challenge: challenge, code_challenge_method: method } = ctx.request.body;
  if (settings.demands_pkce && method !== 'S256') {
    Object.assign(ctx, { status: 400, body: { error: 'invalid_request', error_description: 'Missing parameter: code_challenge_method' } });
    return;
  }
  await next();
  if (/is not allowed for this client/.test(ctx.body?.error_description)) say(ctx, ANSWERS.grant_not_allowed(DEVICE_GRANT));
  if (ctx.status !== 200) return;
  if (settings.demands_pkce) challenges.set(ctx.body.device_code, challenge);
  if (settings.device_interval) ctx.body.interval = settings.device_interval;
}

// IAM looks at no proof; Keycloak does, where it was sent.
async function poll(ctx, next) {
  const { device_code: code, code_verifier: verifier } = ctx.request.body ?? {};
  const challenge = challenges.get(code);
  if (challenge && crypto.createHash('sha256').update(verifier ?? '').digest('base64url') !== challenge) {
    Object.assign(ctx, { status: 400, body: { error: 'invalid_grant', error_description: 'PKCE verification failed' } });
    return;
  }
  await next();
  if (ctx.status === 200) stateScope(ctx);
  if (settings.errors !== 'iam') return;
  const answer = ANSWERS.of_poll[ctx.body?.error];
  if (answer) say(ctx, answer(code));
  else badClient(ctx);
}

// A scope that stands for others is not in the answer either.
function stateScope(ctx) {
  if (ctx.body?.scope) ctx.body.scope = expanded(words(ctx.body.scope)).join(' ');
  if (ctx.body?.scope === '') delete ctx.body.scope;
}

// IAM tells apart how a client authenticated that it does not know, or not by this secret.
function badClient(ctx) {
  if (ctx.body?.error !== 'invalid_client') return;
  say(ctx, ctx.get('authorization') ? ANSWERS.bad_client_by_basic() : ANSWERS.bad_client_by_form());
}

// IAM takes Basic with an empty password of a public client.
// oidc-provider revokes nothing that looks like a JWT.
async function revocation(ctx, next) {
  const body = ctx.request.body ?? {};
  if (body.token) body.token = undress(body.token);
  const [client, secret] = basic(ctx) ?? [];
  const isForm = client === undefined;
  if (secret === '') {
    delete ctx.req.headers.authorization;
    body.client_id = client;
  }
  await next();
  if (settings.errors !== 'iam') return;
  if (isForm && !body.client_id) {
    say(ctx, ANSWERS.no_client());
  } else if (ctx.body?.error === 'invalid_client') {
    if (!isForm) say(ctx, ANSWERS.bad_client_by_basic());
    else say(ctx, [405, '']);
  } else if (settings.redirects_revocation_forms && isForm && ctx.status === 200) {
    ctx.redirect('/');
    // Who asks again by Basic revokes once.
    count('revocation', -1);
    count('revocation_led_astray');
    ctx.body = '';
  }
}

// IAM names a dead refresh token in full.
async function refresh(ctx, next) {
  const client = clientOf(ctx);
  const scope = refusedScope([...(registered.get(client) ?? []), ...settings.scopes_of_no_client], ctx.request.body.scope);
  if (registered.has(client) && scope) {
    say(ctx, ANSWERS.scope_of_client(scope, client));
    return;
  }
  await next();
  stateScope(ctx);
  if (settings.errors !== 'iam') return;
  if (ctx.body?.error === 'invalid_grant') {
    const isOthers = /client mismatch/.test(ctx.state.detail);
    say(ctx, isOthers ? ANSWERS.token_of_another_client() : ANSWERS.dead_refresh_token(ctx.request.body.refresh_token));
  } else if (ctx.body?.error === 'invalid_scope') {
    say(ctx, ANSWERS.up_scoping());
  } else {
    badClient(ctx);
  }
}

function basic(ctx) {
  const [kind, value = ''] = ctx.get('authorization').split(' ');
  return kind === 'Basic' ? Buffer.from(value, 'base64').toString().split(':').map(decodeURIComponent) : null;
}

// The client is in the header or in the form.
const clientOf = (ctx) => (basic(ctx) ?? [ctx.request.body?.client_id])[0];

// oidc-provider knows no scopes of clients, and describes an error in words of its own.
async function password(ctx, next) {
  const client = clientOf(ctx);
  const allowed = registered.get(client);
  const scope = allowed && refusedScope(allowed, ctx.request.body.scope);
  if (scope) {
    say(ctx, ANSWERS.scope_of_client(scope, client));
    return;
  }
  await next();
  stateScope(ctx);
  if (settings.errors !== 'iam') return;
  if (ctx.body?.error === 'invalid_grant') say(ctx, ANSWERS.bad_password());
  else if (/grant type is not allowed/.test(ctx.body?.error_description)) say(ctx, ANSWERS.grant_not_allowed());
  else badClient(ctx);
}

async function discovery(ctx, next) {
  await next();
  if (!ctx.body) return;
  ctx.body.scopes_supported = settings.scopes_supported;
  if (settings.auth_methods) ctx.body.token_endpoint_auth_methods_supported = settings.auth_methods;
  if (!settings.registration) delete ctx.body.registration_endpoint;
  if (!settings.names_device_endpoint) delete ctx.body.device_authorization_endpoint;
}

// Where IAM has no issuer it wants somebody to have logged in.
async function page(ctx, next) {
  if (ctx.path.endsWith('/.well-known/openid-configuration')) say(ctx, ANSWERS.no_client());
  else await next();
}

const HABITS = {
  registration, client, device_authorization: deviceAuthorization, poll, password, refresh, revocation, discovery, page,
};

export async function imitate(ctx, next) {
  const habit = HABITS[ctx.state.endpoint];
  return habit ? habit(ctx, next) : next();
}
