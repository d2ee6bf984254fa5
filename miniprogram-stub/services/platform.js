/** What WeChat does for us: log-in code, cashier, consent to messages, clipboard, album. */
const sandbox = require('./sandbox');
const settings = require('./settings');

const ANSWERS = ['accept', 'reject', 'ban', 'filter'];

/** Call wx[name] and return its result as a promise; `fail` rejects with WeChat's object. */
function ask(name, options) {
  return new Promise((resolve, reject) => {
    wx[name]({ ...options, success: resolve, fail: reject });
  });
}

/** Return {appid, code} for the server's login. */
async function loginCode() {
  if (settings.current().sandbox) {
    return { appid: await sandbox.appid(), code: await sandbox.loginCode() };
  }
  const { code } = await ask('login', {});
  return { appid: settings.current().appid, code };
}

/** Return the code of a getPhoneNumber tap, "" when the owner declined. */
async function phoneCode(detail) {
  if (settings.current().sandbox) return sandbox.phoneCode();
  return (detail && detail.code) || '';
}

/**
 * Open WeChat's cashier. Returns 'done', 'cancelled' or 'failed': hints for the page only,
 * whether the money arrived is asked of the server.
 */
async function openCashier(params) {
  try {
    if (settings.current().sandbox) await sandbox.pay(params);
    else await ask('requestPayment', params);
    return 'done';
  } catch (reason) {
    return /cancel/.test((reason && reason.errMsg) || '') ? 'cancelled' : 'failed';
  }
}

/**
 * Ask for consent to one message per template; must be called directly in a tap, before any
 * await. Never rejects: {} when WeChat did not ask.
 * @param {string[]} templateIds up to five
 * @returns {Promise<Object<string, string>>} template id → accept | reject | ban | filter
 */
async function askConsent(templateIds) {
  if (!templateIds.length) return {};
  try {
    if (settings.current().sandbox) return await sandbox.grant(templateIds);
    const result = await ask('requestSubscribeMessage', { tmplIds: templateIds });
    return Object.fromEntries(
      templateIds.filter((id) => ANSWERS.includes(result[id])).map((id) => [id, result[id]]),
    );
  } catch {
    return {};
  }
}

/** Put text on the clipboard. */
function copy(text) {
  return ask('setClipboardData', { data: text });
}

module.exports = { ask, askConsent, copy, loginCode, openCashier, phoneCode };
