import { settings } from './settings.mjs';

// IAM's refresh tokens are unsigned JWTs that say when they end. oidc-provider keeps opaque ones: outside they are
// dressed as IAM's, inside they go by their jti.

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

const dress = (jti, exp) => `${part({ alg: 'none' })}.${part({ exp, jti })}.${'"'.repeat(settings.refresh_token_padding)}`;

export function undress(token) {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).jti ?? token;
  } catch {
    return token;
  }
}

export function dressRefreshTokens({ RefreshToken }) {
  const { find } = RefreshToken;
  const { getValueAndPayload } = RefreshToken.prototype;
  RefreshToken.find = function undressed(token, ...rest) {
    return find.call(this, undress(token), ...rest);
  };
  RefreshToken.prototype.getValueAndPayload = async function dressed() {
    const { payload } = await getValueAndPayload.call(this);
    return { value: dress(this.jti, payload.exp), payload };
  };
}
