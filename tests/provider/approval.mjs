// What a user does in the browser, without one: approves or refuses a user code.

import { ANY_AUDIENCE, OIDC_SCOPES } from './oidc.mjs';
import { words } from './scopes.mjs';
import { settings } from './settings.mjs';

async function pending(provider, userCode) {
  const code = await provider.DeviceCode.findByUserCode(userCode.replace(/\W/g, '').toUpperCase());
  if (!code) throw new Error(`no device waits for the code ${userCode}`);
  return code;
}

export async function approve(provider, { user_code: userCode, user }) {
  const code = await pending(provider, userCode);
  const scopes = words(code.params.scope);
  const former = settings.shared_grants && [...provider.Grant.adapter.entries]
    .find(([, { accountId, clientId }]) => accountId === user && clientId === code.clientId);
  const grant = former ? await provider.Grant.find(former[0])
    : new provider.Grant({ accountId: user, clientId: code.clientId });
  grant.addOIDCScope(scopes.filter((scope) => OIDC_SCOPES.includes(scope)).join(' '));
  grant.addResourceScope(ANY_AUDIENCE, scopes.join(' '));
  Object.assign(code, {
    accountId: user,
    grantId: await grant.save(),
    scope: code.params.scope,
    resource: ANY_AUDIENCE,
    authTime: Math.floor(Date.now() / 1000),
  });
  await code.save();
}

// Reported to the device as RFC 8628 has it; IAM itself lets a refusal look like a code that nobody entered.
export async function deny(provider, { user_code: userCode }) {
  const code = await pending(provider, userCode);
  Object.assign(code, { error: 'access_denied', errorDescription: 'the user refused' });
  await code.save();
}

// All that was granted to a user ends, as when an administrator revokes it at the issuer.
export async function revokeUser(provider, { user }) {
  const { RefreshToken, Grant } = provider;
  for (const [id, entry] of RefreshToken.adapter.entries) {
    if (entry.accountId !== user) continue;
    await RefreshToken.adapter.destroy(id);
    await Grant.adapter.destroy(entry.grantId);
  }
}
