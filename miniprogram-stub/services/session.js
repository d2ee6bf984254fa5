/** The owner's token: kept until it expires, renewed once when the server refuses it. */
const { send } = require('./http');
const platform = require('./platform');
const settings = require('./settings');

const SPARE_MS = 60000;

let running = null;

function storageKey() {
  return `session:${settings.current().baseUrl}`;
}

/** Return what the last log-in said: {token, expires_at, account_id, bound}, or null. */
function state() {
  const kept = wx.getStorageSync(storageKey());
  if (!kept || Date.parse(kept.expires_at) - SPARE_MS < Date.now()) return null;
  return kept;
}

async function logIn() {
  const { appid, code } = await platform.loginCode();
  const session = await send({
    url: `${settings.current().baseUrl}/api/v1/login`,
    method: 'POST',
    body: { appid, code },
  });
  wx.setStorageSync(storageKey(), { ...session, appid });
  return session;
}

/** Log in anew; callers that ask while one is running share it. */
function renew() {
  if (!running) {
    running = logIn().finally(() => {
      running = null;
    });
  }
  return running;
}

/** Return the current session, logging in if there is none. */
async function ensure() {
  return state() || renew();
}

/** Remember that this account has a house now. */
function markBound() {
  const kept = wx.getStorageSync(storageKey());
  if (kept) wx.setStorageSync(storageKey(), { ...kept, bound: true });
}

/** Return the appid that this session belongs to. */
function appid() {
  const kept = wx.getStorageSync(storageKey());
  return (kept && kept.appid) || settings.current().appid;
}

/** Drop the token (tests, change of account). */
function forget() {
  wx.removeStorageSync(storageKey());
}

module.exports = { appid, ensure, forget, markBound, renew, state };
