import { describe, expect, it } from 'vitest'
import { fenInput, fenText, parseYuan } from '@/lib/money'

describe('fenText', () => {
  it.each([
    [0, '0.00'],
    [5, '0.05'],
    [14293, '142.93'],
    [100000, '1,000.00'],
    [123456789, '1,234,567.89'],
    [-350, '-3.50'],
    [Number.MAX_SAFE_INTEGER, '90,071,992,547,409.91'],
  ])('%i fen reads %s', (fen, text) => expect(fenText(fen)).toBe(text))

  it.each([1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %s', (fen) =>
    expect(() => fenText(fen)).toThrow(RangeError),
  )

  it('gives an editable amount without grouping', () => expect(fenInput(123456)).toBe('1234.56'))
})

describe('parseYuan', () => {
  it.each([
    ['142.93', 14293],
    ['0.29', 29],
    ['1.1', 110],
    ['1234', 123400],
    ['1,234.50', 123450],
    [' 8.20 ', 820],
    ['0', 0],
  ])('reads %s as %i fen', (text, fen) => expect(parseYuan(text)).toBe(fen))

  it.each(['', 'abc', '1.234', '-1', '1.', '.5', '1e3', '12,34.5', '１２'])('refuses "%s"', (text) =>
    expect(parseYuan(text)).toBeNull(),
  )

  it('keeps every fen over a whole range', () => {
    for (let fen = 0; fen < 30_000; fen += 7) expect(parseYuan(fenText(fen))).toBe(fen)
  })
})
