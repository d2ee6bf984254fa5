const checkout = require('../../services/checkout');
const owner = require('../../services/owner');
const { paidParts } = require('../../utils/bills');
const { instantText } = require('../../utils/dates');
const display = require('../../utils/display');
const { yuan } = require('../../utils/money');
const { act, load, open, openTab, toast } = require('../../utils/page');
const { poll } = require('../../utils/poll');

function paymentView(payment) {
  return {
    ...payment,
    settled_text: payment.settled_at ? instantText(payment.settled_at) : '',
    credit_text: payment.credit_fen > 0 ? yuan(payment.credit_fen) : '',
    bills: payment.bills.map((bill) => ({ ...bill, paid_text: yuan(bill.paid_fen) })),
  };
}

/**
 * With ?no=: the result of a payment as the server knows it, asked until it is final; what the
 * cashier told the phone is not used. Without: what was paid before.
 */
Page({
  data: {
    busy: false,
    problem: null,
    loading: false,
    failed: false,
    loaded: false,
    large: false,
    no: '',
    phase: 'asking', // asking | paid | closed | unclear | history
    payment: null,
    templates: [],
    paid: [],
  },

  onLoad(query) {
    this.setData({ no: query.no || '', phase: query.no ? 'asking' : 'history' });
    wx.setNavigationBarTitle({ title: query.no ? '缴费结果' : '缴费记录' });
  },

  onShow() {
    this.setData({ large: display.isLarge() });
    if (!this.data.no) return this.reload();
    if (this.data.phase !== 'paid') this.watch();
    return undefined;
  },

  onPullDownRefresh() {
    return this.reload().then(() => wx.stopPullDownRefresh());
  },

  onRetry() {
    return this.reload();
  },

  async reload() {
    if (this.data.no) this.watch();
    else await load(this, () => this.loadHistory());
  },

  onHide() {
    this.stopWatching();
  },

  onUnload() {
    this.stopWatching();
  },

  stopWatching() {
    if (this.stop) this.stop();
    this.stop = null;
  },

  watch() {
    this.stopWatching();
    this.setData({ phase: 'asking' });
    this.stop = poll({
      ask: () => owner.getPayment(this.data.no),
      isFinal: checkout.isFinal,
      onAnswer: (payment) => this.onAnswer(payment),
      onTired: () => this.setData({ phase: 'unclear' }),
    });
  },

  onAnswer(payment) {
    const phase = payment.paid ? 'paid' : payment.state === 'closed' ? 'closed' : 'asking';
    this.setData({ payment: paymentView(payment), phase });
    if (phase !== 'paid') return;
    owner.forgetBills();
    owner
      .getMe()
      .then((me) => this.setData({ templates: me.templates || [] }))
      .catch(() => {});
  },

  async loadHistory() {
    const page = await owner.listAllBills({ state: 'all' });
    this.setData({ paid: paidParts(page.items), loaded: true });
  },

  onAgain() {
    this.watch();
  },

  onRemind() {
    return act(this, async () => {
      const results = await checkout.askConsent(this.data.templates, 1);
      const agreed = Object.values(results).includes('accept');
      toast(agreed ? '好的，下次会在微信提醒您' : '没有开启提醒');
    });
  },

  onOpenBill(event) {
    open('bill', { id: event.currentTarget.dataset.id });
  },

  onDone() {
    openTab('bills');
  },

  onPoints() {
    openTab('points');
  },
});
