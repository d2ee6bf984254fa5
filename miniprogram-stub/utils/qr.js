/**
 * QR code of a text: byte mode, error correction level M, versions 1–10 (ISO/IEC 18004).
 *
 * Enough for a payment link (213 bytes); `encode` returns the modules, drawing is the page's.
 */
const ECC_PER_BLOCK = [0, 10, 16, 26, 18, 24, 16, 18, 22, 22, 26];
const BLOCKS = [0, 1, 1, 1, 2, 2, 4, 4, 4, 5, 5];
const CODEWORDS = [0, 26, 44, 70, 100, 134, 172, 196, 242, 292, 346];
const ALIGN = [
  [], [], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46],
  [6, 28, 50],
];
const MASKS = [
  (r, c) => (r + c) % 2 === 0,
  (r) => r % 2 === 0,
  (r, c) => c % 3 === 0,
  (r, c) => (r + c) % 3 === 0,
  (r, c) => (Math.floor(r / 2) + Math.floor(c / 3)) % 2 === 0,
  (r, c) => ((r * c) % 2) + ((r * c) % 3) === 0,
  (r, c) => (((r * c) % 2) + ((r * c) % 3)) % 2 === 0,
  (r, c) => (((r + c) % 2) + ((r * c) % 3)) % 2 === 0,
];

function utf8(text) {
  const escaped = encodeURIComponent(text);
  const bytes = [];
  for (let i = 0; i < escaped.length; i += 1) {
    if (escaped[i] === '%') {
      bytes.push(parseInt(escaped.slice(i + 1, i + 3), 16));
      i += 2;
    } else {
      bytes.push(escaped.charCodeAt(i));
    }
  }
  return bytes;
}

// --- Reed–Solomon over GF(256), polynomial x^8+x^4+x^3+x^2+1 ---

function multiply(a, b) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ ((product >>> 7) * 0x11d);
    product ^= ((b >>> bit) & 1) * a;
  }
  return product;
}

function divisor(degree) {
  const result = new Array(degree).fill(0);
  result[degree - 1] = 1;
  let root = 1;
  for (let i = 0; i < degree; i += 1) {
    for (let j = 0; j < degree; j += 1) {
      result[j] = multiply(result[j], root);
      if (j + 1 < degree) result[j] ^= result[j + 1];
    }
    root = multiply(root, 2);
  }
  return result;
}

function remainder(data, by) {
  const result = new Array(by.length).fill(0);
  data.forEach((byte) => {
    const factor = byte ^ result.shift();
    result.push(0);
    by.forEach((coefficient, i) => {
      result[i] ^= multiply(coefficient, factor);
    });
  });
  return result;
}

// --- data codewords ---

function capacity(version) {
  return CODEWORDS[version] - ECC_PER_BLOCK[version] * BLOCKS[version];
}

function versionFor(length) {
  for (let version = 1; version <= 10; version += 1) {
    const header = version < 10 ? 12 : 20;
    if (header + length * 8 <= capacity(version) * 8) return version;
  }
  throw new RangeError('text too long for a QR code of version 10');
}

function dataCodewords(bytes, version) {
  const bits = [];
  const push = (value, count) => {
    for (let i = count - 1; i >= 0; i -= 1) bits.push((value >>> i) & 1);
  };
  push(4, 4);
  push(bytes.length, version < 10 ? 8 : 16);
  bytes.forEach((byte) => push(byte, 8));
  const room = capacity(version) * 8;
  push(0, Math.min(4, room - bits.length));
  push(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < room; pad ^= 0xec ^ 0x11) push(pad, 8);
  const words = [];
  for (let i = 0; i < bits.length; i += 8) words.push(parseInt(bits.slice(i, i + 8).join(''), 2));
  return words;
}

function interleaved(words, version) {
  const count = BLOCKS[version];
  const ecc = ECC_PER_BLOCK[version];
  const short = Math.floor(CODEWORDS[version] / count) - ecc;
  const longOnes = CODEWORDS[version] % count;
  const by = divisor(ecc);
  const data = [];
  for (let i = 0, at = 0; i < count; i += 1) {
    const size = short + (i >= count - longOnes ? 1 : 0);
    data.push(words.slice(at, at + size));
    at += size;
  }
  const checks = data.map((block) => remainder(block, by));
  const result = [];
  for (let i = 0; i <= short; i += 1) data.forEach((b) => i < b.length && result.push(b[i]));
  for (let i = 0; i < ecc; i += 1) checks.forEach((block) => result.push(block[i]));
  return result;
}

// --- the square: `dark` holds modules, `fixed` marks function patterns ---

function blank(version) {
  const size = version * 4 + 17;
  const rows = () => Array.from({ length: size }, () => new Array(size).fill(false));
  return { size, dark: rows(), fixed: rows() };
}

function put(square, row, column, dark) {
  if (row < 0 || column < 0 || row >= square.size || column >= square.size) return;
  square.dark[row][column] = dark;
  square.fixed[row][column] = true;
}

function drawFinder(square, row, column) {
  for (let dr = -4; dr <= 4; dr += 1) {
    for (let dc = -4; dc <= 4; dc += 1) {
      const ring = Math.max(Math.abs(dr), Math.abs(dc));
      put(square, row + dr, column + dc, ring !== 2 && ring !== 4);
    }
  }
}

function drawAlignment(square, row, column) {
  for (let dr = -2; dr <= 2; dr += 1) {
    for (let dc = -2; dc <= 2; dc += 1) {
      put(square, row + dr, column + dc, Math.max(Math.abs(dr), Math.abs(dc)) !== 1);
    }
  }
}

