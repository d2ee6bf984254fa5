/** wx for Node: real HTTP by fetch, a storage, log-in codes and the cashier of the sandbox. */

async function answerOf({ url, method, data, header, timeout }) {
  const answer = await fetch(url, {
    method,
    headers: header,
    body: method === 'POST' ? JSON.stringify(data) : undefined,
    signal: AbortSignal.timeout(timeout || 15000),
  });
  const text = await answer.text();
  let body = text;
  try {
    body = JSON.parse(text);
  } catch {
    // not JSON: WeChat hands the text over as it is
  }
  return { statusCode: answer.status, data: body, header: Object.fromEntries(answer.headers) };
}

/** POST JSON to the sandbox's console. */
async function sandbox(path, body) {
  const answer = await answerOf({
    url: `${process.env.SANDBOX_URL}/_sandbox${path}`,
    method: 'POST',
    data: body,
    header: { 'content-type': 'application/json' },
  });
  if (answer.statusCode >= 300) throw new Error(`${path}: ${JSON.stringify(answer.data)}`);
  return answer.data;
}

/**
 * Put this wx in place; the returned object is the tester's hand:
 * `sent` lists requests, `loseAnswerOf` drops the answer of the next call to that path.
 */
function installWx() {
  const storage = new Map();
  const hand = { sent: [], loseAnswerOf: null, paid: [], consent: () => ({}) };
  const firstCode = process.env.LOGIN_CODE;
  let logins = 0;

  const doing = (work) => (options) => {
    work(options).then(options.success, options.fail);
  };

  global.wx = {
    getAccountInfoSync: () => ({
      miniProgram: { appId: process.env.APPID, envVersion: 'release' },
    }),
    getStorageSync: (key) => (storage.has(key) ? JSON.parse(storage.get(key)) : ''),
    setStorageSync: (key, value) => storage.set(key, JSON.stringify(value)),
    removeStorageSync: (key) => storage.delete(key),
    login: doing(async () => {
      logins += 1;
      if (logins === 1) return { code: firstCode };
      const path = `/people/${process.env.PERSON}/login-code`;
      return { code: (await sandbox(path, { appid: process.env.APPID })).js_code };
    }),
    request: doing(async (options) => {
      const { pathname } = new URL(options.url);
      hand.sent.push({ method: options.method, path: pathname, header: options.header });
      const answer = await answerOf(options);
      if (hand.loseAnswerOf === pathname && options.method === 'POST') {
        hand.loseAnswerOf = null;
        throw { errMsg: 'request:fail timeout' };
      }
      return answer;
    }),
    requestPayment: doing(async (params) => {
      ['timeStamp', 'nonceStr', 'package', 'signType', 'paySign'].forEach((name) => {
        if (!params[name]) throw { errMsg: `requestPayment:fail ${name} missing` };
      });
      hand.paid.push(await sandbox('/pay', { prepay_id: params.package.replace('prepay_id=', '') }));
      return { errMsg: 'requestPayment:ok' };
    }),
    requestSubscribeMessage: doing(async ({ tmplIds }) => ({
      errMsg: 'requestSubscribeMessage:ok',
      ...hand.consent(tmplIds),
    })),
  };
  return { hand, storage };
}

module.exports = { installWx, sandbox };
