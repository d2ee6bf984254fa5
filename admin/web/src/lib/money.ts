// Amounts are whole fen from end to end; yuan exists only as text that people read or type.

/** 123450 → "1,234.50". Sign in front; throws on anything that is not a whole number of fen. */
export function fenText(fen: number): string {
  if (!Number.isSafeInteger(fen)) throw new RangeError(`not a whole number of fen: ${fen}`)
  const digits = String(Math.abs(fen)).padStart(3, '0')
  const yuan = digits.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, ',')
  return `${fen < 0 ? '-' : ''}${yuan}.${digits.slice(-2)}`
}

/** 123450 → "1234.50": what an amount field starts with (no grouping, so it can be edited). */
export function fenInput(fen: number): string {
  return fenText(fen).replaceAll(',', '')
}

/**
 * "1,234.5" → 123450; null when the text is no amount ("", "1.234", "abc", "-1").
 * Works on the digits alone: a float would lose a fen sooner or later.
 */
export function parseYuan(text: string): number | null {
  const match = /^(\d{1,3}(?:,\d{3})+|\d{1,12})(?:\.(\d{1,2}))?$/.exec(text.trim())
  if (!match) return null
  const yuan = match[1]!.replaceAll(',', '')
  return Number(yuan + (match[2] ?? '').padEnd(2, '0'))
}
