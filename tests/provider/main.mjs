// The provider of the whole-system tests:  node main.mjs ISSUER ADDRESS PORT DIRECTORY
// DIRECTORY holds tls.key and tls.pem. Commands come as one JSON object a line on standard input, and each is
// answered by {"ok":…} or {"error":…} on standard output; at end of file the provider ends. The first line it
// writes, {"ok":"listening"}, says that it serves.

import * as fs from 'node:fs';
import * as https from 'node:https';
import * as readline from 'node:readline';

import { approve, deny, revokeUser } from './approval.mjs';
import { fail, heal } from './faults.mjs';
import { deleteClients } from './iam.mjs';
import { build } from './oidc.mjs';
import { change } from './settings.mjs';
import { counted, secrets } from './traffic.mjs';

// Standard output carries answers and nothing else.
for (const level of ['log', 'info', 'warn']) console[level] = console.error;

const [issuer, address, port, directory] = process.argv.slice(2);
const { provider, verify } = build(issuer);
const certificate = (name) => ({
  key: fs.readFileSync(`${directory}/${name}.key`),
  cert: fs.readFileSync(`${directory}/${name}.pem`),
});
const server = https.createServer(certificate('tls'), provider.callback());

const listen = () => new Promise((done, failed) => {
  server.once('error', failed);
  server.listen(Number(port), address, () => { server.off('error', failed); done(); });
});

const COMMANDS = {
  approve: (command) => approve(provider, command),
  deny: (command) => deny(provider, command),
  revoke_user: (command) => revokeUser(provider, command),
  delete_clients: () => deleteClients(provider),
  verify: ({ token }) => verify(token),
  counts: () => counted(),
  secrets: () => secrets(),
  set: ({ values }) => change(values),
  fail: (command) => fail(command),
  heal: () => heal(),
  // For connections from now on: those that are open keep the certificate they saw.
  certificate: ({ name }) => { server.setSecureContext(certificate(name)); server.closeAllConnections(); },
  start: listen,
  stop: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
};

async function obey(line) {
  try {
    const { command, ...fields } = JSON.parse(line);
    return { ok: (await COMMANDS[command](fields)) ?? null };
  } catch (error) {
    return { error: String(error.message ?? error) };
  }
}

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

await listen();
say({ ok: 'listening' });
for await (const line of readline.createInterface({ input: process.stdin })) say(await obey(line));
process.exit(0);
