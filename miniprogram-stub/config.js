/**
 * Where the mini-program talks to, one block per WeChat version (`envVersion`).
 *
 * `baseUrl` of trial and release must stand in the "request 合法域名" list of the mini-program's
 * console. `appid` empty = the appid of the running mini-program. `showAlipay` false hides the
 * 用支付宝 page (some WeChat reviews ask for it). `sandbox` exists in `develop` only: DevTools
 * then logs in and pays at the sandbox platforms that `make run` starts; `person` is the phone of
 * one of its people and `appid` one of its mini-programs, empty = the first. Set the whole block to
 * null to use the real WeChat.
 */
module.exports = {
  develop: {
    baseUrl: 'http://127.0.0.1:8000',
    appid: '',
    showAlipay: true,
    sandbox: { url: 'http://127.0.0.1:8090', appid: '', person: '' },
  },
  trial: { baseUrl: 'https://pay-test.example.com', appid: '', showAlipay: true, sandbox: null },
  release: { baseUrl: 'https://pay.example.com', appid: '', showAlipay: true, sandbox: null },
};
