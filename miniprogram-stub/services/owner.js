/** Everything an owner can do, one function per operation of the owner API. */
const api = require('./api');
const intents = require('./intents');
const session = require('./session');

let seenBills = new Map(); // id → bill, with as_of of its list

/** Return {account_id, houses, templates, company}; a house carries pay_url, pay_code, stopped. */
function getMe() {
  return api.get('/me');
}

async function bind(body) {
  const answer = await api.act('/bindings', body);
  session.markBound();
  return answer;
}

/** Bind the houses of the phone behind a getPhoneNumber code; returns {houses}. */
function bindByPhone(phoneCode) {
  return bind({ phone_code: phoneCode });
}

/** Bind one house by its code, the registered name and the last four digits of the phone. */
function bindByHouse({ houseCode, communityCode, name, phoneLast4 }) {
  const body = { house_code: houseCode, name, phone_last4: phoneLast4 };
  if (communityCode) body.community_code = communityCode;
  return bind(body);
}

/**
 * Return one page of bills {items, totals, as_of, next_cursor}; state open or all.
 * @param {{houseId?: string, state?: string, cursor?: string}} [wish]
 */
async function listBills({ houseId, state = 'open', cursor } = {}) {
  const page = await api.get('/bills', { house_id: houseId, state, cursor });
  page.items.forEach((bill) => seenBills.set(bill.id, { ...bill, as_of: page.as_of }));
  return page;
}

/**
 * Return every bill of the account in that state, page by page; totals are the first page's.
 * @param {{houseId?: string, state?: string}} [wish]
 */
async function listAllBills({ houseId, state = 'open' } = {}) {
  const first = await listBills({ houseId, state });
  const items = [...first.items];
  let cursor = first.next_cursor;
  while (cursor) {
    const page = await listBills({ houseId, state, cursor });
    items.push(...page.items);
    cursor = page.next_cursor;
  }
  return { ...first, items, next_cursor: null };
}

/** Return the bill as last seen with `as_of`, else look it up; null when it is not this account's. */
async function findBill(id) {
  if (!seenBills.has(id)) await listAllBills({ state: 'all' });
  return seenBills.get(id) || null;
}

/** Forget bills seen before: a payment or redemption changed them. */
function forgetBills() {
  seenBills = new Map();
}

/** Open an order for bills; returns {payment, params}. */
function startPayment({ billIds, channel, method }) {
  return api.act('/payments', { bill_ids: [...billIds].sort(), channel, method });
}

/** Return the state of an order as the server knows it. */
function getPayment(outTradeNo) {
  return api.get(`/payments/${encodeURIComponent(outTradeNo)}`);
}

/** Return one page of {balance, shortage, items, rule_text, next_cursor}. */
function listPoints(cursor) {
  return api.get('/points', { cursor });
}

/** Use points against a bill; returns {points_used, fen, bill}. */
async function redeemPoints({ billId, points }) {
  const answer = await api.act('/points/redemptions', { bill_id: billId, points });
  forgetBills();
  return answer;
}

/** Promise to pay amountFen on day ("2026-03-01") by a channel; returns the promise. */
function makePromise({ houseId, amountFen, day, payBy }) {
  return api.act('/promises', { house_id: houseId, amount_fen: amountFen, day, pay_by: payBy });
}

/** Question a bill or a part of it (amountFen null = all of it); returns {answer_by}. */
function openDispute({ billId, amountFen, reasonCode, text }) {
  const body = { bill_id: billId, amount_fen: amountFen, reason_code: reasonCode, text };
  return api.act('/disputes', body);
}

/** Ask not to be contacted any more, as the person I am at this house. */
function stopContact(houseId) {
  return api.act('/stop-contact', { house_id: houseId });
}

/**
 * Report consents of one tap. Every tap counts, so each has a key of its own; one repeat after a
 * lost answer. Never rejects: a lost consent must not stand in the way of paying.
 */
async function recordSubscriptions(results) {
  if (!Object.keys(results).length) return null;
  const key = intents.newKey();
  const body = { appid: session.appid(), results };
  const report = () => api.post('/subscriptions', body, key);
  return report()
    .catch((error) => (error.settled ? null : report()))
    .catch(() => null);
}

/**
 * Return one page of messages and contacts made to me at a house.
 * @param {{houseId: string, cursor?: string}} wish
 */
function listContacts({ houseId, cursor }) {
  return api.get('/contacts', { house_id: houseId, cursor });
}

module.exports = {
  bindByHouse,
  bindByPhone,
  findBill,
  forgetBills,
  getMe,
  getPayment,
  listAllBills,
  listBills,
  listContacts,
  listPoints,
  makePromise,
  openDispute,
  recordSubscriptions,
  redeemPoints,
  startPayment,
  stopContact,
};
