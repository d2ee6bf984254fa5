const jsQR = require('jsqr').default || require('jsqr');
const bills = require('../../utils/bills');
const dates = require('../../utils/dates');
const money = require('../../utils/money');
const { wordsOf } = require('../../utils/page');
const { poll } = require('../../utils/poll');
const qr = require('../../utils/qr');
const { bill } = require('../support/server');

describe('money', () => {
  test.each([
    [0, '0.00'], [5, '0.05'], [99, '0.99'], [100, '1.00'], [14293, '142.93'],
    [-1, '-0.01'], [-12345, '-123.45'], [900719925474099, '9007199254740.99'],
  ])('%p fen read %p', (fen, text) => expect(money.yuan(fen)).toBe(text));

  test.each([
    ['142.93', 14293], ['142.9', 14290], ['142', 14200], [' 0.01 ', 1], ['1,200', 120000],
    ['1,200.5', 120050], ['12。5', 1250], ['0', null], ['0.00', null], ['-1', null],
    ['1.234', null], ['1e3', null], ['', null], ['一百', null], ['.5', null],
    ['9999999999', null],
  ])('%p typed is %p fen', (text, fen) => expect(money.parseYuan(text)).toBe(fen));

  test('typing back what was shown gives the same fen', () => {
    for (let fen = 1; fen < 100000; fen += 37) expect(money.parseYuan(money.yuan(fen))).toBe(fen);
  });

  test('sums are whole', () => expect(money.sum([10, 20, 30])).toBe(60));
});

describe('dates', () => {
  test('a day', () => expect(dates.dayText('2026-03-01')).toBe('2026年3月1日'));

  test.each([
    ['2026-02-22T01:02:03Z', '2026年2月22日 09:02'],
    ['2026-12-31T16:00:00Z', '2027年1月1日 00:00'],
    ['2026-02-28T15:59:59.999Z', '2026年2月28日 23:59'],
  ])('%p is %p in China', (instant, text) => expect(dates.instantText(instant)).toBe(text));

  test('today is the day in China, whatever the phone thinks', () => {
    expect(dates.today(Date.parse('2026-02-28T16:00:00Z'))).toBe('2026-03-01');
    expect(dates.today(Date.parse('2026-02-28T15:59:59Z'))).toBe('2026-02-28');
  });

  test.each([
    ['2026-02-28', 1, '2026-03-01'], ['2028-02-28', 1, '2028-02-29'],
    ['2026-12-31', 60, '2027-03-01'], ['2026-03-01', -1, '2026-02-28'],
  ])('%p plus %p days', (day, n, result) => expect(dates.addDays(day, n)).toBe(result));
});

describe('bills', () => {
  test.each([
    ['2026-01-15', {}, '今天（2026年1月15日）到期'],
    ['2026-01-12', {}, '请于2026年1月15日前缴纳'],
    ['2026-01-27', { overdue_days: 12 }, '缴费日2026年1月15日，已过12天'],
    ['2026-01-27', { payable_fen: 0, state: 'paid' }, '已缴清，谢谢您'],
    [
      '2026-01-27',
      { open_fen: 0, payable_fen: 193, state: 'paid', state_text: '本金已缴，违约金待缴' },
      '本金已缴，违约金待缴',
    ],
    ['2026-01-27', { payable_fen: 0, state: 'reversed' }, '已作废，无需缴纳'],
  ])('on %s %p is said as %p', (asOf, changes, words) => {
    expect(bills.dueWords(bill('1', changes), asOf)).toBe(words);
  });

  test('a reader hears house, period, amount and day', () => {
    expect(bills.view(bill('1'), '2026-01-12').spoken).toBe(
      '阳光花园 3栋1单元1201，2026年1月物业服务费，应缴142.93元，请于2026年1月15日前缴纳',
    );
  });

  test('only what was deducted is listed', () => {
    expect(bills.deductions(bill('1', { paid_fen: 4000, credited_fen: 5 }))).toEqual([
      { label: '已缴', text: '40.00' },
      { label: '抵扣', text: '0.05' },
    ]);
  });

  test('the total of the chosen is exact, ids that are gone count nothing', () => {
    const list = [bill('1', { payable_fen: 10 }), bill('2', { payable_fen: 20 }), bill('3')];
    expect(bills.chosenTotal(list, ['1', '2', 'x'])).toEqual({ count: 2, fen: 30, text: '0.30' });
    expect(bills.chosenTotal(list, [])).toEqual({ count: 0, fen: 0, text: '0.00' });
  });

  test('toggling', () => {
    expect(bills.toggled(['1', '2'], '1')).toEqual(['2']);
    expect(bills.toggled(['2'], '1')).toEqual(['2', '1']);
  });
});

