// A scripted network: what each request is answered with, and what was asked.
import { vi } from 'vitest'
import type { Household, WorkItem } from '@/api/types'

export interface Asked {
  url: string
  method: string
  headers: Record<string, string>
  body: string | undefined
}

export type Answer = { status: number; body: unknown } | 'lost'

/** Replaces fetch; `answer` sees every request in order. 'lost' is a connection that broke. */
export function scriptNetwork(answer: (asked: Asked, nth: number) => Answer): Asked[] {
  const asked: Asked[] = []
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const one: Asked = {
      url,
      method: init.method ?? 'GET',
      headers: init.headers as Record<string, string>,
      body: init.body as string | undefined,
    }
    asked.push(one)
    const given = answer(one, asked.length)
    if (given === 'lost') throw new TypeError('network down')
    return new Response(JSON.stringify(given.body), { status: given.status })
  })
  return asked
}

export const ok = (body: unknown, status = 200): Answer => ({ status, body })

export function workItem(changes: Partial<WorkItem> = {}): WorkItem {
  return {
    task_id: '11', kind: 'call', kind_text: '电话', stage: 'S25', stage_text: '友好沟通',
    due_day: '2026-11-20', house_id: '7', house_code: '3-1-1201', community_name: '阳光花园',
    party_id: '70', party_name: '王*明', open_fen: 142930, open_text: '1429.30', overdue_days: 38,
    bill_count: 3, last_contact: null, contact_allowed: { allowed: true }, ...changes,
  }
}

export function household(payableFen = 14293): Household {
  return {
    house: {
      id: '7', code: '3-1-1201', community_name: '阳光花园', building: '3栋', area_text: '89.33㎡',
      use_text: '住宅', occupancy_text: '自住',
    },
    parties: [
      {
        party_id: '70', name: '王*明', role_text: '业主', liable: true,
        phones: [{ id: '5', masked: '139****0001', source_text: '合同', state: 'valid' }],
      },
      { party_id: '71', name: '孙*', role_text: '租户', liable: false, phones: [{ id: '6', masked: '139****0002', source_text: '合同', state: 'valid' }] },
    ],
    bills: [],
    totals: { open_fen: payableFen, late_fee_fen: 0, payable_fen: payableFen, payable_text: '' },
    credit_fen: 0, contacts: [], promises: [], messages: [], holds: [], payments: [],
    contact_allowed: { call: { allowed: true }, visit: { allowed: true } },
    brief: null,
    as_of: '2026-11-22T02:10:00Z',
  }
}
