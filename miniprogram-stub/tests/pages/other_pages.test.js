/** Bill detail, Alipay, points, promise, dispute, contacts: each page does its one thing. */
const jsQR = require('jsqr').default || require('jsqr');
const { closePages, openPage } = require('../support/pages');
const { FakeServer, house } = require('../support/server');
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
  expect(detail.text).toContain('依据：合同第3条');
  expect(detail.text).toContain('违约金1.64元');
  expect(detail.text).toContain('共23天：142.93元 × 0.5‰/日 × 23天 = 1.643695元');
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

test('Alipay: the link that is copied opens the bills of the house they are of', async () => {
  server.houses.push(house('12', '3栋1单元1202', 'WXYZ6789'));
  const alipay = openPage('alipay', { bills: '103', houses: '12' });
  await alipay.shows('https://pay.example.com/pay/bills?c=WXYZ6789');
  expect(alipay.text).toContain('阳光花园 3栋1单元1202 · 查询码 WXYZ6789');
  expect(alipay.text).not.toContain('ABCD2345');
  await alipay.idle();
  alipay.tap('.copy-link');
  await until(() => wechat.named('setClipboardData').length === 1);
  const { data } = wechat.named('setClipboardData')[0];
  expect(data).toBe('https://pay.example.com/pay/bills?c=WXYZ6789');
});

test('Alipay: bills of two houses have two links, each copied by its own button', async () => {
  server.houses.push(house('12', '3栋1单元1202', 'WXYZ6789'));
  server.bills[1].house_id = '12';
  const bills = openPage('bills');
  await bills.shows('用支付宝缴费');
  await bills.idle();
  bills.tap('.alipay');
  await until(() => wechat.named('navigateTo').length === 1);
  const { url } = wechat.named('navigateTo')[0];
  expect(url).toBe('/pages/alipay/index?bills=101%2C102&houses=11%2C12&fen=28750');
  const alipay = openPage('alipay', { bills: '101,102', houses: '11,12', fen: '28750' });
  await alipay.shows('查询码 WXYZ6789');
  await alipay.idle();
  alipay.tap(['.copy-link', 1]);
  await until(() => wechat.named('setClipboardData').length === 1);
  const { data } = wechat.named('setClipboardData')[0];
  expect(data).toBe('https://pay.example.com/pay/bills?c=WXYZ6789');
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
  await promise.shows('约好了，谢谢您');
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

test('promise: without a house it says so and leads to binding one', async () => {
  server.bound = false;
  const promise = openPage('promise');
  await promise.shows('还没有绑定房屋');
  await promise.idle();
  expect(promise.data.problem).toBeNull();
  expect(promise.find('.make-promise')).toBeUndefined();
  promise.tap('.bind');
  await until(() => wechat.named('redirectTo').length === 1);
  expect(wechat.named('redirectTo')[0].url).toBe('/pages/login/index');
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

test('dispute: a bill of somebody else is not found', async () => {
  const dispute = openPage('dispute', { id: '999' });
  await dispute.shows('没有找到这笔账单');
  expect(dispute.find('.send')).toBeUndefined();
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
  await me.shows('账单已出，金额142.93元');
  expect(me.text).toContain('2026年1月5日 09:00 · 微信消息');
  expect(server.sent('GET', '/contacts')[0].query).toEqual({ house_id: '11' });
  me.tap('.stop-contact');
  await me.shows('已登记，不再打扰您');
  expect(server.sent('POST', '/stop-contact')[0].body).toEqual({ house_id: '11' });
  expect(wechat.named('showModal')).toHaveLength(0);
});

test('the wish not to be contacted is remembered by every new page', async () => {
  const me = openPage('me');
  await me.shows('请停止联系我');
  me.tap('.stop-contact');
  await me.shows('已登记，不再打扰您');
  const again = openPage('me');
  await again.shows('已登记，不再打扰您');
  expect(again.find('.stop-contact')).toBeUndefined();
  server.stopped = false; // lifted by the service centre, at the owner's wish
  await again.idle();
  await again.page.onPullDownRefresh();
  expect(again.find('.stop-contact')).toBeDefined();
  expect(again.find('.stopped')).toBeUndefined();
});

test('after the wish was sent the other houses say so, too', async () => {
  server.houses.push(house('12', '3栋1单元1202', 'WXYZ6789'));
  const me = openPage('me');
  await me.shows('请停止联系我');
  await me.idle();
  me.tap('.stop-contact');
  await me.shows('已登记，不再打扰您');
  await me.idle();
  me.tap(['.house', 1]);
  await until(() => me.data.houseId === '12');
  await me.idle();
  expect(me.data.stopped).toBe(true);
});

const LOADED = [
  ['alipay', { bills: '101', houses: '11' }, '/me', '查询码 ABCD2345'],
  ['bill', { id: '101' }, '/bills', '住宅物业费'],
  ['bills', {}, '/bills', '已选 2 笔'],
  ['dispute', { id: '101' }, '/bills', '哪方面的疑问'],
  ['me', {}, '/contacts', '请停止联系我'],
  ['payments', {}, '/bills', '还没有缴费记录'],
  ['points', {}, '/points', '每缴 1 元得 1 分'],
  ['promise', { house: '11' }, '/bills', '哪天方便缴费'],
];

test.each(LOADED)('%s says that it loads, and after a failure offers to try again', async (name, query, path, shown) => {
  server.breakNext.push({ path, status: 503, body: { code: 'busy', message_zh: '现在有点忙。' } });
  const page = openPage(name, query);
  expect(page.text).toContain('正在加载，请稍候…');
  await page.shows('现在有点忙。');
  await page.idle();
  expect(page.text).not.toContain('正在加载');
  if (name !== 'promise') expect(page.text).not.toContain(shown);
  page.tap('.notice-of-page', '.retry');
  await page.shows(shown);
  await page.idle();
  expect(page.find('.notice-of-page', '.notice')).toBeUndefined();
  expect(page.text).not.toContain('正在加载');
});

test('login offers to try again when the log-in failed', async () => {
  server.breakNext.push({ path: '/login', status: 503, body: { code: 'busy', message_zh: '忙。' } });
  const login = openPage('login');
  await login.shows('忙。');
  await login.idle();
  login.tap('.notice-of-page', '.retry');
  await until(() => wechat.named('switchTab').length === 1);
});

test.each(['bills', 'me', 'points', 'payments'])('%s is loaded anew by pulling down', async (name) => {
  const page = openPage(name);
  await until(() => page.data.loaded && !page.data.busy);
  const before = server.calls.length;
  await page.page.onPullDownRefresh();
  expect(server.calls.length).toBeGreaterThan(before);
  expect(wechat.named('stopPullDownRefresh')).toHaveLength(1);
});

test('a house that is chosen while another list is on its way does not mix them', async () => {
  server.houses.push(house('12', '3栋1单元1202', 'WXYZ6789'));
  const bills = openPage('bills');
  await bills.shows('已选 2 笔');
  await bills.idle();
  server.breakNext.push({ path: '/bills', status: 503, body: { code: 'busy', message_zh: '忙。' } });
  bills.tap(['.house-chip', 1]);
  await bills.shows('忙。');
  expect(bills.data).toMatchObject({ houseId: '12', bills: [], chosenIds: [] });
  bills.tap('.notice-of-page', '.retry');
  await bills.shows('已选 2 笔');
  expect(server.sent('GET', '/bills').slice(-1)[0].query.house_id).toBe('12');
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