describe('words of an error', () => {
  test('field hints, what to do and the legal basis follow the reason', () => {
    const error = {
      messageZh: '承诺无法登记。',
      whatToDo: '请改期。',
      legalBasis: '民法典195条',
      fields: { day: '日期须在今天至 60 天之内' },
    };
    expect(wordsOf(error)).toEqual({
      title: '承诺无法登记。',
      advice: '日期须在今天至 60 天之内 请改期。 依据：民法典195条',
    });
  });

  test('a programming error is not shown to the owner', () => {
    expect(wordsOf(new TypeError('x is undefined'))).toEqual({
      title: '操作没有成功，请稍后重试。',
      advice: '',
    });
  });
});

describe('poll', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  function started(answers, pauses = [10, 10, 10]) {
    const seen = [];
    const tired = jest.fn();
    const ask = jest.fn(async () => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    });
    const wish = { ask, isFinal: (a) => a === 'end', onAnswer: (a) => seen.push(a), pauses };
    return { seen, tired, ask, stop: poll({ ...wish, onTired: tired }) };
  }

  test('ends with the final answer', async () => {
    const run = started(['wait', 'end', 'never']);
    await jest.advanceTimersByTimeAsync(100);
    expect(run.seen).toEqual(['wait', 'end']);
    expect(run.tired).not.toHaveBeenCalled();
  });

  test('a failed question is asked again', async () => {
    const run = started([new Error('network'), 'end']);
    await jest.advanceTimersByTimeAsync(100);
    expect(run.seen).toEqual(['end']);
  });

  test('patience ends', async () => {
    const run = started(['a', 'b', 'c', 'd', 'e']);
    await jest.advanceTimersByTimeAsync(1000);
    expect(run.seen).toEqual(['a', 'b', 'c', 'd']);
    expect(run.tired).toHaveBeenCalledTimes(1);
  });

  test('stopping wins over an answer on its way', async () => {
    const run = started(['end']);
    run.stop();
    await jest.advanceTimersByTimeAsync(100);
    expect(run.seen).toEqual([]);
    expect(run.ask).toHaveBeenCalledTimes(1);
  });
});

describe('qr', () => {
  function read(modules) {
    const scale = 4;
    const side = (modules.length + 8) * scale;
    const rgba = new Uint8ClampedArray(side * side * 4).fill(255);
    const dark = (x, y, width, height) => {
      for (let r = y; r < y + height; r += 1) {
        for (let c = x; c < x + width; c += 1) rgba.set([0, 0, 0, 255], (r * side + c) * 4);
      }
    };
    const context = {
      fillStyle: '',
      fillRect(...box) {
        if (this.fillStyle === '#000000') dark(...box);
      },
    };
    qr.draw(context, modules, side);
    return jsQR(rgba, side, side).data;
  }

  const lengths = [1, 14, 15, 26, 27, 42, 43, 62, 63, 84, 85, 106, 107, 122, 123, 152, 153, 180,
    181, 213];

  test.each(lengths)('a text of %p bytes is read back', (length) => {
    const text = 'https://qr.alipay.com/bax0'.padEnd(213, 'k3Zq9_-').slice(0, length);
    expect(read(qr.encode(text))).toBe(text);
  });

  test('versions grow only when they must', () => {
    expect(qr.encode('x'.repeat(14))).toHaveLength(21);
    expect(qr.encode('x'.repeat(15))).toHaveLength(25);
    expect(qr.encode('x'.repeat(213))).toHaveLength(57);
  });

  test('other alphabets are UTF-8', () => expect(read(qr.encode('缴清 €'))).toBe('缴清 €'));

  test('a text too long is refused', () => {
    expect(() => qr.encode('x'.repeat(214))).toThrow(RangeError);
  });
});
