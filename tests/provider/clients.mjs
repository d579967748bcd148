// Clients that are there before anybody registers one, as an administrator has made them: their names are those of
// IAM's own tests. None may modify.

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const SCOPE = 'openid offline_access profile wlcg wlcg.groups storage.read:/';

const client = (client_id, grant_types, scope, method) => ({
  client_id,
  client_name: client_id,
  ...(method === 'none' ? {} : { client_secret: 'secret' }),
  token_endpoint_auth_method: method,
  grant_types,
  scope,
  response_types: [],
  redirect_uris: [],
});

export const CLIENTS = [
  client('public-dc-client', [DEVICE_GRANT, 'refresh_token'], SCOPE, 'none'),
  client('device-code-client', [DEVICE_GRANT, 'refresh_token'], SCOPE, 'client_secret_basic'),
  client('password-grant', ['password'], `${SCOPE} storage.create:/`, 'client_secret_basic'),
];
