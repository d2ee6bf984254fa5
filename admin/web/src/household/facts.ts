// Small readings of a household that several pages need.
import type { Bill, Household, Party, Permission } from '@/api/types'
import { instantText } from '@/lib/dates'
import { zh } from '@/messages/zh'

export function isPaid(household: Household): boolean {
  return household.totals.payable_fen === 0
}

/** Owes here: liable today, or still owing a bill of an earlier time (C12). Nobody else is called. */
export function owes(household: Household, party: Party): boolean {
  if (party.liable || party.party_id === household.primary_party_id) return true
  return household.bills.some((bill) => bill.party_id === party.party_id && bill.open_fen > 0)
}

/** Whom a steward may speak to about this household (C21); first whom the totals are about. */
export function contactable(household: Household): Party[] {
  const isPrimary = (party: Party) => Number(party.party_id === household.primary_party_id)
  return household.parties
    .filter((party) => owes(household, party))
    .sort((a, b) => isPrimary(b) - isPrimary(a))
}

/** The other party a bill belongs to; "" when it is of the one the totals are about. */
export function otherDebtor(household: Household, bill: Bill): string {
  if (!bill.party_id || !household.primary_party_id) return ''
  if (bill.party_id === household.primary_party_id) return ''
  return household.parties.find((party) => party.party_id === bill.party_id)?.name ?? zh.house.otherParty
}

/** "Do not contact me" (C17): not even a call back is offered. */
export const STOP_CONTACT = 'E-C17'

/** The longest delay among bills that still have something open, in days. */
export function overdueMax(bills: Bill[]): number {
  return bills.reduce((most, bill) => (bill.open_fen > 0 ? Math.max(most, bill.overdue_days) : most), 0)
}

/** Why contact is refused now, with the time when it would be allowed; "" when it is allowed. */
export function refusalText(permission: Permission, today?: string): string {
  if (permission.allowed) return ''
  const reason = (permission.reason_zh || zh.call.blocked).replace(/。$/, '')
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
