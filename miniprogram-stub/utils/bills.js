/** From the server's bills to what a page shows. */
const { dayText, instantText } = require('./dates');
const { sum, yuan } = require('./money');

/** Return one plain sentence per piece of late fee, days and formula first. */
function lateFeeSteps(bill) {
  return (bill.late_fee_explained || []).map((piece) => {
    const days = `${dayText(piece.from)}至${dayText(piece.to)}，共${piece.days}天`;
    const rate = `${piece.rate_text} × ${piece.days}天`;
    return `${days}：${yuan(piece.base_fen)}元 × ${rate} = ${piece.exact_text}`;
  });
}

/** Return when it is or was due as of a day, in a respectful tone. */
function dueWords(bill, asOf) {
  if (bill.state === 'reversed') return '已作废，无需缴纳';
  if (bill.payable_fen === 0) return '已缴清，谢谢您';
  if (bill.open_fen === 0) return bill.state_text; // only late fee is left
  const day = dayText(bill.due_date);
  if (bill.overdue_days > 0) return `缴费日${day}，已过${bill.overdue_days}天`;
  return bill.due_date === asOf ? `今天（${day}）到期` : `请于${day}前缴纳`;
}

/** Return the lines of "already paid / waived / credited", only those that are not zero. */
function deductions(bill) {
  return [
    ['已缴', bill.paid_fen],
    ['减免', bill.waived_fen],
    ['抵扣', bill.credited_fen],
  ]
    .filter(([, fen]) => fen > 0)
    .map(([label, fen]) => ({ label, text: yuan(fen) }));
}

/** Return the bill with everything a card shows; asOf is the business day of the list. */
function view(bill, asOf) {
  const due = dueWords(bill, asOf);
  return {
    ...bill,
    due_words: due,
    due_text: yuan(bill.due_fen),
    open_text: yuan(bill.open_fen),
    late_fee_steps: lateFeeSteps(bill),
    deductions: deductions(bill),
    spoken: `${bill.house_label}，${bill.period_text}${bill.fee_name}，应缴${bill.payable_text}元，${due}`,
  };
}

/** Return what was paid, one entry per payment of a bill, newest first. */
function paidParts(bills) {
  return bills
    .flatMap((bill) => bill.payments.map((payment) => ({ ...payment, bill })))
    .sort((one, other) => Date.parse(other.paid_at) - Date.parse(one.paid_at))
    .map(({ bill, ...payment }, n) => ({
      ...payment,
      key: `${bill.id}-${n}`,
      bill_id: bill.id,
      period_text: bill.period_text,
      fee_name: bill.fee_name,
      house_label: bill.house_label,
      paid_at_text: instantText(payment.paid_at),
    }));
}

/** Return {count, fen, text} of the chosen bills. */
function chosenTotal(bills, chosenIds) {
  const chosen = bills.filter((bill) => chosenIds.includes(bill.id));
  const fen = sum(chosen.map((bill) => bill.payable_fen));
  return { count: chosen.length, fen, text: yuan(fen) };
}

/** Return ids with id added or taken out. */
function toggled(ids, id) {
  return ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id];
}

module.exports = { chosenTotal, deductions, dueWords, lateFeeSteps, paidParts, toggled, view };
