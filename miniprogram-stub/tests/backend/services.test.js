/**
 * The mini-program's services/ against a running product and the sandbox platforms.
 *
 * Environment: BACKEND_URL, SANDBOX_URL, APPID, LOGIN_CODE, PERSON and PHONE (the owner at the
 * sandbox), HOUSE_CODE, OWNER_NAME, PHONE_LAST4 of a house with at least five open bills;
 * REPORT_FILE, if given, gets the order numbers as JSON.
 */
const fs = require('fs');
const { installWx, sandbox } = require('./wx_over_http');

const NEEDED = [
  'BACKEND_URL', 'SANDBOX_URL', 'APPID', 'LOGIN_CODE', 'PERSON', 'PHONE', 'HOUSE_CODE',
  'OWNER_NAME', 'PHONE_LAST4',
];
const missing = NEEDED.filter((name) => !process.env[name]);
if (missing.length) throw new Error(`set ${missing.join(', ')}: this test needs a running product`);

const { hand, storage } = installWx();
const settings = require('../../services/settings');
const checkout = require('../../services/checkout');
const owner = require('../../services/owner');
const platform = require('../../services/platform');
const session = require('../../services/session');
const billsView = require('../../utils/bills');
const { addDays, today } = require('../../utils/dates');
const { poll } = require('../../utils/poll');
const qr = require('../../utils/qr');

const report = {};
let house;

settings.use({
  baseUrl: process.env.BACKEND_URL,
  appid: process.env.APPID,
  showAlipay: true,
  sandbox: null,
});

afterAll(() => {
  if (process.env.REPORT_FILE) fs.writeFileSync(process.env.REPORT_FILE, JSON.stringify(report));
});

async function failing(promise) {
  return promise.then(
    (answer) => {
      throw new Error(`it should have been refused: ${JSON.stringify(answer)}`);
    },
    (error) => error,
  );
}

/** Ask the server, as the result page does, until the order is final. */
function outcomeOf(no) {
  return new Promise((resolve, reject) => {
    poll({
      ask: () => owner.getPayment(no),
      isFinal: checkout.isFinal,
      onAnswer: (payment) => checkout.isFinal(payment) && resolve(payment),
      onTired: () => reject(new Error(`${no} did not become final`)),
      pauses: new Array(100).fill(300),
    });
  });
}

const payment = (bills) => ({
  billIds: bills.map((bill) => bill.id),
  shownFen: bills.reduce((fen, bill) => fen + bill.payable_fen, 0),
  templates: [],
  confirmAmount: async () => false,
});

test('log in; before binding nothing can be seen', async () => {
  const { bound } = await session.ensure();
  expect(bound).toBe(false);
  expect((await owner.getMe()).houses).toEqual([]);
  expect((await owner.listAllBills({ state: 'all' })).items).toEqual([]);
});

test('a binding that does not match is refused in words', async () => {
  const wrong = { houseCode: process.env.HOUSE_CODE, name: '别人', phoneLast4: '0000' };
  const error = await failing(owner.bindByHouse(wrong));
  expect(error.code).toBe('binding_not_matched');
  expect(error.messageZh).not.toBe('');
  expect(error.settled).toBe(true);
});

test('house, name and last four digits bind the house', async () => {
  const { houses } = await owner.bindByHouse({
    houseCode: process.env.HOUSE_CODE,
    name: process.env.OWNER_NAME,
    phoneLast4: process.env.PHONE_LAST4,
  });
  expect(houses).toHaveLength(1);
  [house] = houses;
  expect(house.label).toContain(process.env.HOUSE_CODE);
  const me = await owner.getMe();
  expect(me.houses).toEqual([
    { ...houses[0], pay_code: me.houses[0].pay_code, pay_url: me.houses[0].pay_url, stopped: false },
  ]);
  expect(me.houses[0].pay_code).toMatch(/^[2-9A-HJ-NP-Z]{8}$/);
  const address = `/pay/bills?c=${me.houses[0].pay_code}`;
  expect(me.houses[0].pay_url).toBe(process.env.BACKEND_URL + address);
  [house] = me.houses;
  expect(me.company.name).not.toBe('');
});

test('bills arrive in the shape that the pages show', async () => {
  const page = await owner.listAllBills();
  expect(page.items.length).toBeGreaterThanOrEqual(5);
  page.items.forEach((bill) => {
    const shown = billsView.view(bill, page.as_of);
    expect(shown.payable_fen).toBe(bill.open_fen + bill.late_fee_fen);
    expect(shown.lines[0].formula).toContain('元');
    expect(shown.due_words).toMatch(/^(缴费日|今天|请于)/);
    expect(shown.late_fee_steps).toHaveLength(bill.late_fee_explained.length);
    expect(shown.late_fee_fen > 0).toBe(shown.late_fee_steps.length > 0);
    expect(JSON.stringify(shown)).not.toMatch(/undefined|NaN/);
  });
  const total = page.items.reduce((fen, bill) => fen + bill.payable_fen, 0);
  expect(page.totals.payable_fen).toBe(total);
  expect((await owner.findBill(page.items[1].id)).id).toBe(page.items[1].id);
});

