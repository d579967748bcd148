// Clients that were registered before any test, as IAM's own tests have them. Neither may write.

const common = {
  grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
  response_types: [],
  redirect_uris: [],
};
const scope = 'openid offline_access profile wlcg wlcg.groups storage.read:/';

export const CLIENTS = [
  { ...common, scope, client_id: 'public-dc-client', token_endpoint_auth_method: 'none' },
  {
    ...common, scope, client_id: 'device-code-client', client_secret: 'secret',
    token_endpoint_auth_method: 'client_secret_basic',
  },
];