function drawVersion(square, version) {
  if (version < 7) return;
  let rest = version;
  for (let i = 0; i < 12; i += 1) rest = (rest << 1) ^ ((rest >>> 11) * 0x1f25);
  const bits = (version << 12) | rest;
  for (let i = 0; i < 18; i += 1) {
    const dark = ((bits >>> i) & 1) === 1;
    const far = square.size - 11 + (i % 3);
    put(square, far, Math.floor(i / 3), dark);
    put(square, Math.floor(i / 3), far, dark);
  }
}

function drawFormat(square, mask) {
  const data = mask; // level M is 00
  let rest = data;
  for (let i = 0; i < 10; i += 1) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
  const bits = ((data << 10) | rest) ^ 0x5412;
  const bit = (i) => ((bits >>> i) & 1) === 1;
  const { size } = square;
  for (let i = 0; i <= 5; i += 1) put(square, i, 8, bit(i));
  put(square, 7, 8, bit(6));
  put(square, 8, 8, bit(7));
  put(square, 8, 7, bit(8));
  for (let i = 9; i < 15; i += 1) put(square, 8, 14 - i, bit(i));
  for (let i = 0; i < 8; i += 1) put(square, 8, size - 1 - i, bit(i));
  for (let i = 8; i < 15; i += 1) put(square, size - 15 + i, 8, bit(i));
  put(square, size - 8, 8, true);
}

function drawPatterns(version) {
  const square = blank(version);
  const last = square.size - 7;
  for (let i = 0; i < square.size; i += 1) {
    put(square, 6, i, i % 2 === 0);
    put(square, i, 6, i % 2 === 0);
  }
  drawFinder(square, 3, 3);
  drawFinder(square, 3, square.size - 4);
  drawFinder(square, square.size - 4, 3);
  const places = ALIGN[version];
  places.forEach((row) =>
    places.forEach((column) => {
      const corner = (row === 6 && (column === 6 || column === last)) || (row === last && column === 6);
      if (!corner) drawAlignment(square, row, column);
    }),
  );
  drawFormat(square, 0);
  drawVersion(square, version);
  return square;
}

/** Call visit(row, column) for every free module, in the zigzag order of the standard. */
function zigzag(square, visit) {
  const { size, fixed } = square;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    const upward = ((right + 1) & 2) === 0;
    for (let step = 0; step < size; step += 1) {
      const row = upward ? size - 1 - step : step;
      [right, right - 1].forEach((column) => !fixed[row][column] && visit(row, column));
    }
  }
}

function fill(square, words) {
  let at = 0;
  zigzag(square, (row, column) => {
    if (at < words.length * 8) {
      square.dark[row][column] = ((words[at >>> 3] >>> (7 - (at & 7))) & 1) === 1;
    }
    at += 1;
  });
}

function masked(square, mask) {
  const copy = { ...square, dark: square.dark.map((row) => [...row]) };
  zigzag(copy, (row, column) => {
    if (MASKS[mask](row, column)) copy.dark[row][column] = !copy.dark[row][column];
  });
  drawFormat(copy, mask);
  return copy.dark;
}

// --- choosing the mask ---

function linePenalty(line) {
  let penalty = 0;
  let run = 0;
  line.forEach((dark, i) => {
    run = i > 0 && dark === line[i - 1] ? run + 1 : 1;
    if (run === 5) penalty += 3;
    else if (run > 5) penalty += 1;
  });
  const text = line.map(Number).join('');
  ['10111010000', '00001011101'].forEach((pattern) => {
    for (let at = text.indexOf(pattern); at >= 0; at = text.indexOf(pattern, at + 1)) penalty += 40;
  });
  return penalty;
}

function penaltyOf(rows) {
  const size = rows.length;
  let penalty = 0;
  let darkOnes = 0;
  rows.forEach((row, r) => {
    penalty += linePenalty(row) + linePenalty(rows.map((other) => other[r]));
    darkOnes += row.filter(Boolean).length;
    if (r === 0) return;
    for (let c = 1; c < size; c += 1) {
      const same = row[c] === row[c - 1] && row[c] === rows[r - 1][c] && row[c] === rows[r - 1][c - 1];
      if (same) penalty += 3;
    }
  });
  const share = (darkOnes * 20) / (size * size);
  return penalty + Math.max(0, Math.ceil(Math.abs(share - 10)) - 1) * 10;
}

/**
 * Return the modules of a text as rows of booleans (true = dark), without the quiet zone.
 * Throws RangeError above 213 bytes.
 * @param {string} text
 * @returns {boolean[][]}
 */
function encode(text) {
  const bytes = utf8(text);
  const version = versionFor(bytes.length);
  const square = drawPatterns(version);
  fill(square, interleaved(dataCodewords(bytes, version), version));
  const candidates = MASKS.map((_, mask) => masked(square, mask));
  const penalties = candidates.map(penaltyOf);
  return candidates[penalties.indexOf(Math.min(...penalties))];
}

/** Draw modules into a canvas of `side` pixels, white border of four modules included. */
function draw(context, modules, side) {
  const cell = Math.floor(side / (modules.length + 8));
  const border = Math.floor((side - cell * modules.length) / 2);
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, side, side);
  context.fillStyle = '#000000';
  modules.forEach((row, r) =>
    row.forEach((dark, c) => dark && context.fillRect(border + c * cell, border + r * cell, cell, cell)),
  );
}

module.exports = { draw, encode };
