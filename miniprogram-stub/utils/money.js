/** Amounts are whole fen; text is yuan with two decimals. No floating point anywhere. */

/** Return 14293 as "142.93". */
function yuan(fen) {
  const digits = String(Math.abs(fen)).padStart(3, '0');
  return `${fen < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** Return what was typed ("142.9", " 1,200 ") in fen, or null when it is no amount above 0. */
function parseYuan(text) {
  const plain = String(text).trim().replace(/[,,]/g, '');
  const match = /^(\d{1,9})(?:[.。](\d{1,2}))?$/.exec(plain);
  if (!match) return null;
  const fen = Number(match[1]) * 100 + Number((match[2] || '').padEnd(2, '0'));
  return fen > 0 ? fen : null;
}

/** Return the sum of whole fen. */
function sum(amounts) {
  return amounts.reduce((total, fen) => total + fen, 0);
}

module.exports = { parseYuan, sum, yuan };
