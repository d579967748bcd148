// What INDIGO IAM does otherwise than oidc-provider: scopes of clients, the shape of answers, the spelling of errors.

import * as crypto from 'node:crypto';

import { CLIENTS } from './clients.mjs';
import { undress } from './refresh_tokens.mjs';
import { settings } from './settings.mjs';
import { within, words } from './scopes.mjs';

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

// Why a client is not registered, as IAM says it, which is free text.
function objection(ctx) {
  const { initial_access_token: token, auth_methods: methods } = settings;
  if (token && ctx.get('authorization') !== `Bearer ${token}`) {
    return ctx.get('authorization') ? [401, 'invalid_token'] : [403, 'Client registration is not open'];
  }
  const { token_endpoint_auth_method: method } = ctx.request.body ?? {};
  return methods && !methods.includes(method) ? [400, `Authentication method not allowed: ${method}`] : null;
}

async function registration(ctx, next) {
  const refused = objection(ctx);
  if (refused) {
    const [status, error] = refused;
    Object.assign(ctx, { status, body: { error } });
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
  const { scope, created_at: _, ...metadata } = ctx.request.body ?? {};
  if (ctx.method === 'PUT') ctx.request.body = metadata;
  await next();
  if (ctx.status !== 200) return;
  if (ctx.method === 'PUT') registered.set(ctx.body.client_id, wanted(scope));
  ctx.body.scope = registered.get(ctx.body.client_id).join(' ');
  // IAM gives a registration token once.
  if (!settings.rotate_registration_tokens) delete ctx.body.registration_access_token;
}

function refusesScope(ctx, allowed, scope) {
  const refused = words(scope).find((word) => !within(allowed, word));
  if (!refused) return false;
  ctx.status = 400;
  ctx.body = { error: 'invalid_scope', error_description: `Invalid scope: ${refused}` };
  return true;
}

async function deviceAuthorization(ctx, next) {
  const { client_id: client, scope } = ctx.request.body ?? {};
  const allowed = registered.get(client);
  if (!allowed) {
    // An unknown client: no body at all.
    ctx.status = 404;
    ctx.body = '';
    return;
  }
  if (refusesScope(ctx, [...allowed, ...settings.scopes_of_no_client], scope)) return;
  const { code_challenge: challenge, code_challenge_method: method } = ctx.request.body;
  if (settings.demands_pkce && method !== 'S256') {
    Object.assign(ctx, { status: 400, body: { error: 'invalid_request', error_description: 'Missing parameter: code_challenge_method' } });
    return;
  }
  await next();
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
  if (settings.redirects_revocation_forms && isForm && ctx.status === 200) ctx.redirect('/');
}

// IAM names a dead refresh token in full.
async function refresh(ctx, next) {
  await next();
  if (ctx.body?.scope === '') delete ctx.body.scope;
  if (settings.errors !== 'iam') return;
  if (ctx.body?.error === 'invalid_grant') {
    ctx.status = 401;
    ctx.body = {
      error: 'invalid_token',
      error_description: `Invalid refresh token: ${ctx.request.body.refresh_token}`,
    };
  } else if (ctx.body?.error === 'invalid_scope') {
    ctx.body.error_description = 'Up-scoping is not allowed.';
  } else if (ctx.body?.error === 'invalid_client' && ctx.get('authorization')) {
    ctx.body = { error: 'unauthorized', error_description: 'Bad credentials' };
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
  const allowed = registered.get(clientOf(ctx));
  if (allowed && refusesScope(ctx, allowed, ctx.request.body.scope)) return;
  await next();
  if (ctx.body?.scope === '') delete ctx.body.scope;
  if (settings.errors !== 'iam') return;
  if (ctx.body?.error === 'invalid_grant') {
    ctx.status = 400;
    ctx.body.error_description = 'Bad credentials';
  } else if (ctx.body?.error === 'invalid_client') {
    ctx.body = { error: 'unauthorized', error_description: 'Bad credentials' };
  } else if (/grant type is not allowed/.test(ctx.body?.error_description)) {
    ctx.status = 401;
    ctx.body = { error: 'invalid_client', error_description: 'Unauthorized grant type' };
  }
}

async function discovery(ctx, next) {
  await next();
  if (!ctx.body) return;
  ctx.body.scopes_supported = settings.scopes_supported;
  if (settings.auth_methods) ctx.body.token_endpoint_auth_methods_supported = settings.auth_methods;
  if (!settings.registration) delete ctx.body.registration_endpoint;
}

const HABITS = {
  registration, client, device_authorization: deviceAuthorization, poll, password, refresh, revocation, discovery,
};

export async function imitate(ctx, next) {
  const habit = HABITS[ctx.state.endpoint];
  return habit ? habit(ctx, next) : next();
}
