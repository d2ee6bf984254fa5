// How a payment looks on the desk, and whether a refund may be offered.
import type { PaymentEntry } from '@/api/types'
import { parseYuan } from '@/lib/money'
import { zh } from '@/messages/zh'

const SETTLED = new Set(['succeeded', 'succeeded_late'])
const SETTLED_TEXTS = new Set(['succeeded', 'succeeded_late'].map((state) => zh.payments.states[state]))

export function isSettled(payment: PaymentEntry): boolean {
  return payment.state ? SETTLED.has(payment.state) : SETTLED_TEXTS.has(payment.state_text)
}

/** What may still go back, in fen: what was paid less what was refunded or is on its way back. */
export function refundable(payment: PaymentEntry): number {
  if (!isSettled(payment)) return 0
  const paid = payment.amount_fen ?? parseYuan(payment.amount_text) ?? 0
  return Math.max(0, paid - (payment.refunded_fen ?? 0))
}

export function stateTone(payment: PaymentEntry): 'success' | 'warning' | 'info' {
  if (isSettled(payment)) return 'success'
  return payment.state === 'unknown' || payment.state === 'closing' ? 'warning' : 'info'
}
