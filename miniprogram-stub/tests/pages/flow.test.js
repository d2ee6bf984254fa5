/** The owner's way: log in → bind → bills → pay → paid, on real pages against mocked wx.*. */
const { closePages, openPage } = require('../support/pages');
const { FakeServer, TEMPLATES } = require('../support/server');
const { installWx, until } = require('../support/wx');

let server;
let wechat;

beforeEach(() => {
  server = new FakeServer();
  wechat = installWx(server);
});

afterEach(closePages);

async function bindByHouse() {
  const login = openPage('login');
  await login.idle();
  login.fire('input', { value: '3-1-1201' }, '.house-code');
  login.fire('input', { value: '王明' }, '.owner-name');
  login.fire('input', { value: '0001' }, '.last4');
  await until(() => login.data.phoneLast4 === '0001');
  login.tap('.house-button');
  await until(() => wechat.named('switchTab').length === 1);
  return login;
}

async function openBills() {
  server.bound = true;
  const bills = openPage('bills');
  await bills.shows('合计');
  await bills.idle();
  return bills;
}

test('log in, bind, see the bills, pay them in one tap, see them paid', async () => {
  await bindByHouse();
  expect(wechat.named('switchTab')[0].url).toBe('/pages/bills/index');
  expect(server.sent('POST', '/login')[0].body).toEqual({ appid: 'wxabc', code: 'code-1' });
  expect(server.sent('POST', '/bindings')[0].body).toEqual({
    house_code: '3-1-1201',
    name: '王明',
    phone_last4: '0001',
  });

  const bills = await openBills();
  expect(bills.text).toContain('微信支付 287.50 元');
  expect(bills.text).toContain('94.56㎡ × 1.3000元/㎡·月 + 20元 = 142.928 → 142.93元');

  wechat.cashier = ({ package: prepay }) => server.settle(prepay.replace('prepay_id=', ''));
  bills.tap('.pay');
  await until(() => wechat.named('navigateTo').length === 1);
  expect(wechat.named('navigateTo')[0].url).toBe('/pages/payments/index?no=N1');

  const names = wechat.calls.map(([name]) => name);
  const tap = names.indexOf('requestSubscribeMessage');
  expect(names.slice(tap).filter((name) => name !== 'request')).toEqual([
    'requestSubscribeMessage',
    'requestPayment',
    'navigateTo',
  ]);
  expect(wechat.named('requestPayment')[0]).toMatchObject({
    timeStamp: '1',
    nonceStr: 'n',
    package: 'prepay_id=N1',
    signType: 'RSA',
    paySign: 's',
  });
  expect(server.sent('POST', '/payments')[0].body).toEqual({
    bill_ids: ['101', '102'],
    channel: 'wechatpay',
    method: 'jsapi',
  });

  const result = openPage('payments', { no: 'N1' });
  await result.shows('缴费成功，谢谢您的支持');
  expect(result.text).toContain('287.50');
  expect(result.text).toContain('本次获得 142 积分');
  expect(result.text).toContain('收据编号 R-000001');
  expect(result.text).toContain('2026年2月22日 09:02');
  expect(server.sent('POST', '/login')).toHaveLength(1);

  const after = openPage('bills');
  await after.shows('账单都已缴清');
  expect(after.find('.pay')).toBeUndefined();
});

test('an account that is bound goes straight to its bills', async () => {
  server.bound = true;
  openPage('login');
  await until(() => wechat.named('switchTab').length === 1);
  expect(wechat.named('switchTab')[0].url).toBe('/pages/bills/index');
});

test('an account without a house is sent to bind one', async () => {
  openPage('bills');
  await until(() => wechat.named('redirectTo').length === 1);
  expect(wechat.named('redirectTo')[0].url).toBe('/pages/login/index');
});

test('the phone button binds with the code of WeChat, and shows nothing before', async () => {
  const login = openPage('login');
  await login.idle();
  expect(login.text).not.toContain('阳光花园');
  login.fire('getphonenumber', { code: 'phone-ok' }, '.phone-button');
  await until(() => wechat.named('switchTab').length === 1);
  expect(server.sent('POST', '/bindings')[0].body).toEqual({ phone_code: 'phone-ok' });
});

test('a phone the owner keeps to himself binds nothing', async () => {
  const login = openPage('login');
  await login.idle();
  login.fire('getphonenumber', { errMsg: 'getPhoneNumber:fail user deny' }, '.phone-button');
  await until(() => wechat.named('showToast').length === 1);
  expect(server.sent('POST', '/bindings')).toHaveLength(0);
});

test('a binding that does not match says so and keeps what was typed', async () => {
  const login = openPage('login');
  await login.idle();
  login.page.setData({ houseCode: '9-9-9', name: '王明', phoneLast4: '0001' });
  login.tap('.house-button');
  await login.shows('没有核对成功');
  expect(login.text).toContain('请核对后再试');
  expect(wechat.named('showToast')[0].title).toBe('没有核对成功。');
  expect(login.data.houseCode).toBe('9-9-9');
  expect(wechat.named('switchTab')).toHaveLength(0);
});

