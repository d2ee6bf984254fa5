/** Bill detail, Alipay, points, promise, dispute, contacts: each page does its one thing. */
const jsQR = require('jsqr').default || require('jsqr');
const { closePages, openPage } = require('../support/pages');
const { FakeServer } = require('../support/server');
const { installWx, until } = require('../support/wx');

let server;
let wechat;

beforeEach(() => {
  server = new FakeServer();
  server.bound = true;
  wechat = installWx(server);
});

afterEach(closePages);

/** A canvas that remembers pixels, one byte each; select() finds it. */
function installCanvas() {
  const canvas = { width: 0, height: 0, pixels: null };
  canvas.getContext = () => ({
    fillStyle: '',
    fillRect(x, y, width, height) {
      canvas.pixels = canvas.pixels || new Uint8Array(canvas.width * canvas.height);
      for (let row = y; row < y + height; row += 1) {
        canvas.pixels.fill(this.fillStyle === '#000000' ? 0 : 255, row * canvas.width + x,
          row * canvas.width + x + width);
      }
    },
  });
  installSelector(canvas);
  return canvas;
}

function installSelector(node) {
  const chain = { exec: (done) => done([node ? { node } : null]) };
  ['in', 'select', 'fields'].forEach((name) => {
    chain[name] = () => chain;
  });
  global.wx.createSelectorQuery = () => chain;
}

function decoded(canvas) {
  const rgba = new Uint8ClampedArray(canvas.pixels.length * 4);
  canvas.pixels.forEach((shade, i) => rgba.set([shade, shade, shade, 255], i * 4));
  return jsQR(rgba, canvas.width, canvas.height).data;
}

test('the detail of a bill shows basis, formula, late fee day by day', async () => {
  const detail = openPage('bill', { id: '102' });
  await detail.shows('住宅物业费');
  expect(detail.text).toContain('94.56㎡ × 1.3000元/㎡·月 + 20元 = 142.928 → 142.93元');
  expect(detail.text).toContain('依据:合同第3条');
  expect(detail.text).toContain('违约金1.64元');
  expect(detail.text).toContain('共23天:142.93元 × 0.5‰/日 × 23天 = 1.643695元');
  detail.tap('.dispute');
  await until(() => wechat.named('navigateTo').length === 1);
  expect(wechat.named('navigateTo')[0].url).toBe('/pages/dispute/index?id=102');
});

test('a bill of somebody else is not found', async () => {
  const detail = openPage('bill', { id: '999' });
  await detail.shows('没有找到这笔账单');
});

test('Alipay: the QR code on the page is the code of the order', async () => {
  const canvas = installCanvas();
  const alipay = openPage('alipay', { bills: '101,102', fen: '28750' });
  await alipay.idle();
  expect(alipay.text).toContain('微信里打不开支付宝');
  alipay.tap('.make-qr');
  await alipay.shows('金额 287.50元');
  expect(server.sent('POST', '/payments')[0].body).toEqual({
    bill_ids: ['101', '102'],
    channel: 'alipay',
    method: 'qr',
  });
  expect(decoded(canvas)).toBe('https://qr.example/N1');
  alipay.tap('.save-qr');
  await until(() => wechat.named('saveImageToPhotosAlbum').length === 1);
  expect(wechat.named('saveImageToPhotosAlbum')[0].filePath).toBe('/tmp/qr.png');
});

test('Alipay: where there is no canvas the picture of the server is shown', async () => {
  installSelector(null);
  const alipay = openPage('alipay', { bills: '101', fen: '14293' });
  await alipay.idle();
  alipay.tap('.make-qr');
  await until(() => alipay.find('.qr-image'));
  expect(alipay.data.svg).toBe('data:image/svg+xml,%3Csvg%2F%3E');
});

test('Alipay: the page leaves for the result as soon as the server knows', async () => {
  installSelector(null);
  const alipay = openPage('alipay', { bills: '101', fen: '14293' });
  await alipay.idle();
  alipay.tap('.make-qr');
  await alipay.shows('我已付款');
  server.settle('N1');
  await until(() => wechat.named('redirectTo').length === 1, 4000);
  expect(wechat.named('redirectTo')[0].url).toBe('/pages/payments/index?no=N1');
});

test('Alipay: the fixed address is copied', async () => {
  const alipay = openPage('alipay', { bills: '101' });
  await alipay.idle();
  alipay.tap('.copy-link');
  await until(() => wechat.named('setClipboardData').length === 1);
  expect(wechat.named('setClipboardData')[0].data).toBe('https://pay.example.com/pay/');
});

