// Ways in which an issuer fails. A new one is a row in FAULTS: it gets the koa context and the fault's own fields,
// and answers, or calls next() first and spoils the answer.

import { count } from './traffic.mjs';

const JSON_TYPE = 'application/json';

function answer(ctx, status, body, type = JSON_TYPE) {
  ctx.status = status;
  ctx.type = type;
  ctx.body = body;
}

// Takes the socket away from koa and writes to it as it likes.
function raw(ctx) {
  ctx.respond = false;
  return ctx.res;
}

const FAULTS = {
  // Reads the request and never answers.
  hang: async (ctx) => { raw(ctx); },
  // Closes the connection without a byte.
  cut: async (ctx) => { raw(ctx).destroy(); },
  // Does what it was asked, and the answer is lost on the way.
  lost_answer: async (ctx, _, next) => { await next(); raw(ctx).destroy(); },
  // Does what it was asked, and answers late.
  slow: async (ctx, { milliseconds }, next) => {
    await next();
    await new Promise((resolve) => { setTimeout(resolve, milliseconds); });
  },
  // Does what it was asked, and keeps a good answer back until it is healed. `held` is counted.
  held: async (ctx, _, next) => {
    await next();
    if (ctx.status > 299) return;
    count('held');
    await new Promise((resolve) => { held.push(resolve); });
  },
  status: async (ctx, { status, body = '', retry_after: retryAfter }) => {
    if (retryAfter !== undefined) ctx.set('Retry-After', String(retryAfter));
    // An empty body must not become koa's text for the status.
    answer(ctx, status, body, body.startsWith('{') ? JSON_TYPE : 'text/html');
  },
  html: async (ctx) => answer(ctx, 200, '<html><body>Please log in</body></html>', 'text/html'),
  truncated: async (ctx) => answer(ctx, 200, '{"access_token":"eyJ'),
  wrong_types: async (ctx) => answer(ctx, 200, '{"access_token":7,"expires_in":"soon","scope":[]}'),
  redirect: async (ctx, { to }) => { ctx.set('Location', to); answer(ctx, 302, ''); },
  // Leaves the scope out, as IAM does when its policy has taken everything away.
  unstated_scope: async (ctx, _, next) => {
    ctx.state.claims = { scope: undefined };
    await next();
    delete ctx.body.scope;
  },
  // Does what it was asked, and answers with some fields of another value.
  spoiled: async (ctx, { values }, next) => { await next(); Object.assign(ctx.body, values); },
  // Grants more than it was asked.
  surplus: async (ctx, { scope }, next) => {
    ctx.state.surplus = scope;
    await next();
    ctx.body.scope += ` ${scope}`;
  },
  // Names more in its answer than the token in it is good for, as Keycloak does of an offline refresh token.
  wide_answer: async (ctx, { scope }, next) => { await next(); ctx.body.scope += ` ${scope}`; },
  // Puts other claims into the access token than it says in its answer.
  claims: async (ctx, { values }, next) => { ctx.state.claims = values; await next(); },
  // A body that never ends.
  endless: async (ctx) => {
    const res = raw(ctx);
    res.writeHead(200, { 'Content-Type': JSON_TYPE });
    const more = () => { while (!res.destroyed && res.write(' '.repeat(65536))); };
    res.on('drain', more);
    more();
  },
  // A right answer at one byte a second.
  trickle: async (ctx, _, next) => {
    await next();
    const bytes = Buffer.from(JSON.stringify(ctx.body));
    const res = raw(ctx);
    res.writeHead(200, { 'Content-Type': JSON_TYPE, 'Content-Length': bytes.length });
    let sent = 0;
    const timer = setInterval(() => {
      if (res.destroyed || sent === bytes.length) { clearInterval(timer); res.end(); return; }
      res.write(bytes.subarray(sent, ++sent));
    }, 1000);
  },
};

let active = [];
const held = [];

// `at`: the endpoints that fail, all if absent. `times`: how often, for ever if absent. `done`: whether it is done first.
export function fail({ fault, at, times, ...fields }) {
  if (!(fault in FAULTS)) throw new Error(`no fault is called ${fault}`);
  active.push({ fault, at, left: times ?? Infinity, fields });
}

export function heal() {
  active = [];
  held.splice(0).forEach((release) => release());
}

export async function misbehave(ctx, next) {
  const met = active.find(({ at, left }) => left > 0 && (!at || at.includes(ctx.state.endpoint)));
  if (!met) return next();
  met.left -= 1;
  if (met.fields.done) await next();
  return FAULTS[met.fault](ctx, met.fields, next);
}
