const owner = require('../../services/owner');
const { instantText } = require('../../utils/dates');
const display = require('../../utils/display');
const { yuan } = require('../../utils/money');
const { act, load, replace, toast } = require('../../utils/page');

function entryView(entry, n) {
  const sign = entry.points > 0 ? '+' : '';
  return {
    ...entry,
    key: `${entry.at}-${n}`,
    points_text: sign + entry.points,
    at_text: instantText(entry.at),
  };
}

/** Points: balance, how they are earned, every entry; and using them against an open bill. */
Page({
  data: {
    busy: false,
    problem: null,
    loading: false,
    failed: false,
    loaded: false,
    large: false,
    balance: 0,
    shortage: 0,
    ruleText: '',
    items: [],
    nextCursor: null,
    bills: [],
    billNames: [],
    billIndex: -1,
    points: '',
  },

  onShow() {
    this.setData({ large: display.isLarge() });
    return this.reload();
  },

  onPullDownRefresh() {
    return this.reload().then(() => wx.stopPullDownRefresh());
  },

  onRetry() {
    return this.reload();
  },

  reload() {
    return load(this, () => this.load());
  },

  async load() {
    const me = await owner.getMe();
    if (!me.houses.length) {
      replace('login');
      return;
    }
    const page = await owner.listPoints();
    const open = page.balance > 0 ? (await owner.listAllBills()).items : [];
    const bills = open.filter((bill) => bill.open_fen > 0);
    this.setData({
      loaded: true,
      balance: page.balance,
      shortage: page.shortage,
      ruleText: page.rule_text,
      items: page.items.map(entryView),
      nextCursor: page.next_cursor,
      bills,
      billNames: bills.map((b) => `${b.period_text} ${b.fee_name} ${b.payable_text}元`),
      billIndex: bills.length ? 0 : -1,
      points: '',
    });
  },

  onMore() {
    return act(this, async () => {
      const page = await owner.listPoints(this.data.nextCursor);
      const items = [...this.data.items, ...page.items.map((e, n) => entryView(e, `more${n}`))];
      this.setData({ items, nextCursor: page.next_cursor });
    });
  },

  onBill(event) {
    this.setData({ billIndex: Number(event.detail.value) });
  },

  onPoints(event) {
    this.setData({ points: event.detail.value.trim() });
  },

  onRedeem() {
    const points = /^\d{1,9}$/.test(this.data.points) ? Number(this.data.points) : 0;
    if (points < 1 || points > this.data.balance) {
      const title = `请填写 1 到 ${this.data.balance} 之间的整数`;
      this.setData({ problem: { title, advice: '' } });
      return undefined;
    }
    return act(this, async () => {
      const billId = this.data.bills[this.data.billIndex].id;
      const answer = await owner.redeemPoints({ billId, points });
      toast(`用 ${answer.points_used} 积分抵了 ${yuan(answer.fen)} 元`);
      await this.load();
    });
  },
});
