// The userinfo endpoint as IAM has it: it takes the access tokens that storage takes, and tells by their scopes.
// oidc-provider's own refuses every token that is for a resource server.

import { ANSWERS } from './answers.mjs';
import { words } from './scopes.mjs';

export const userinfo = (verify, claimsOf) => async (ctx, next) => {
  if (ctx.state.endpoint !== 'userinfo') return next();
  const token = /^Bearer (.+)$/.exec(ctx.get('authorization'))?.[1];
  const payload = token && await verify(token).catch(() => null);
  if (!payload) {
    const [status, body] = ANSWERS.dead_token('access', token);
    Object.assign(ctx, { status, body });
    return undefined;
  }
  const { sub, name, preferred_username: user, groups, email } = await claimsOf(payload.sub);
  const scopes = words(payload.scope);
  Object.assign(ctx, {
    status: 200,
    body: {
      sub,
      ...(scopes.includes('profile') && { name, preferred_username: user, groups }),
      ...(scopes.includes('email') && { email }),
    },
  });
  return undefined;
};
