// What may be recorded about a call or a visit, and what follows from it.
import { zh } from '@/messages/zh'

export type ContactKind = 'call' | 'visit'

export interface Choice {
  value: string
  text: string
}

const CALL = [
  'promised', 'will_consider', 'no_answer', 'unreachable', 'wrong_number', 'away', 'refused',
  'dispute', 'hardship', 'paid_already',
]
const VISIT = [
  'promised', 'will_consider', 'met', 'not_met', 'away', 'refused', 'dispute', 'hardship',
  'paid_already',
]

/** Results that say nothing about why: the mandatory reason starts as "unknown". */
const NOBODY_MET = new Set(['no_answer', 'unreachable', 'wrong_number', 'not_met'])
const SAME_REASON: Record<string, string> = { away: 'away', hardship: 'hardship' }

export function resultChoices(kind: ContactKind): Choice[] {
  return (kind === 'call' ? CALL : VISIT).map((value) => ({ value, text: zh.results[value]! }))
}

export const reasonChoices: Choice[] = Object.entries(zh.reasons).map(([value, text]) => ({ value, text }))

export const payByChoices: Choice[] = Object.entries(zh.payBy).map(([value, text]) => ({ value, text }))

/** The reason a result suggests; "" when the steward has to say. */
export function suggestedReason(result: string): string {
  return NOBODY_MET.has(result) ? 'unknown' : (SAME_REASON[result] ?? '')
}
