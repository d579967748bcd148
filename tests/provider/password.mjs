// The grant that oidc-provider leaves out and IAM has: a user name and a password (RFC 6749 §4.3).

import { errors } from 'oidc-provider';

import { words } from './scopes.mjs';

const PASSWORDS = { alice: "alice's own, äöü & more", bob: "bob's" };

async function accessToken(provider, ctx, username, { audience, oidcScopes, resourceServer }) {
  const { params, client } = ctx.oidc;
  const scopes = words(params.scope);
  const server = await resourceServer(ctx, audience);
  const grant = new provider.Grant({ accountId: username, clientId: client.clientId });
  grant.addOIDCScope(scopes.filter((scope) => oidcScopes.includes(scope)).join(' '));
  grant.addResourceScope(audience, server.scope);
  const token = new provider.AccessToken({
    accountId: username, client, grantId: await grant.save(), gty: 'password',
  });
  token.resourceServer = new provider.ResourceServer(audience, server);
  token.scope = grant.getResourceScopeFiltered(audience, scopes);
  ctx.oidc.entity('Grant', grant);
  ctx.oidc.entity('AccessToken', token);
  return token;
}

export function registerPasswordGrant(provider, about) {
  provider.registerGrantType('password', async (ctx) => {
    const { username, password } = ctx.oidc.params;
    if (!password || PASSWORDS[username] !== password) throw new errors.InvalidGrant('Bad credentials');
    const token = await accessToken(provider, ctx, username, about);
    ctx.body = {
      access_token: await token.save(), expires_in: token.expiration, token_type: 'Bearer', scope: token.scope,
    };
  }, ['username', 'password', 'scope', 'audience'], []);
}
