const owner = require('../../services/owner');
const { view } = require('../../utils/bills');
const { dayText } = require('../../utils/dates');
const display = require('../../utils/display');
const { parseYuan } = require('../../utils/money');
const { act, load } = require('../../utils/page');

const REASONS = [
  { value: 'wrong_amount', text: '金额算得不对' },
  { value: 'not_mine', text: '不该由我缴' },
  { value: 'no_service', text: '没有享受到服务' },
  { value: 'dissatisfied', text: '对服务不满意' },
  { value: 'price', text: '收费标准太高' },
  { value: 'developer_legacy', text: '开发商遗留或房屋质量问题' },
  { value: 'other', text: '其他' },
];

/** The owner questions a bill or a part of it; that part rests until it is answered. */
Page({
  data: {
    busy: false,
    problem: null,
    loading: false,
    failed: false,
    loaded: false,
    large: false,
    bill: null,
    missing: false,
    reasons: REASONS,
    reason: 'wrong_amount',
    amount: '',
    text: '',
    answerBy: '',
  },

  onLoad(query) {
    this.setData({ large: display.isLarge() });
    this.id = query.id;
    return this.reload();
  },

  onRetry() {
    return this.reload();
  },

  reload() {
    return load(this, async () => {
      const bill = await owner.findBill(this.id);
      this.setData({ bill: bill && view(bill, bill.as_of), missing: !bill, loaded: true });
    });
  },

  onReason(event) {
    this.setData({ reason: event.currentTarget.dataset.value });
  },

  onInput(event) {
    this.setData({ [event.currentTarget.dataset.name]: event.detail.value });
  },

  onSend() {
    const { bill, reason, amount, text } = this.data;
    const amountFen = amount.trim() ? parseYuan(amount) : null;
    if (amount.trim() && !amountFen) {
      this.setData({ problem: { title: '金额请填数字，例如 20.00', advice: '不填表示整笔都有疑问。' } });
      return undefined;
    }
    if (!text.trim()) {
      this.setData({ problem: { title: '请写下您的疑问', advice: '一两句话就可以。' } });
      return undefined;
    }
    return act(this, async () => {
      const wish = { billId: bill.id, amountFen, reasonCode: reason, text: text.trim() };
      const answer = await owner.openDispute(wish);
      owner.forgetBills();
      this.setData({ answerBy: dayText(answer.answer_by.slice(0, 10)) });
    });
  },

  onBack() {
    wx.navigateBack({ delta: 1 });
  },
});
