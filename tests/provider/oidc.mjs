// oidc-provider, configured to look like INDIGO IAM: its paths, its tokens (WLCG profile), its lifetimes.

import * as crypto from 'node:crypto';

import { createLocalJWKSet, jwtVerify } from 'jose';
import Provider from 'oidc-provider';

import { Adapter } from './adapter.mjs';
import { CLIENTS } from './clients.mjs';
import { misbehave } from './faults.mjs';
import { imitate } from './iam.mjs';
import { registerPasswordGrant } from './password.mjs';
import { dressRefreshTokens } from './refresh_tokens.mjs';
import { allowNarrowing, expanded, within, words } from './scopes.mjs';
import { settings } from './settings.mjs';
import { count, observe } from './traffic.mjs';
import { userinfo } from './userinfo.mjs';

// The audience of a token that nobody asked another audience for.
export const ANY_AUDIENCE = 'https://wlcg.cern.ch/jwt/v1/any';
export const OIDC_SCOPES = ['openid', 'offline_access', 'profile', 'email'];

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const GROUPS = ['/wlcg', '/wlcg/pilots'];
// Longer than any refresh token, so that only the token's own life ends an enrolment.
const GRANT_LIFETIME = 400 * 86400;

const signingKey = () => ({
  ...crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
  alg: 'RS256',
  use: 'sig',
  kid: 'rsa1',
});

const account = async (ctx, sub) => ({
  accountId: sub,
  claims: async () => ({ sub, name: sub, preferred_username: sub, email: `${sub}@iam.example`, groups: GROUPS }),
});

// Every scope of a request is one of the single resource server that all storage and compute is.
const resourceServer = async (ctx, resource) => {
  const { params, entities } = ctx.oidc;
  const sources = [params?.scope, entities?.DeviceCode?.scope, entities?.RefreshToken?.scope];
  const scopes = new Set(sources.flatMap(words).filter((scope) => !within(settings.denied_scopes, scope)));
  return {
    scope: [...scopes].join(' '),
    audience: resource,
    accessTokenTTL: settings.access_token_lifetime,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'RS256' } },
  };
};

// The claims of WLCG profile 1.3.
async function wlcgProfile(ctx, token, jwt) {
  const scopes = expanded([...words(jwt.payload.scope), ...words(ctx?.state.surplus)]);
  const { audience_scopes: byScope } = settings;
  const audience = byScope ? scopes.flatMap((scope) => words(byScope[scope])) : words(ctx.oidc?.body?.audience);
  jwt.header = { typ: 'at+jwt' };
  jwt.payload['wlcg.ver'] = '1.0';
  jwt.payload.nbf = jwt.payload.iat;
  jwt.payload.scope = scopes.join(' ');
  if (audience.length > 0) jwt.payload.aud = audience.length > 1 ? audience : audience[0];
  if (scopes.includes('wlcg.groups')) jwt.payload['wlcg.groups'] = GROUPS;
  Object.assign(jwt.payload, ctx?.state.claims);
}

const configuration = (key) => ({
  jwks: { keys: [key] },
  adapter: Adapter,
  clients: CLIENTS.map(({ scope: _, ...metadata }) => metadata),
  cookies: { keys: [crypto.randomUUID()] },
  scopes: OIDC_SCOPES,
  claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'], email: ['email'] },
  findAccount: account,
  routes: {
    authorization: '/authorize', token: '/token', userinfo: '/userinfo', jwks: '/jwk', revocation: '/revoke',
    registration: '/iam/api/client-registration', device_authorization: '/devicecode', code_verification: '/device',
  },
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true, charset: 'base-20', mask: '******' },
    registration: { enabled: true, idFactory: () => crypto.randomUUID() },
    registrationManagement: {
      enabled: true, rotateRegistrationAccessToken: () => settings.rotate_registration_tokens,
    },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: async (ctx, client, oneOf) => oneOf?.[0] ?? ANY_AUDIENCE,
      useGrantedResource: async () => true,
      getResourceServerInfo: resourceServer,
    },
  },
  clientDefaults: { grant_types: [DEVICE_GRANT, 'refresh_token'], response_types: [] },
  rotateRefreshToken: () => settings.rotate,
  issueRefreshToken: async (ctx, client, code) =>
    client.grantTypeAllowed('refresh_token')
    && (settings.refresh_token_unasked || code.scopes.has('offline_access')),
  expiresWithSession: async () => false,
  ttl: {
    AccessToken: () => settings.access_token_lifetime,
    RefreshToken: () => settings.refresh_token_lifetime,
    DeviceCode: () => settings.device_code_lifetime,
    Grant: GRANT_LIFETIME,
    IdToken: 600, Interaction: 600, Session: 3600,
  },
  formats: { customizers: { jwt: wlcgProfile } },
});

export function build(issuer) {
  const key = signingKey();
  const provider = new Provider(issuer, configuration(key));
  allowNarrowing(provider);
  dressRefreshTokens(provider);
  registerPasswordGrant(provider, { audience: ANY_AUDIENCE, oidcScopes: OIDC_SCOPES, resourceServer });
  const keys = createLocalJWKSet({ keys: [{ kty: key.kty, n: key.n, e: key.e, alg: key.alg, kid: key.kid }] });
  const verify = async (token) => (await jwtVerify(token, keys, { issuer })).payload;
  const claimsOf = async (sub) => (await account(null, sub)).claims();
  for (const layer of [observe, misbehave, imitate, userinfo(verify, claimsOf)]) provider.use(layer);
  provider.on('grant.error', (ctx, error) => {
    ctx.state.detail = error.error_detail;
    if (error.error_detail === 'refresh token already used') count('reuse');
  });
  provider.on('server_error', (ctx, error) => console.error(error));

  return { provider, verify };
}
