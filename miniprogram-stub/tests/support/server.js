/** The owner API as the mini-program meets it, in memory: enough rules to tell right from wrong. */

const TEMPLATES = ['t1', 't2', 't3', 't4', 't5', 't6', 't7'];

function bill(id, changes = {}) {
  return {
    id,
    house_id: '11',
    house_label: '阳光花园 3栋1单元1201',
    fee_name: '物业服务费',
    period_from: '2026-01-01',
    period_to: '2026-02-01',
    period_text: '2026年1月',
    due_date: '2026-01-15',
    overdue_days: 0,
    due_fen: 14293,
    paid_fen: 0,
    waived_fen: 0,
    credited_fen: 0,
    open_fen: 14293,
    late_fee_fen: 0,
    late_fee_text: '0.00',
    payable_fen: 14293,
    payable_text: '142.93',
    state: 'open',
    state_text: '待缴',
    late_fee_explained: [],
    payments: [],
    lines: [
      {
        formula: '94.56㎡ × 1.3000元/㎡·月 + 20元 = 142.928 → 142.93元',
        fen: 14293,
        text: '142.93',
        standard_name: '住宅物业费',
        basis: '合同第3条',
      },
    ],
    ...changes,
  };
}

function house(id, code, payCode) {
  return {
    house_id: id,
    label: `阳光花园 ${code}`,
    community_name: '阳光花园',
    role: 'owner',
    role_text: '业主',
    pay_code: payCode,
    pay_url: `https://pay.example.com/pay/bills?c=${payCode}`,
  };
}

const WITH_LATE_FEE = {
  period_text: '2025年12月',
  overdue_days: 23,
  late_fee_fen: 164,
  late_fee_text: '1.64',
  payable_fen: 14457,
  payable_text: '144.57',
  late_fee_explained: [
    {
      from: '2026-01-31',
      to: '2026-02-22',
      days: 23,
      base_fen: 14293,
      rate_text: '0.5‰/日',
      exact_text: '1.643695元',
    },
  ],
};

class Refused extends Error {
  constructor(status, body) {
    super(body.code);
    this.status = status;
    this.body = body;
  }
}

function refuse(status, code, message_zh, more = {}) {
  throw new Refused(status, { code, message: code, message_zh, ...more });
}

class FakeServer {
  constructor() {
    this.calls = []; // {method, path, query, body, key, token}
    this.codes = new Set();
    this.tokens = new Set();
    this.bound = false;
    this.bills = [bill('101'), bill('102', WITH_LATE_FEE)];
    this.payments = {};
    this.answers = {}; // Idempotency-Key → what was answered
    this.loseNext = 0; // acts, but the answer does not arrive
    this.breakNext = []; // {path, status, body} instead of an answer
    this.points = 300;
    this.stopped = false;
    this.houses = [house('11', '3栋1单元1201', 'ABCD2345')];
  }

  /** wx.request for this server. */
  request(call) {
    setTimeout(() => {
      const answer = this.answer(call);
      if (this.loseNext > 0 && call.method === 'POST') {
        this.loseNext -= 1;
        call.fail({ errMsg: 'request:fail timeout' });
      } else call.success(answer);
    }, 1);
  }

  answer({ url, method, data, header }) {
    const { pathname, searchParams } = new URL(url);
    const call = {
      method,
      path: pathname.replace('/api/v1', ''),
      query: Object.fromEntries(searchParams),
      body: data,
      key: header['Idempotency-Key'],
      token: (header.Authorization || '').replace('Bearer ', ''),
    };
    this.calls.push(call);
    try {
      return this.served(call);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return { statusCode: error.status, data: error.body };
    }
  }

  served(call) {
    const broken = this.breakNext.findIndex((fault) => fault.path === call.path);
    if (broken >= 0) {
      const [{ status, body }] = this.breakNext.splice(broken, 1);
      return { statusCode: status, data: body };
    }
    if (call.path !== '/login') this.admit(call);
    if (call.key && this.answers[call.key]) return this.answers[call.key];
    const answer = { statusCode: call.method === 'POST' ? 201 : 200, data: this.work(call) };
    if (call.key) this.answers[call.key] = answer;
    return answer;
  }

  admit(call) {
    if (!this.tokens.has(call.token)) refuse(401, 'login_required', '请先登录。');
    if (call.method === 'POST' && !/^[A-Za-z0-9_-]{8,64}$/.test(call.key || '')) {
      refuse(422, 'idempotency_key_required', '请求缺少操作编号。');
    }
  }

  work({ method, path, query, body }) {
    const [, first, second] = path.split('/');
    const route = `${method} /${first}${second ? `/${first === 'payments' ? ':no' : second}` : ''}`;
    const work = {
      'POST /login': () => this.login(body),
      'GET /me': () => this.me(),
      'POST /bindings': () => this.bind(body),
      'GET /bills': () => this.listBills(query),
      'POST /payments': () => this.startPayment(body),
      'GET /payments/:no': () => this.payments[second] || refuse(404, 'not_found', '没有找到。'),
      'GET /points': () => this.listPoints(),
      'POST /points/redemptions': () => this.redeem(body),
      'POST /promises': () => ({ id: '1', state: 'open', reminder_day: '2026-02-28', ...body }),
      'POST /disputes': () => ({ hold_id: '1', answer_by: '2026-03-04' }),
      'POST /stop-contact': () => this.stop(),
      'POST /subscriptions': () => ({ recorded: Object.keys(body.results).length }),
      'GET /contacts': () => this.contacts(),
    }[route];
    return work ? work() : refuse(404, 'not_found', '没有找到。');
  }

