// Small readings of a household that several pages need.
import type { Bill, Household, Permission } from '@/api/types'
import { instantText } from '@/lib/dates'
import { zh } from '@/messages/zh'

export function isPaid(household: Household): boolean {
  return household.totals.payable_fen === 0
}

/** The longest delay among bills that still have something open, in days. */
export function overdueMax(bills: Bill[]): number {
  return bills.reduce((most, bill) => (bill.open_fen > 0 ? Math.max(most, bill.overdue_days) : most), 0)
}

/** Why contact is refused now, with the time when it would be allowed; "" when it is allowed. */
export function refusalText(permission: Permission, today?: string): string {
  if (permission.allowed) return ''
  const reason = permission.reason_zh || zh.call.blocked
  if (!permission.next_at) return reason
  return `${reason}，${zh.worklist.nextAt(instantText(permission.next_at, today))}`
}

/** Bills that still want money first, oldest first within each group. */
export function billsInOrder(bills: Bill[]): Bill[] {
  return [...bills].sort(
    (a, b) =>
      Number(b.payable_fen > 0) - Number(a.payable_fen > 0) || a.due_date.localeCompare(b.due_date),
  )
}

/** How urgent an overdue looks, in the bounds of the stage ladder (S24–S27). */
export function urgency(days: number): 'calm' | 'warn' | 'danger' {
  if (days > 60) return 'danger'
  return days > 15 ? 'warn' : 'calm'
}
