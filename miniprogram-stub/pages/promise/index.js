const owner = require('../../services/owner');
const checkout = require('../../services/checkout');
const { addDays, dayText, today } = require('../../utils/dates');
const display = require('../../utils/display');
const { parseYuan, yuan } = require('../../utils/money');
const { act, load, replace } = require('../../utils/page');

const LONGEST_DAYS = 60;
const WAYS = [
  { value: 'wechatpay', text: '微信支付' },
  { value: 'alipay', text: '支付宝' },
  { value: 'bank', text: '银行转账' },
  { value: 'cash', text: '到服务中心付现金' },
  { value: 'pos', text: '到服务中心刷卡' },
];

/** The owner names amount, day and way; until that day reminders rest. */
Page({
  data: {
    busy: false,
    problem: null,
    loading: false,
    failed: false,
    loaded: false,
    large: false,
    houses: [],
    houseIndex: 0,
    amount: '',
    day: '',
    dayText: '',
    firstDay: '',
    lastDay: '',
    ways: WAYS,
    payBy: 'wechatpay',
    templates: [],
    done: null,
  },

  onLoad(query) {
    this.setData({ large: display.isLarge() });
    this.houseId = query.house;
    this.offerDays(today());
    return this.reload();
  },

  onRetry() {
    return this.reload();
  },

  reload() {
    return load(this, async () => {
      const me = await owner.getMe();
      const at = me.houses.findIndex((house) => house.house_id === this.houseId);
      const houseIndex = Math.max(0, at);
      this.setData({ houses: me.houses, houseIndex, templates: me.templates || [] });
      if (me.houses.length) await this.fillAmount();
      this.setData({ loaded: true });
    });
  },

  async fillAmount() {
    const houseId = this.data.houses[this.data.houseIndex].house_id;
    const { items, as_of: asOf } = await owner.listAllBills({ houseId });
    this.offerDays(asOf);
    this.setData({ amount: yuan(items.reduce((fen, bill) => fen + bill.payable_fen, 0)) });
  },

  /** Offer the days that the server accepts, counted from its own today. */
  offerDays(firstDay) {
    const day = addDays(firstDay, 7);
    const lastDay = addDays(firstDay, LONGEST_DAYS);
    this.setData({ firstDay, day, dayText: dayText(day), lastDay });
  },

  onHouse(event) {
    if (this.data.busy) return undefined;
    const houseIndex = Number(event.detail.value);
    this.houseId = this.data.houses[houseIndex].house_id;
    this.setData({ houseIndex });
    return load(this, () => this.fillAmount());
  },

  onAmount(event) {
    this.setData({ amount: event.detail.value });
  },

  onDay(event) {
    this.setData({ day: event.detail.value, dayText: dayText(event.detail.value) });
  },

  onWay(event) {
    this.setData({ payBy: event.currentTarget.dataset.value });
  },

  onPromise() {
    const amountFen = parseYuan(this.data.amount);
    if (!amountFen) {
      this.setData({ problem: { title: '请填写金额，例如 142.93', advice: '' } });
      return undefined;
    }
    return act(this, async () => {
      const { houses, houseIndex, day, payBy, templates } = this.data;
      await checkout.askConsent(templates);
      const houseId = houses[houseIndex].house_id;
      const promise = await owner.makePromise({ houseId, amountFen, day, payBy });
      const reminder = promise.reminder_day ? dayText(promise.reminder_day) : '';
      this.setData({ done: { day: dayText(promise.day), amount: yuan(promise.amount_fen), reminder } });
    });
  },

  onBind() {
    replace('login');
  },

  onBack() {
    wx.navigateBack({ delta: 1 });
  },
});