  login({ code }) {
    if (!this.codes.delete(code)) refuse(401, 'wechat_code_invalid', '登录凭证无效或已用过。');
    const token = `token-${this.tokens.size + 1}`;
    this.tokens.add(token);
    return { token, expires_at: '2099-01-01T00:00:00Z', account_id: '7', bound: this.bound };
  }

  me() {
    const houses = this.houses.map((one) => ({ ...one, stopped: this.stopped }));
    return {
      account_id: '7',
      houses: this.bound ? houses : [],
      templates: TEMPLATES,
      company: { name: '阳光物业', hotline: '400-000-0000' },
    };
  }

  bind(body) {
    const byPhone = body.phone_code === 'phone-ok';
    const byHouse = body.house_code === '3-1-1201' && body.phone_last4 === '0001';
    if (!byPhone && !byHouse) {
      refuse(422, 'binding_not_matched', '没有核对成功。', { what_to_do: '请核对后再试。' });
    }
    this.bound = true;
    return { houses: this.me().houses };
  }

  listBills({ state, cursor }) {
    const items = this.bills.filter((b) => state === 'all' || b.payable_fen > 0);
    const from = Number(cursor || 0);
    const next = from + 2 < items.length ? String(from + 2) : null;
    const totals = { open_fen: 0, late_fee_fen: 0, payable_fen: 0, payable_text: '0.00' };
    return { items: items.slice(from, from + 2), totals, as_of: '2026-02-22', next_cursor: next };
  }

  startPayment({ bill_ids: ids, channel, method }) {
    const chosen = this.bills.filter((b) => ids.includes(b.id) && b.payable_fen > 0);
    if (chosen.length !== ids.length) refuse(409, 'nothing_to_pay', '所选账单已结清，无需支付。');
    const fen = chosen.reduce((total, b) => total + b.payable_fen, 0);
    const no = `N${Object.keys(this.payments).length + 1}`;
    this.payments[no] = {
      out_trade_no: no, channel, state: 'pending', paid: false, state_text: '待支付',
      amount_fen: fen, bills: [], credit_fen: 0, points_earned: 0, receipt_no: null,
      settled_at: null, ids,
    };
    const params =
      method === 'qr'
        ? { qr_code: `https://qr.example/${no}`, qr_svg: '<svg/>' }
        : { timeStamp: '1', nonceStr: 'n', package: `prepay_id=${no}`, signType: 'RSA', paySign: 's' };
    const payment = { out_trade_no: no, state: 'pending', amount_fen: fen };
    payment.amount_text = `${Math.floor(fen / 100)}.${String(fen % 100).padStart(2, '0')}`;
    return { payment, params };
  }

  /** The platform told the server that the money arrived. */
  settle(no) {
    const payment = this.payments[no];
    const paid = this.bills.filter((b) => payment.ids.includes(b.id));
    payment.bills = paid.map((b) => ({
      id: b.id, fee_name: b.fee_name, period_text: b.period_text, paid_fen: b.payable_fen,
    }));
    const how = {
      receipt_no: 'R-000001',
      channel_text: payment.channel === 'alipay' ? '支付宝' : '微信支付',
      paid_at: '2026-02-22T01:02:03Z',
    };
    paid.forEach((b) => Object.assign(b, {
      payments: [{ ...how, paid_fen: b.payable_fen, paid_text: b.payable_text }, ...b.payments],
      paid_fen: b.payable_fen, open_fen: 0, payable_fen: 0, payable_text: '0.00', state: 'paid',
    }));
    Object.assign(payment, {
      state: 'succeeded', paid: true, points_earned: 142, receipt_no: 'R-000001',
      settled_at: '2026-02-22T01:02:03Z',
    });
  }

  listPoints() {
    const items = [
      { points: 300, reason_text: '按时缴费', bill_id: '90', at: '2026-01-03T02:00:00Z' },
    ];
    return {
      balance: this.points, shortage: 0, items, rule_text: '每缴 1 元得 1 分。', next_cursor: null,
    };
  }

  redeem({ bill_id: id, points }) {
    this.points -= points;
    const found = this.bills.find((b) => b.id === id);
    return { points_used: points, fen: points, bill: found };
  }

  stop() {
    this.stopped = true;
    return { hold_id: '2' };
  }

  contacts() {
    const text = '账单已出，金额142.93元';
    const items = [
      { at: '2026-01-05T01:00:00Z', kind: 'message', channel_text: '微信消息', text },
    ];
    return { items, next_cursor: null };
  }

  /** Calls of one operation, in order. */
  sent(method, path) {
    return this.calls.filter((call) => call.method === method && call.path === path);
  }
}

module.exports = { FakeServer, Refused, TEMPLATES, bill, house };
