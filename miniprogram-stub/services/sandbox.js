/**
 * DevTools without a real appid: codes and payments come from the sandbox platforms' console.
 * Used only when settings.sandbox is set, which no trial or released version has.
 */
const { send } = require('./http');
const settings = require('./settings');

function call(method, path, body) {
  return send({ url: `${settings.current().sandbox.url}/_sandbox${path}`, method, body });
}

/** Return the configured appid, else that of the sandbox's first mini-program. */
async function appid() {
  if (settings.current().sandbox.appid) return settings.current().sandbox.appid;
  const apps = await call('GET', '/apps');
  const found = apps.find((app) => app.kind === 'miniprogram');
  return found ? found.appid : settings.current().appid;
}

async function person() {
  const { person: phone } = settings.current().sandbox;
  if (phone) return (await call('POST', '/people', { phone })).id;
  return (await call('GET', '/people'))[0].id;
}

/** Return a fresh wx.login code of the configured person. */
async function loginCode() {
  const body = { appid: await appid() };
  return (await call('POST', `/people/${await person()}/login-code`, body)).js_code;
}

/** Return a fresh getPhoneNumber code of the configured person. */
async function phoneCode() {
  const body = { appid: await appid() };
  return (await call('POST', `/people/${await person()}/phone-code`, body)).code;
}

/** Pay the prepared order as the person of its openid. */
function pay(params) {
  const prepayId = params.package.replace('prepay_id=', '');
  return call('POST', '/pay', { prepay_id: prepayId, result: 'confirm' });
}

/** Agree to one message per template, as the person would in WeChat's question. */
async function grant(templateIds) {
  const body = { appid: await appid(), n: 1, result: 'accept' };
  const who = await person();
  for (const id of templateIds) await call('POST', `/people/${who}/grant`, { ...body, template_id: id });
  return Object.fromEntries(templateIds.map((id) => [id, 'accept']));
}

module.exports = { appid, grant, loginCode, phoneCode, pay };
