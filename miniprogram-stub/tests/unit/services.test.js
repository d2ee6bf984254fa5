const { FakeServer } = require('../support/server');
const { installWx } = require('../support/wx');

let server;
let wechat;
let services;

beforeEach(() => {
  jest.resetModules();
  server = new FakeServer();
  server.bound = true;
  wechat = installWx(server);
  services = {
    api: require('../../services/api'),
    checkout: require('../../services/checkout'),
    intents: require('../../services/intents'),
    owner: require('../../services/owner'),
    session: require('../../services/session'),
    settings: require('../../services/settings'),
  };
});

async function failing(promise) {
  return promise.then(
    () => {
      throw new Error('it should have failed');
    },
    (error) => error,
  );
}

describe('session', () => {
  test('calls at the same moment log in once', async () => {
    await Promise.all([services.owner.getMe(), services.owner.listBills(), services.owner.getMe()]);
    expect(wechat.named('login')).toHaveLength(1);
    expect(server.sent('POST', '/login')).toHaveLength(1);
  });

  test('calls refused at the same moment renew once and are repeated', async () => {
    await services.owner.getMe();
    server.tokens.clear();
    const [me, page] = await Promise.all([services.owner.getMe(), services.owner.listBills()]);
    expect(me.account_id).toBe('7');
    expect(page.items).toHaveLength(2);
    expect(server.sent('POST', '/login')).toHaveLength(2);
  });

  test('a token about to expire is not used', async () => {
    await services.session.ensure();
    const key = 'session:https://pay.example.com';
    const kept = JSON.parse(wechat.storage.get(key));
    const soon = new Date(Date.now() + 30000).toISOString();
    wechat.storage.set(key, JSON.stringify({ ...kept, expires_at: soon }));
    await services.owner.getMe();
    expect(server.sent('POST', '/login')).toHaveLength(2);
  });

  test('a log-in that failed is tried again by the next call', async () => {
    const body = { code: 'wechat_busy', message_zh: '登录太频繁。' };
    server.breakNext.push({ path: '/login', status: 429, body });
    expect((await failing(services.owner.getMe())).messageZh).toBe('登录太频繁。');
    expect((await services.owner.getMe()).account_id).toBe('7');
  });
});

describe('errors', () => {
  test('the error shape of the server arrives whole', async () => {
    const body = {
      code: 'one_payee_per_order',
      message: 'bills of different payees',
      message_zh: '所选账单属于不同收款单位，请分开支付。',
      legal_basis: '条例',
      what_to_do: '请分开支付。',
      fields: { bill_ids: '不同收款单位' },
    };
    server.breakNext.push({ path: '/payments', status: 409, body });
    const wish = { billIds: ['101'], channel: 'wechatpay', method: 'jsapi' };
    const error = await failing(services.owner.startPayment(wish));
    expect(error).toMatchObject({
      code: 'one_payee_per_order',
      http: 409,
      messageZh: body.message_zh,
      whatToDo: '请分开支付。',
      legalBasis: '条例',
      fields: { bill_ids: '不同收款单位' },
      settled: true,
    });
  });

  test.each([[502, '<html>bad gateway</html>'], [500, ''], [503, null]])(
    'an answer without that shape (%p) becomes one in words',
    async (status, body) => {
      server.breakNext.push({ path: '/me', status, body });
      const error = await failing(services.owner.getMe());
      expect(error).toMatchObject({ code: 'internal_error', http: status, settled: false });
      expect(error.messageZh).toBe('服务暂时没有正常应答。');
    },
  );
});

