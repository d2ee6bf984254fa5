const checkout = require('../../services/checkout');
const owner = require('../../services/owner');
const settings = require('../../services/settings');
const { chosenTotal, toggled, view } = require('../../utils/bills');
const { dayText } = require('../../utils/dates');
const display = require('../../utils/display');
const { act, confirm, load, open, replace, toast } = require('../../utils/page');

const ALL_HOUSES = '';

/** Open bills: choose any of them, see why each amount is what it is, pay with one button. */
Page({
  data: {
    busy: false,
    problem: null,
    loading: false,
    failed: false,
    loaded: false,
    large: false,
    showAlipay: false,
    houses: [],
    houseId: ALL_HOUSES,
    templates: [],
    bills: [],
    chosenIds: [],
    chosen: { count: 0, fen: 0, text: '0.00' },
    asOf: '',
  },

  onShow() {
    this.setData({ large: display.isLarge(), showAlipay: settings.current().showAlipay });
    return this.reload();
  },

  onPullDownRefresh() {
    return this.reload().then(() => wx.stopPullDownRefresh());
  },

  onRetry() {
    return this.reload();
  },

  reload() {
    return load(this, async () => {
      const me = await owner.getMe();
      if (!me.houses.length) {
        replace('login');
        return;
      }
      this.setData({ houses: me.houses, templates: me.templates || [] });
      await this.load();
    });
  },

  async load() {
    const page = await owner.listAllBills({ houseId: this.data.houseId });
    const bills = page.items.filter((bill) => bill.payable_fen > 0).map((bill) => view(bill, page.as_of));
    const known = this.data.bills.map((bill) => bill.id);
    const left = known.filter((id) => !this.data.chosenIds.includes(id));
    this.setData({ asOf: dayText(page.as_of), loaded: true });
    this.choose(bills, bills.map((bill) => bill.id).filter((id) => !left.includes(id)));
  },

  choose(bills, chosenIds) {
    const marked = bills.map((bill) => ({ ...bill, checked: chosenIds.includes(bill.id) }));
    this.setData({ bills: marked, chosenIds, chosen: chosenTotal(bills, chosenIds) });
  },

  onHouse(event) {
    if (this.data.busy) return undefined; // the list on its way is of the house chosen before
    this.setData({ houseId: event.currentTarget.dataset.id, loaded: false });
    this.choose([], []);
    return this.reload();
  },

  onToggle(event) {
    this.choose(this.data.bills, toggled(this.data.chosenIds, event.detail.id));
  },

  onToggleAll() {
    const all = this.data.bills.map((bill) => bill.id);
    this.choose(this.data.bills, this.data.chosenIds.length === all.length ? [] : all);
  },

  onOpen(event) {
    open('bill', { id: event.detail.id });
  },

  onPay() {
    if (!this.data.chosen.count) {
      toast('请先选择要缴的账单');
      return undefined;
    }
    return act(this, async () => {
      const { outcome, outTradeNo } = await checkout.payByWechat({
        billIds: this.data.chosenIds,
        shownFen: this.data.chosen.fen,
        templates: this.data.templates,
        confirmAmount: (payment) =>
          confirm({
            title: '金额有变化',
            content: `现在应缴 ${payment.amount_text} 元，是否继续？`,
            confirmText: '继续缴费',
          }),
      });
      if (outcome === 'watch') open('payments', { no: outTradeNo });
      else toast('没有支付，账单不变');
    });
  },

  onAlipay() {
    const { bills, chosen, chosenIds } = this.data;
    if (!chosen.count) {
      toast('请先选择要缴的账单');
      return;
    }
    const houses = bills.filter((b) => chosenIds.includes(b.id)).map((b) => b.house_id);
    const query = { bills: chosenIds.join(','), houses: [...new Set(houses)].join(',') };
    open('alipay', { ...query, fen: chosen.fen });
  },

  onPromise() {
    open('promise', { house: this.data.houseId || this.data.houses[0].house_id });
  },

  onHistory() {
    open('payments');
  },
});