test('only the chosen bill is paid, and its late fee is explained', async () => {
  const bills = await openBills();
  expect(bills.text).toContain('违约金 1.64元');
  expect(bills.text).toContain(
    '2026年1月31日至2026年2月22日，共23天：142.93元 × 0.5‰/日 × 23天 = 1.643695元',
  );
  expect(bills.text.match(/✓/g)).toHaveLength(2);
  bills.tap(['.bill', 0], '.head');
  await bills.shows('微信支付 144.57 元');
  expect(bills.find(['.bill', 0], '.box-on')).toBeUndefined();
  expect(bills.find(['.bill', 1], '.box-on')).toBeDefined();
  bills.tap('.pay');
  await until(() => server.sent('POST', '/payments').length === 1);
  expect(server.sent('POST', '/payments')[0].body.bill_ids).toEqual(['102']);
});

test('with nothing chosen nothing is ordered', async () => {
  const bills = await openBills();
  bills.tap('.toggle-all');
  await bills.shows('已选 0 笔');
  bills.tap('.pay');
  await until(() => wechat.named('showToast').length === 1);
  expect(server.sent('POST', '/payments')).toHaveLength(0);
  bills.tap('.toggle-all');
  await bills.shows('已选 2 笔');
});

test('what was left out stays left out after coming back from the detail', async () => {
  const bills = await openBills();
  bills.tap(['.bill', 0], '.head');
  await bills.shows('已选 1 笔');
  await bills.page.onShow();
  expect(bills.data.chosenIds).toEqual(['102']);
});

test('a list of several pages is loaded whole', async () => {
  server.bills = ['1', '2', '3', '4', '5'].map((id) => ({ ...server.bills[0], id }));
  const bills = await openBills();
  await bills.shows('已选 5 笔');
  expect(server.sent('GET', '/bills').map((call) => call.query.cursor)).toEqual([
    undefined,
    '2',
    '4',
  ]);
});

test('a cancelled cashier leaves the bills as they are', async () => {
  const bills = await openBills();
  wechat.cashier = () => {
    throw { errMsg: 'requestPayment:fail cancel' };
  };
  bills.tap('.pay');
  await until(() => wechat.named('showToast').length === 1);
  expect(wechat.named('showToast')[0].title).toBe('没有支付，账单不变');
  expect(wechat.named('navigateTo')).toHaveLength(0);
  expect(server.sent('GET', '/payments/N1')).toHaveLength(1);
});

test('"cancelled" from the phone is not believed when the server saw the money', async () => {
  const bills = await openBills();
  wechat.cashier = () => {
    server.settle('N1');
    throw { errMsg: 'requestPayment:fail cancel' };
  };
  bills.tap('.pay');
  await until(() => wechat.named('navigateTo').length === 1);
  expect(wechat.named('navigateTo')[0].url).toBe('/pages/payments/index?no=N1');
});

test('"ok" from the phone is not believed before the server saw the money', async () => {
  const bills = await openBills();
  bills.tap('.pay');
  await until(() => wechat.named('navigateTo').length === 1);
  const result = openPage('payments', { no: 'N1' });
  await result.shows('正在确认缴费结果');
  await until(() => server.sent('GET', '/payments/N1').length >= 1);
  expect(result.text).not.toContain('缴费成功');
  server.settle('N1');
  await result.shows('缴费成功', 4000);
});

test('a changed amount is paid only when the owner agrees', async () => {
  const bills = await openBills();
  Object.assign(server.bills[0], { payable_fen: 14300, payable_text: '143.00' });
  wechat.modal = false;
  bills.tap('.pay');
  await until(() => wechat.named('showToast').length === 1);
  expect(wechat.named('showModal')[0].content).toBe('现在应缴 287.57 元，是否继续？');
  expect(wechat.named('requestPayment')).toHaveLength(0);
});

test('two taps order once', async () => {
  const bills = await openBills();
  bills.tap('.pay');
  bills.tap('.pay');
  await until(() => wechat.named('navigateTo').length === 1);
  await bills.idle();
  expect(server.sent('POST', '/payments')).toHaveLength(1);
  expect(wechat.named('requestPayment')).toHaveLength(1);
});

test('a lost answer: the next tap repeats the same order under the same key', async () => {
  const bills = await openBills();
  wechat.consent = () => ({});
  server.loseNext = 1;
  bills.tap('.pay');
  await bills.shows('网络不通，没有收到应答');
  expect(bills.text).toContain('不会重复扣款');
  bills.tap('.pay');
  await until(() => wechat.named('requestPayment').length === 1);
  const [first, second] = server.sent('POST', '/payments');
  expect(second.key).toBe(first.key);
  expect(Object.keys(server.payments)).toEqual(['N1']);
  expect(bills.find('.notice')).toBeUndefined();
});

