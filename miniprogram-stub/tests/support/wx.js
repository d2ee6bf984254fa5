/** WeChat as the mini-program meets it: storage, log-in codes, cashier, navigation. */

/**
 * Put a fake wx in place and return what was called on it.
 * @param {import('./server').FakeServer} server answers wx.request
 */
function installWx(server) {
  const storage = new Map();
  const calls = []; // [name, argument] in order
  const wechat = {
    calls,
    storage,
    cashier: () => ({ errMsg: 'requestPayment:ok' }), // throw = fail
    consent: (ids) => Object.fromEntries(ids.map((id) => [id, 'accept'])),
    modal: true,
    named: (name) => calls.filter(([called]) => called === name).map(([, options]) => options),
  };
  let codes = 0;

  const later = (name, work) => (options = {}) => {
    calls.push([name, options]);
    setTimeout(() => {
      let result;
      try {
        result = work(options);
      } catch (reason) {
        if (options.fail) options.fail(reason);
        return;
      }
      if (options.success) options.success(result || { errMsg: `${name}:ok` });
    }, 0);
  };

  const fake = {
    getAccountInfoSync: () => ({ miniProgram: { appId: 'wxabc', envVersion: 'release' } }),
    getStorageSync: (key) => (storage.has(key) ? JSON.parse(storage.get(key)) : ''),
    setStorageSync: (key, value) => storage.set(key, JSON.stringify(value)),
    removeStorageSync: (key) => storage.delete(key),
    login: later('login', () => {
      codes += 1;
      server.codes.add(`code-${codes}`);
      return { code: `code-${codes}` };
    }),
    request: (options) => {
      calls.push(['request', options]);
      server.request(options);
    },
    requestPayment: later('requestPayment', (options) => wechat.cashier(options)),
    requestSubscribeMessage: later('requestSubscribeMessage', ({ tmplIds }) => ({
      errMsg: 'requestSubscribeMessage:ok',
      ...wechat.consent(tmplIds),
    })),
    setClipboardData: later('setClipboardData', () => {}),
    canvasToTempFilePath: later('canvasToTempFilePath', () => ({ tempFilePath: '/tmp/qr.png' })),
    saveImageToPhotosAlbum: later('saveImageToPhotosAlbum', () => {}),
    showModal: later('showModal', () => ({ confirm: wechat.modal })),
    showToast: later('showToast', () => {}),
    switchTab: later('switchTab', () => {}),
    navigateTo: later('navigateTo', () => {}),
    redirectTo: later('redirectTo', () => {}),
    navigateBack: later('navigateBack', () => {}),
    makePhoneCall: later('makePhoneCall', () => {}),
    setNavigationBarTitle: later('setNavigationBarTitle', () => {}),
    stopPullDownRefresh: later('stopPullDownRefresh', () => {}),
  };
  global.wx = Object.assign(global.wx || {}, fake);
  return wechat;
}

/** Wait until condition() is true; fails after two seconds with the text of the function. */
async function until(condition, timeout = 2000) {
  const end = Date.now() + timeout;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

module.exports = { installWx, until };
