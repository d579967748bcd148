// In front of the provider: reads the request, knows which of its endpoints is meant, and counts.

import * as querystring from 'node:querystring';

import { settings } from './settings.mjs';

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
// Each with the place it was given at: '' or `also_at`.
const given = new Map();

export const secrets = () => [...given.keys()];

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

// Where a request is made; its path is the usual one from here on.
function place(ctx) {
  const { also_at: other } = settings;
  if (!other || !ctx.path.startsWith(`${other}/`)) return '';
  ctx.path = ctx.path.slice(other.length);
  return other;
}

// Whether a request shows what was given at the other place.
function isStray(ctx, text, at) {
  const [kind, value] = ctx.get('authorization').split(' ');
  const shown = `${decodeURIComponent(text)} ${kind === 'Basic' ? Buffer.from(value, 'base64') : value}`;
  return [...given].some(([secret, there]) => there !== at && shown.includes(secret));
}

// The same endpoints, at another place.
function moved({ issuer, ...document }, at) {
  const origin = issuer.replace(/\/$/, '');
  return JSON.parse(JSON.stringify({ issuer, ...document }).replaceAll(`${origin}/`, `${origin}${at}/`));
}

// The body is read here, because counting and faults need the grant type whatever happens afterwards.
export async function observe(ctx, next) {
  const chunks = [];
  for await (const chunk of ctx.req) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const at = place(ctx);
  if (at && isStray(ctx, text, at)) count('stray');
  if (text) ctx.request.body = parse(ctx, text);
  ctx.state.endpoint = endpoint(ctx);
  count(ctx.state.endpoint);
  await next();
  if (at && ctx.state.endpoint === 'discovery') ctx.body = moved(ctx.body, at);
  for (const name of GIVEN) if (ctx.body?.[name] && !given.has(ctx.body[name])) given.set(ctx.body[name], at);
}
