import { describe, expect, it } from 'vitest'
import { addDays, businessDay, dayText, daysBetween, instantText, monthAfter, periodText } from '@/lib/dates'

describe('business days are Shanghai days', () => {
  it.each([
    ['2026-11-21T15:59:59Z', '2026-11-21'],
    ['2026-11-21T16:00:00Z', '2026-11-22'],
    ['2026-12-31T16:30:00Z', '2027-01-01'],
    ['2026-11-21', '2026-11-21'],
  ])('%s is %s', (value, day) => expect(businessDay(value)).toBe(day))

  it('writes an instant in Shanghai time', () => {
    expect(instantText('2026-11-21T06:05:00Z')).toBe('11月21日 14:05')
    expect(instantText('2026-11-21T16:00:00Z')).toBe('11月22日 00:00')
    expect(instantText('2025-12-31T16:00:00Z', '2027-01-05')).toBe('2026年1月1日 00:00')
  })

  it('names the year only when it is another one', () => {
    expect(dayText('2026-03-09', '2026-11-22')).toBe('3月9日')
    expect(dayText('2025-03-09', '2026-11-22')).toBe('2025年3月9日')
  })

  it('leaves what it cannot read as it is', () => {
    expect(instantText('soon')).toBe('soon')
    expect(dayText('')).toBe('')
  })
})

describe('counting days', () => {
  it('crosses months and leap days', () => {
    expect(addDays('2028-02-28', 1)).toBe('2028-02-29')
    expect(addDays('2026-01-01', -1)).toBe('2025-12-31')
    expect(daysBetween('2026-11-20', '2026-11-22')).toBe(2)
    expect(daysBetween('2026-11-22', '2026-11-20')).toBe(-2)
  })

  it('ends a period on the first day that no longer belongs to it', () => {
    expect(monthAfter('2026-02')).toBe('2026-03-01')
    expect(monthAfter('2028-02')).toBe('2028-03-01')
    expect(monthAfter('2026-12')).toBe('2027-01-01')
  })

  it('shows a period with its last day', () => {
    expect(periodText('2028-02-01', '2028-03-01')).toBe('2028-02-01 – 2028-02-29')
    expect(periodText('2026-10-01', '2027-01-01')).toBe('2026-10-01 – 2026-12-31')
  })
})
