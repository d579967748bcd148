// Clients that are there before anybody registers one, as an administrator has made them. Their names are those of
// IAM's own tests.

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

const client = (client_id, grant_types, method) => ({
  client_id,
  client_name: client_id,
  ...(method === 'none' ? {} : { client_secret: 'secret' }),
  token_endpoint_auth_method: method,
  grant_types,
  response_types: [],
  redirect_uris: [],
});

export const CLIENTS = [
  client('device-code-client', [DEVICE_GRANT, 'refresh_token'], 'client_secret_basic'),
  client('public-dc-client', [DEVICE_GRANT], 'none'),
  client('password-grant', ['password'], 'client_secret_basic'),
];

// The scopes that each of them may ask for.
export const CLIENT_SCOPE = 'openid offline_access profile wlcg wlcg.groups storage.read:/ storage.create:/';
