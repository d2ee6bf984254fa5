/** Calls of the owner API: token, idempotency key, and one new log-in after a 401. */
const { send } = require('./http');
const intents = require('./intents');
const session = require('./session');
const settings = require('./settings');

async function withToken(call, token) {
  return send({
    ...call,
    url: `${settings.current().baseUrl}/api/v1${call.path}`,
    headers: { Authorization: `Bearer ${token}`, ...call.headers },
  });
}

async function authorised(call) {
  const { token } = await session.ensure();
  try {
    return await withToken(call, token);
  } catch (error) {
    if (error.http !== 401) throw error;
    const fresh = await session.renew();
    return withToken(call, fresh.token);
  }
}

/** GET path?query. */
function get(path, query) {
  return authorised({ method: 'GET', path, query });
}

/** POST body under the given idempotency key. */
function post(path, body, key) {
  return authorised({ method: 'POST', path, body, headers: { 'Idempotency-Key': key } });
}

/** POST body; a repeat of the same intent after a lost answer carries the same key. */
async function act(path, body) {
  const { account_id: account } = await session.ensure();
  return intents.once(`${account} ${path}`, body, (key) => post(path, body, key));
}

module.exports = { act, get, post };
