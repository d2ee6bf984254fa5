/** One tap: consent to messages, order, cashier; and what the server says about the money. */
const owner = require('./owner');
const platform = require('./platform');

const AT_ONCE = 5; // templates WeChat accepts in one question

/** Ask for message consent in this tap and report it in the background. */
function askConsent(templates, turn = 0) {
  const from = templates.length > turn * AT_ONCE ? turn * AT_ONCE : 0;
  const asked = platform.askConsent(templates.slice(from, from + AT_ONCE));
  return asked.then((results) => {
    owner.recordSubscriptions(results);
    return results;
  });
}

/**
 * Pay bills by WeChat; call it directly in the tap.
 *
 * shownFen is what the page shows; when the order's amount differs (a late fee grew at midnight,
 * someone paid a part), confirmAmount(payment) decides. Returns {outcome, outTradeNo}: `leave`
 * (owner did not agree or cancelled, nothing paid) or `watch` (ask the server until it is clear).
 * @param {{billIds: string[], shownFen: number, templates: string[],
 *   confirmAmount: (payment: any) => Promise<boolean>}} wish
 */
async function payByWechat({ billIds, shownFen, templates, confirmAmount }) {
  const consent = askConsent(templates);
  await consent;
  const { payment, params } = await owner.startPayment({
    billIds,
    channel: 'wechatpay',
    method: 'jsapi',
  });
  const outTradeNo = payment.out_trade_no;
  if (payment.amount_fen !== shownFen && !(await confirmAmount(payment))) {
    return { outcome: 'leave', outTradeNo };
  }
  const said = await platform.openCashier(params);
  owner.forgetBills();
  if (said === 'cancelled' && !(await isPaid(outTradeNo))) return { outcome: 'leave', outTradeNo };
  return { outcome: 'watch', outTradeNo };
}

async function isPaid(outTradeNo) {
  try {
    return (await owner.getPayment(outTradeNo)).paid;
  } catch {
    return true; // not known: let the result page find out
  }
}

/** Open an Alipay order and return {payment, params: {qr_code, qr_svg}}. */
function startAlipayQr(billIds) {
  return owner.startPayment({ billIds, channel: 'alipay', method: 'qr' });
}

/** True when the order will not change any more. */
function isFinal(payment) {
  return payment.paid || payment.state === 'closed';
}

module.exports = { askConsent, isFinal, payByWechat, startAlipayQr };