test('one tap by WeChat: consent, order, cashier; paid when the server says so', async () => {
  const { items } = await owner.listAllBills();
  const { templates } = await owner.getMe();
  hand.consent = (ids) => Object.fromEntries(ids.map((id) => [id, 'accept']));
  const wish = { ...payment(items.slice(0, 1)), templates };
  const { outcome, outTradeNo } = await checkout.payByWechat(wish);
  expect(outcome).toBe('watch');
  report.wechatpay = outTradeNo;
  report.templates = templates.slice(0, 5);
  const paid = await outcomeOf(outTradeNo);
  expect(paid).toMatchObject({ paid: true, channel: 'wechatpay', amount_fen: wish.shownFen });
  expect(paid.bills.map((bill) => bill.id)).toEqual(wish.billIds);
  expect(paid.bills[0].paid_fen).toBe(wish.shownFen);
  expect((await owner.listAllBills()).items.map((bill) => bill.id)).not.toContain(wish.billIds[0]);
});

test('a lost answer and a second tap make one order', async () => {
  const { items } = await owner.listAllBills();
  hand.loseAnswerOf = '/api/v1/payments';
  const error = await failing(checkout.payByWechat(payment(items.slice(0, 1))));
  expect(error.code).toBe('network');
  const { outTradeNo } = await checkout.payByWechat(payment(items.slice(0, 1)));
  const keys = hand.sent
    .filter((call) => call.method === 'POST' && call.path === '/api/v1/payments')
    .map((call) => call.header['Idempotency-Key']);
  expect(keys[keys.length - 1]).toBe(keys[keys.length - 2]);
  report.repeated = outTradeNo;
  expect((await outcomeOf(outTradeNo)).paid).toBe(true);
});

test('Alipay by QR code: drawn here, paid at Alipay, known to the server', async () => {
  const { items } = await owner.listAllBills();
  const { payment: order, params } = await checkout.startAlipayQr([items[0].id]);
  report.alipay = order.out_trade_no;
  expect(qr.encode(params.qr_code).length).toBeGreaterThanOrEqual(21);
  expect(params.qr_svg).toContain('<svg');
  await sandbox('/pay', { qr_code: params.qr_code, person: process.env.PERSON });
  const paid = await outcomeOf(order.out_trade_no);
  expect(paid).toMatchObject({ paid: true, channel: 'alipay', amount_fen: items[0].payable_fen });
});

test('a token the server refuses is renewed without the owner noticing', async () => {
  const [key] = [...storage.keys()].filter((name) => name.startsWith('session:'));
  storage.set(key, JSON.stringify({ ...JSON.parse(storage.get(key)), token: 'not-a-token' }));
  const before = hand.sent.length;
  expect((await owner.getMe()).houses).toEqual([house]);
  expect(hand.sent.slice(before).map((call) => call.path)).toEqual([
    '/api/v1/me',
    '/api/v1/login',
    '/api/v1/me',
  ]);
});

test('in DevTools the sandbox stands in for WeChat: log in, consent, pay', async () => {
  const url = process.env.SANDBOX_URL;
  const { baseUrl, appid } = settings.current();
  const stand = { url, appid: process.env.APPID, person: process.env.PHONE };
  settings.use({ baseUrl, appid, showAlipay: true, sandbox: stand });
  session.forget();
  expect((await session.ensure()).bound).toBe(true);
  expect(await platform.phoneCode({})).toMatch(/^e/);
  const { items } = await owner.listAllBills();
  const { templates } = await owner.getMe();
  const tap = { ...payment(items.slice(0, 1)), templates };
  const { outTradeNo } = await checkout.payByWechat(tap);
  report.devtools = outTradeNo;
  expect((await outcomeOf(outTradeNo)).paid).toBe(true);
  settings.use({ baseUrl, appid, showAlipay: true, sandbox: null });
});

test('points, contacts, a promise, a question, an end to contact', async () => {
  const points = await owner.listPoints();
  expect(points).toMatchObject({ balance: expect.any(Number), rule_text: expect.any(String) });
  const contacts = await owner.listContacts({ houseId: house.house_id });
  expect(Array.isArray(contacts.items)).toBe(true);

  const open = await owner.listAllBills();
  const day = addDays(open.as_of || today(), 7);
  const amountFen = open.totals.payable_fen;
  const wish = { houseId: house.house_id, amountFen, day, payBy: 'alipay' };
  const promise = await owner.makePromise(wish);
  expect(promise).toMatchObject({ day, amount_fen: amountFen });
  expect(promise.reminder_day).toBe(addDays(day, -1));

  const dispute = await owner.openDispute({
    billId: open.items[0].id,
    amountFen: 1000,
    reasonCode: 'no_service',
    text: '电梯停了两周',
  });
  expect(dispute.answer_by > open.as_of).toBe(true);
  expect((await owner.stopContact(house.house_id)).hold_id).toMatch(/^\d+$/);
  expect((await owner.getMe()).houses).toEqual([{ ...house, stopped: true }]);
});

test('what was paid is listed with day, channel and receipt', async () => {
  const { items } = await owner.listAllBills({ state: 'all' });
  const parts = billsView.paidParts(items);
  expect(parts.map((part) => part.channel_text).sort()).toEqual(
    ['微信支付', '微信支付', '微信支付', '支付宝'].sort(),
  );
  parts.forEach((part) => {
    const bill = items.find((one) => one.id === part.bill_id);
    expect(part.paid_fen).toBeGreaterThanOrEqual(bill.paid_fen);
    expect(part.paid_at_text).toMatch(/^\d{4}年\d+月\d+日 \d\d:\d\d$/);
    expect(JSON.stringify(part)).not.toMatch(/undefined|NaN/);
  });
});

test('an order of somebody else is not found', async () => {
  const error = await failing(owner.getPayment('NOT-MINE-0001'));
  expect(error).toMatchObject({ code: 'not_found', http: 404 });
});
