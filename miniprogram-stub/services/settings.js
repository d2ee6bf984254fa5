/** The block of config.js that belongs to the running version. */
const config = require('../config');

let chosen = null;

/** Return {baseUrl, appid, showAlipay, sandbox}; sandbox is null outside DevTools. */
function current() {
  if (chosen) return chosen;
  const { appId, envVersion } = wx.getAccountInfoSync().miniProgram;
  const block = config[envVersion] || config.release;
  chosen = {
    ...block,
    appid: block.appid || appId,
    sandbox: envVersion === 'develop' ? block.sandbox : null,
  };
  return chosen;
}

/** Replace what current() returns; null reads config.js again (tests). */
function use(settings) {
  chosen = settings;
}

module.exports = { current, use };
