const owner = require('../../services/owner');
const { view } = require('../../utils/bills');
const { dayText } = require('../../utils/dates');
const display = require('../../utils/display');
const { load, open } = require('../../utils/page');

/** One bill in full: standard and its basis, every formula, late fee day by day, what was paid. */
Page({
  data: {
    busy: false,
    problem: null,
    loading: false,
    failed: false,
    loaded: false,
    large: false,
    bill: null,
    period: '',
    missing: false,
  },

  onLoad(query) {
    this.id = query.id;
  },

  onShow() {
    this.setData({ large: display.isLarge() });
    return this.reload();
  },

  onRetry() {
    return this.reload();
  },

  reload() {
    return load(this, async () => {
      const bill = await owner.findBill(this.id);
      this.setData({
        bill: bill && view(bill, bill.as_of),
        period: bill ? `${dayText(bill.period_from)}起` : '',
        missing: !bill,
        loaded: true,
      });
    });
  },

  onDispute() {
    open('dispute', { id: this.id });
  },

  onPromise() {
    open('promise', { house: this.data.bill.house_id });
  },
});
