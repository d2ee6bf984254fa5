// What the menu offers to whom. The server decides; this only spares people a refusal.
import type { Role } from '@/api/types'

const OFFICE: Role[] = ['finance', 'manager', 'admin']

const OFFERED = {
  overview: ['lead', ...OFFICE],
  billRuns: OFFICE,
  payments: ['lead', ...OFFICE],
  exceptions: OFFICE,
  waive: OFFICE,
  refund: OFFICE,
  liftHold: ['lead', 'manager', 'admin'],
} satisfies Record<string, Role[]>

export type Offer = keyof typeof OFFERED

export function offers(role: Role | undefined, offer: Offer): boolean {
  return role !== undefined && (OFFERED[offer] as Role[]).includes(role)
}

/** Below this width the page is a phone in a stairwell. */
export const DESK_WIDTH = 900

/** Where somebody lands: by the width of the screen first, then by what the role works with. */
export function homeOf(role: Role, width: number): string {
  if (width < DESK_WIDTH || role === 'steward') return '/m/worklist'
  return '/desk/overview'
}
