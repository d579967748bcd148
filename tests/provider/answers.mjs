// What INDIGO IAM 1.12 says, word for word: status and body of each answer that is no success.

const error = (status, code, description) => [status, { error: code, ...(description && { error_description: description }) }];

export const ANSWERS = {
  registration_disabled: () => error(400, 'Client registration is disabled'),
  registration_closed: () => error(403, 'You do not have enough privileges to access this client registration API'),
  grant_not_registered: (grant) => error(400, `Grant type not allowed: ${grant}`),
  name_of_wrong_length: () =>
    error(400, 'registerClient.request.clientName: Invalid length: must be between 4 and 256 characters'),
  no_registration_token: () => error(400, 'Invalid registration access token'),

  scope_of_device: (client) =>
    error(400, 'invalid_scope', `One or more requested scope is not allowed for client '${client}'`),
  scope_of_client: (scope, client) => error(400, 'invalid_scope', `Scope '${scope}' not allowed for client '${client}'`),
  up_scoping: () => error(400, 'invalid_scope', 'Up-scoping is not allowed.'),

  of_poll: {
    authorization_pending: (code) => error(400, 'authorization_pending', `Authorization pending for code: ${code}`),
    expired_token: (code) => error(400, 'expired_token', `Device code has expired: ${code}`),
    invalid_grant: (code) => error(400, 'invalid_grant', `Invalid device code: ${code}`),
  },

  // IAM names a dead token in full.
  dead_refresh_token: (token) => error(401, 'invalid_token', `Refresh token for value ${token} was not found`),
  dead_token: (kind, token) => error(401, 'invalid_token', `Invalid ${kind} token: ${token}`),
  token_of_another_client: () => error(401, 'invalid_client', 'Client does not own the presented refresh token'),
  bad_client_by_basic: () => error(401, 'unauthorized', 'Bad credentials'),
  bad_client_by_form: () => error(401, 'invalid_client', 'Bad client credentials'),
  no_client: () => error(401, 'unauthorized', 'Full authentication is required to access this resource'),
  bad_password: () => error(400, 'invalid_grant', 'Bad credentials'),
  grant_not_allowed: (grant) => error(401, 'invalid_client', `Unauthorized grant type${grant ? `: ${grant}` : ''}`),
};
