// How a payment looks on the desk, and whether a refund may be offered.
import type { PaymentEntry } from '@/api/types'
import { zh } from '@/messages/zh'

const SETTLED = new Set(['succeeded', 'succeeded_late'])
const SETTLED_TEXTS = new Set(['succeeded', 'succeeded_late'].map((state) => zh.payments.states[state]))

export function isSettled(payment: PaymentEntry): boolean {
  return payment.state ? SETTLED.has(payment.state) : SETTLED_TEXTS.has(payment.state_text)
}

export const canRefund = isSettled

export function stateTone(payment: PaymentEntry): 'success' | 'warning' | 'info' {
  if (isSettled(payment)) return 'success'
  return payment.state === 'unknown' || payment.state === 'closing' ? 'warning' : 'info'
}