describe('idempotency keys', () => {
  const wish = { billIds: ['102', '101'], channel: 'wechatpay', method: 'jsapi' };
  const keys = () => server.sent('POST', '/payments').map((call) => call.key);

  test('have the form the server asks for', () => {
    for (let n = 0; n < 200; n += 1) {
      expect(services.intents.newKey()).toMatch(/^[A-Za-z0-9_-]{8,64}$/);
    }
  });

  test('a lost answer repeats under the same key, in whatever order bills were tapped', async () => {
    await services.session.ensure();
    server.loseNext = 1;
    expect((await failing(services.owner.startPayment(wish))).code).toBe('network');
    const answer = await services.owner.startPayment({ ...wish, billIds: ['101', '102'] });
    expect(answer.payment.out_trade_no).toBe('N1');
    expect(keys()[0]).toBe(keys()[1]);
  });

  test.each(['platform_unknown', 'busy', 'request_in_progress', 'internal_error'])(
    'after %s the same key is used again',
    async (code) => {
      server.breakNext.push({ path: '/payments', status: 503, body: { code, message_zh: '忙' } });
      await failing(services.owner.startPayment(wish));
      await services.owner.startPayment(wish);
      expect(keys()[0]).toBe(keys()[1]);
    },
  );

  test('after an answer or a refusal the next try is a new intent', async () => {
    await services.owner.startPayment(wish);
    const body = { code: 'already_paid', message_zh: '已支付' };
    server.breakNext.push({ path: '/payments', status: 409, body });
    await failing(services.owner.startPayment(wish));
    await services.owner.startPayment(wish);
    expect(new Set(keys()).size).toBe(3);
  });

  test('another set of bills is another intent', async () => {
    await services.session.ensure();
    server.loseNext = 1;
    await failing(services.owner.startPayment(wish));
    await services.owner.startPayment({ ...wish, billIds: ['101'] });
    expect(keys()[0]).not.toBe(keys()[1]);
  });

  test('a key outlives the app, but not the order it belongs to', async () => {
    await services.session.ensure();
    server.loseNext = 1;
    await failing(services.owner.startPayment(wish));
    jest.resetModules();
    await require('../../services/owner').startPayment(wish);
    expect(keys()[0]).toBe(keys()[1]);

    server.loseNext = 1;
    await failing(services.owner.startPayment(wish));
    const later = Date.now() + 21 * 60000;
    jest.spyOn(Date, 'now').mockReturnValue(later);
    await services.owner.startPayment(wish);
    expect(keys()[2]).not.toBe(keys()[3]);
  });

  test('two calls at once are one request', async () => {
    await services.session.ensure();
    const [one, two] = await Promise.all([
      services.owner.startPayment(wish),
      services.owner.startPayment(wish),
    ]);
    expect(one).toBe(two);
    expect(keys()).toHaveLength(1);
  });

  test('nothing personal is kept on the phone', async () => {
    await services.session.ensure();
    server.loseNext = 1;
    const house = { houseCode: '3-1-1201', name: '王明', phoneLast4: '0001' };
    await failing(services.owner.bindByHouse(house));
    const kept = JSON.stringify([...wechat.storage.entries()]);
    expect(wechat.storage.has('intents')).toBe(true);
    ['王明', '0001', '3-1-1201'].forEach((word) => expect(kept).not.toContain(word));
  });

  test('the hash tells texts apart', () => {
    const texts = Array.from({ length: 3000 }, (_, n) => `/payments {"bill_ids":["${n}"]}`);
    expect(new Set(texts.map(services.intents.hash)).size).toBe(3000);
  });
});

describe('consents', () => {
  test('a lost report is repeated once under its key', async () => {
    await services.session.ensure();
    server.loseNext = 1;
    await services.owner.recordSubscriptions({ t1: 'accept' });
    const [first, second] = server.sent('POST', '/subscriptions');
    expect(second.key).toBe(first.key);
  });

  test('a report that cannot be made does not stand in the way', async () => {
    server.breakNext.push({ path: '/subscriptions', status: 422, body: { code: 'x', message_zh: 'x' } });
    expect(await services.owner.recordSubscriptions({ t1: 'accept' })).toBeNull();
    expect(server.sent('POST', '/subscriptions')).toHaveLength(1);
  });

  test('no question, no report', async () => {
    expect(await services.owner.recordSubscriptions({})).toBeNull();
    expect(server.calls).toHaveLength(0);
  });

  test('WeChat refusing to ask does not stop the payment', async () => {
    wechat.consent = () => {
      throw { errMsg: 'requestSubscribeMessage:fail', errCode: 20004 };
    };
    const wish = { billIds: ['101'], shownFen: 14293, templates: ['t1'], confirmAmount: jest.fn() };
    const { outcome } = await services.checkout.payByWechat(wish);
    expect(outcome).toBe('watch');
    expect(wish.confirmAmount).not.toHaveBeenCalled();
  });
});

describe('settings', () => {
  function running(envVersion) {
    global.wx.getAccountInfoSync = () => ({ miniProgram: { appId: 'wxabc', envVersion } });
    services.settings.use(null);
    return services.settings.current();
  }

  test('only DevTools may use the sandbox', () => {
    expect(running('develop').sandbox).toEqual({
      url: 'http://127.0.0.1:8090',
      appid: '',
      person: '',
    });
    expect(running('trial').sandbox).toBeNull();
    expect(running('release').sandbox).toBeNull();
  });

  test('a version nobody knows talks to the released server', () => {
    expect(running('next').baseUrl).toBe('https://pay.example.com');
  });

  test('the appid is that of the running mini-program', () => {
    expect(running('release').appid).toBe('wxabc');
  });
});
