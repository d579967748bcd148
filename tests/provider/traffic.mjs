// In front of the provider: reads the request, knows which of its endpoints is meant, and counts.

import * as querystring from 'node:querystring';

const PATHS = {
  '/.well-known/openid-configuration': 'discovery',
  '/iam/api/client-registration': 'registration',
  '/devicecode': 'device_authorization',
  '/revoke': 'revocation',
  '/jwk': 'keys',
  '/userinfo': 'userinfo',
};
const GRANTS = {
  password: 'password',
  refresh_token: 'refresh',
  'urn:ietf:params:oauth:grant-type:device_code': 'poll',
};

const counts = {};

export const count = (name, by = 1) => { counts[name] = (counts[name] ?? 0) + by; };
export const counted = () => counts;

// What was given to clients and nobody else may learn, as a test looks for it.
const GIVEN = ['refresh_token', 'client_secret', 'registration_access_token', 'device_code'];
const given = new Set();

export const secrets = () => [...given];

// The name that counts and faults know a request by.
function endpoint(ctx) {
  if (ctx.path === '/token') return GRANTS[ctx.request.body?.grant_type] ?? 'token';
  if (ctx.path.startsWith('/iam/api/client-registration/')) {
    return ctx.method === 'DELETE' ? 'deregistration' : 'client';
  }
  return PATHS[ctx.path] ?? 'page';
}

function parse(ctx, text) {
  try {
    if (ctx.is('json')) return JSON.parse(text);
  } catch {
    return text;
  }
  return querystring.parse(text);
}

// The body is read here, because counting and faults need the grant type whatever happens afterwards.
export async function observe(ctx, next) {
  const chunks = [];
  for await (const chunk of ctx.req) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  if (text) ctx.request.body = parse(ctx, text);
  ctx.state.endpoint = endpoint(ctx);
  count(ctx.state.endpoint);
  await next();
  for (const name of GIVEN) if (ctx.body?.[name]) given.add(ctx.body[name]);
}