test('points: balance, rule, entries; used against a chosen bill', async () => {
  const points = openPage('points');
  await points.shows('每缴 1 元得 1 分');
  expect(points.text).toContain('300');
  expect(points.text).toContain('按时缴费');
  points.fire('change', { value: '1' }, '.bill-picker');
  points.fire('input', { value: '120' }, '.points-input');
  await until(() => points.data.points === '120');
  points.tap('.redeem');
  await until(() => server.sent('POST', '/points/redemptions').length === 1);
  expect(server.sent('POST', '/points/redemptions')[0].body).toEqual({
    bill_id: '102',
    points: 120,
  });
  await points.shows('180');
});

test.each(['0', '301', '1.5', 'abc', ''])('points: %p is not an amount to use', async (typed) => {
  const points = openPage('points');
  await points.shows('确认抵扣');
  points.page.setData({ points: typed });
  points.tap('.redeem');
  await points.shows('请填写 1 到 300 之间的整数');
  expect(server.sent('POST', '/points/redemptions')).toHaveLength(0);
});

test('promise: amount in fen, day, way; the reminder day is told', async () => {
  const promise = openPage('promise', { house: '11' });
  await promise.idle();
  expect(promise.data.amount).toBe('287.50');
  expect(promise.data).toMatchObject({ firstDay: '2026-02-22', lastDay: '2026-04-23' });
  promise.fire('input', { value: '100.5' }, '.amount-input');
  promise.fire('change', { value: '2026-03-01' }, '.day-picker');
  promise.tap(['.way', 1]);
  await until(() => promise.data.payBy === 'alipay');
  promise.tap('.make-promise');
  await promise.shows('约好了,谢谢您');
  expect(server.sent('POST', '/promises')[0].body).toEqual({
    house_id: '11',
    amount_fen: 10050,
    day: '2026-03-01',
    pay_by: 'alipay',
  });
  expect(promise.text).toContain('2026年3月1日 缴纳 100.50 元');
  expect(promise.text).toContain('只在 2026年2月28日 提醒一次');
  expect(wechat.named('requestSubscribeMessage')).toHaveLength(1);
});

test('promise: an amount that is none stays on the page', async () => {
  const promise = openPage('promise', { house: '11' });
  await promise.idle();
  promise.page.setData({ amount: '一百' });
  promise.tap('.make-promise');
  await promise.shows('请填写金额');
  expect(server.sent('POST', '/promises')).toHaveLength(0);
});

test('dispute: part of a bill, with the day of the answer', async () => {
  const dispute = openPage('dispute', { id: '102' });
  await dispute.shows('哪方面的疑问');
  dispute.tap(['.reason', 2]);
  dispute.page.setData({ amount: '20', text: '电梯停了两周' });
  await until(() => dispute.data.reason === 'no_service');
  dispute.tap('.send');
  await dispute.shows('我们会在 2026年3月4日 前答复您');
  expect(server.sent('POST', '/disputes')[0].body).toEqual({
    bill_id: '102',
    amount_fen: 2000,
    reason_code: 'no_service',
    text: '电梯停了两周',
  });
});

test('dispute: the whole bill when no amount is given; words are needed', async () => {
  const dispute = openPage('dispute', { id: '101' });
  await dispute.shows('哪方面的疑问');
  dispute.tap('.send');
  await dispute.shows('请写下您的疑问');
  dispute.page.setData({ text: '标准不对' });
  dispute.tap('.send');
  await until(() => server.sent('POST', '/disputes').length === 1);
  expect(server.sent('POST', '/disputes')[0].body.amount_fen).toBeNull();
});

test('my contacts: every message is listed, one tap stops them', async () => {
  const me = openPage('me');
  await me.shows('账单已出,金额142.93元');
  expect(me.text).toContain('2026年1月5日 09:00 · 微信消息');
  expect(server.sent('GET', '/contacts')[0].query).toEqual({ house_id: '11' });
  me.tap('.stop-contact');
  await me.shows('已登记,不再打扰您');
  expect(server.sent('POST', '/stop-contact')[0].body).toEqual({ house_id: '11' });
  expect(wechat.named('showModal')).toHaveLength(0);
});

test('extra-large type is kept for every page', async () => {
  const me = openPage('me');
  await me.shows('换成特大字');
  me.tap('.larger');
  await me.shows('恢复标准字号');
  const bills = openPage('bills');
  await bills.shows('合计');
  expect(bills.data.large).toBe(true);
  expect(bills.find('.large')).toBeDefined();
});