test('a bill that somebody else paid is refused in words', async () => {
  const bills = await openBills();
  server.bills.forEach((bill) => Object.assign(bill, { payable_fen: 0 }));
  bills.tap('.pay');
  await bills.shows('所选账单已结清，无需支付');
  expect(wechat.named('requestPayment')).toHaveLength(0);
});

test('consent is asked in the pay tap and again after success, and reported', async () => {
  const bills = await openBills();
  wechat.consent = (ids) => ({ [ids[0]]: 'accept', [ids[1]]: 'reject', [ids[2]]: 'nonsense' });
  wechat.cashier = () => server.settle('N1');
  bills.tap('.pay');
  await until(() => server.sent('POST', '/subscriptions').length === 1);
  expect(wechat.named('requestSubscribeMessage')[0].tmplIds).toEqual(TEMPLATES.slice(0, 5));
  expect(server.sent('POST', '/subscriptions')[0].body).toEqual({
    appid: 'wxabc',
    results: { t1: 'accept', t2: 'reject' },
  });

  await until(() => wechat.named('navigateTo').length === 1);
  const result = openPage('payments', { no: 'N1' });
  await result.shows('下次出账时在微信提醒我');
  result.tap('.remind');
  await until(() => server.sent('POST', '/subscriptions').length === 2);
  expect(wechat.named('requestSubscribeMessage')[1].tmplIds).toEqual(['t6', 't7']);
  const [first, second] = server.sent('POST', '/subscriptions');
  expect(second.key).not.toBe(first.key);
});

test('an expired token is renewed once, unseen by the owner', async () => {
  const bills = await openBills();
  server.tokens.clear();
  await bills.page.onShow();
  expect(bills.data.problem).toBeNull();
  expect(server.sent('POST', '/login')).toHaveLength(2);
});

test('a token refused twice ends in words, not in a loop', async () => {
  const bills = await openBills();
  const required = { code: 'login_required', message_zh: '请先登录。' };
  server.breakNext.push(
    { path: '/me', status: 401, body: required },
    { path: '/me', status: 401, body: required },
  );
  await bills.page.onShow();
  expect(bills.data.problem.title).toBe('请先登录。');
  expect(server.sent('POST', '/login')).toHaveLength(2);
});

test('the result page stops asking when it is closed', async () => {
  const bills = await openBills();
  bills.tap('.pay');
  await until(() => wechat.named('navigateTo').length === 1);
  const result = openPage('payments', { no: 'N1' });
  await until(() => server.sent('GET', '/payments/N1').length === 1);
  result.page.onHide();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect(server.sent('GET', '/payments/N1')).toHaveLength(1);
});

test('a closed order says that nothing was taken', async () => {
  await openBills();
  server.payments.N9 = { out_trade_no: 'N9', state: 'closed', paid: false, bills: [] };
  const result = openPage('payments', { no: 'N9' });
  await result.shows('没有扣款，账单不变');
});

test('opened from a receipt message it shows what was paid before', async () => {
  await openBills();
  server.startPayment({ bill_ids: ['101'], channel: 'wechatpay', method: 'jsapi' });
  server.settle('N1');
  const history = openPage('payments');
  await history.shows('2026年1月 物业服务费');
  expect(history.find('.paid-part').dom.textContent.replace(/\s+/g, ' ')).toContain('¥142.93');
  expect(history.text).toContain('2026年2月22日 09:02 · 微信支付');
  expect(history.text).toContain('收据编号 R-000001');
  expect(history.text).not.toContain('0.00');
  expect(history.text).not.toContain('2025年12月');
  history.tap('.open-bill');
  await until(() => wechat.named('navigateTo').length === 1);
  expect(wechat.named('navigateTo')[0].url).toBe('/pages/bill/index?id=101');
});

test('the history names every payment of a bill, newest first, also before it has a number', async () => {
  server.bound = true;
  const earlier = { paid_fen: 5000, paid_text: '50.00', paid_at: '2026-01-02T08:00:00Z' };
  const later = { paid_fen: 9293, paid_text: '92.93', paid_at: '2026-01-20T01:30:00.5Z' };
  server.bills[0].payments = [
    { ...earlier, channel_text: '支付宝', receipt_no: 'R-000007' },
    { ...later, channel_text: '微信支付', receipt_no: null },
  ];
  const history = openPage('payments');
  await history.shows('2026年1月20日 09:30 · 微信支付');
  expect(history.data.paid.map((part) => part.paid_fen)).toEqual([9293, 5000]);
  expect(history.text).toContain('收据编号 稍后生成');
  expect(history.text).toContain('2026年1月2日 16:00 · 支付宝');
});
