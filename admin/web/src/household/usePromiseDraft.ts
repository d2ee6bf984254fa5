// Amount, day and way of a promise to pay (S34), checked before it is sent.
import { reactive } from 'vue'
import type { PromiseInput } from '@/api/types'
import { addDays } from '@/lib/dates'
import { fenInput, parseYuan } from '@/lib/money'
import { zh } from '@/messages/zh'

/** How far ahead the server accepts a promise. */
export const PROMISE_MAX_DAYS = 60

export interface PromiseDraft {
  amount: string
  day: string
  payBy: string
}

/** A promise ready to be sent, or the Chinese sentence that says what is wrong with it. */
export function promiseOf(draft: PromiseDraft, today: string): PromiseInput | string {
  const bad = zh.promise.badDay(PROMISE_MAX_DAYS)
  const fen = parseYuan(draft.amount)
  if (fen === null || fen === 0) return zh.promise.badAmount
  if (!/^\d{4}-\d{2}-\d{2}$/.test(draft.day) || draft.day < today) return bad
  if (draft.day > addDays(today, PROMISE_MAX_DAYS)) return bad
  return { amount_fen: fen, day: draft.day, pay_by: draft.payBy }
}

/** Starts with everything payable, three days from the business day, by WeChat. */
export function usePromiseDraft(payableFen: number, today: string): PromiseDraft {
  return reactive({
    amount: payableFen > 0 ? fenInput(payableFen) : '',
    day: addDays(today, 3),
    payBy: 'wechatpay',
  })
}
