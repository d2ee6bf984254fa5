/**
 * One idempotency key per intent: tapping again after a lost answer repeats the same request.
 *
 * A key is kept until the server has decided (done or refused). The store holds a hash of the
 * request, never the request: it may carry a name.
 */
const STORE = 'intents';
const KEPT_MS = 20 * 60000; // shorter than the 30 minutes a payment order stays open

const running = new Map();

/** Return a 53-bit hash of text as hex (cyrb53). */
function hash(text) {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 2654435761);
    b = Math.imul(b ^ unit, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(16);
}

/** Return a new key of [a-z0-9-], about 30 characters. */
function newKey() {
  const part = () => Math.random().toString(36).slice(2, 12).padEnd(10, '0');
  return `${Date.now().toString(36)}-${part()}${part()}`;
}

function load() {
  const kept = wx.getStorageSync(STORE) || {};
  const alive = Object.keys(kept).filter((id) => Date.now() - kept[id].at < KEPT_MS);
  return Object.fromEntries(alive.map((id) => [id, kept[id]]));
}

function keyOf(id) {
  const kept = load();
  if (!kept[id]) kept[id] = { key: newKey(), at: Date.now() };
  wx.setStorageSync(STORE, kept);
  return kept[id].key;
}

function settle(id) {
  const kept = load();
  delete kept[id];
  wx.setStorageSync(STORE, kept);
}

async function run(id, work) {
  try {
    const answer = await work(keyOf(id));
    settle(id);
    return answer;
  } catch (error) {
    if (error.settled !== false) settle(id);
    throw error;
  }
}

/**
 * Call work(key) for this operation and body; a second call while it runs gets its answer.
 * @param {string} operation
 * @param {Object} body
 * @param {(key: string) => Promise<any>} work
 */
function once(operation, body, work) {
  const id = hash(`${operation} ${JSON.stringify(body)}`);
  if (!running.has(id)) {
    running.set(id, run(id, work).finally(() => running.delete(id)));
  }
  return running.get(id);
}

module.exports = { hash, newKey, once };
