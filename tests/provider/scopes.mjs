// Scopes as WLCG and INDIGO IAM read them: a storage scope covers the same one on any path below its own.

import { settings } from './settings.mjs';

const PATH_SCOPE = /^(storage\.\w+):(\/\S*)$/;

export const words = (text) => (text ?? '').split(' ').filter(Boolean);

function covers(granted, asked) {
  if (granted === asked) return true;
  const [, outer, above] = PATH_SCOPE.exec(granted) ?? [];
  const [, inner, path] = PATH_SCOPE.exec(asked) ?? [];
  if (!outer || outer !== inner) return false;
  // By component: storage.read:/a covers /a/b and not /ab.
  return `${path}/`.startsWith(`${above.replace(/\/$/, '')}/`);
}

export const within = (granted, asked) =>
  [...granted, ...expanded(granted)].some((scope) => covers(scope, asked));

// What a token has of these scopes: of one that stands for others those.
export const expanded = (scopes) =>
  [...new Set(scopes.flatMap((scope) => words(settings.scope_sets[scope] ?? scope)))];

// IAM lets a refresh narrow the path of a storage scope; oidc-provider compares whole words in these two places.
export function allowNarrowing(provider) {
  const { RefreshToken, Grant } = provider;
  Object.defineProperty(RefreshToken.prototype, 'scopes', {
    get() {
      const granted = words(this.scope);
      const asked = words(provider.constructor.ctx?.oidc?.params?.scope);
      return new Set([...granted, ...asked.filter((scope) => within(granted, scope))]);
    },
  });
  Grant.prototype.getResourceScopeFiltered = function narrowed(resource, asked) {
    const granted = words(this.getResourceScope(resource));
    return [...asked].filter((scope) => within(granted, scope)).join(' ');
  };
}
