import { flushPromises, mount } from '@vue/test-utils'
import { beforeEach, describe, expect, it } from 'vitest'
import { openSession } from '@/api/session'
import ExceptionsPage from '@/desk/ExceptionsPage.vue'
import { zh } from '@/messages/zh'
import { ok, scriptNetwork, type Asked } from './support'

/** A desk page with its table takes seconds to mount on a busy machine. */
const PATIENT_MS = 20_000
const refund = (n: number, mine: boolean) => ({
  kind: 'waiting_refund', kind_text: '退款待复核', id: String(n), at: '2026-11-22T02:10:00Z', reason: '重复支付退款',
  refund: { out_refund_no: `JQ1R${n}`, amount_fen: 150000, amount_text: '1500.00', requested_by: mine ? '林财务' : '钱财务', mine },
})
const DEAD = { kind: 'dead_task', kind_text: '任务失败', id: '9', at: '2026-11-22T02:10:00Z', reason: 'bill_run · boom', refund: null }

async function page(answerPost = ok({ out_refund_no: 'JQ1R1', state: 'processing', needs_approval: false })) {
  let waiting = [refund(1, false), refund(2, true), DEAD]
  const asked = scriptNetwork((one) => {
    if (one.method !== 'POST') return ok({ items: waiting, next_cursor: null })
    waiting = waiting.filter((row) => row.id !== '1')
    return answerPost
  })
  const shown = mount(ExceptionsPage, { global: { stubs: { teleport: true } } })
  await flushPromises()
  return { asked, shown }
}

const posted = (asked: Asked[]) => asked.filter((one) => one.method === 'POST').map((one) => [one.url, JSON.parse(one.body!)])

beforeEach(() => openSession('t', { id: '1', name: '林财务', role: 'finance', company_name: '安居物业' }))

describe('refunds that wait for a second person', () => {
  it('show number, amount, who asked and why, and are decided by somebody else only', async () => {
    const { shown } = await page()
    const text = shown.get('[data-testid=exceptions]').text()
    for (const part of ['JQ1R1', '¥1500.00', '钱财务', '重复支付退款', 'bill_run · boom']) expect(text).toContain(part)
    expect(shown.findAll('[data-testid=refund-approve]')).toHaveLength(1)
    expect(shown.findAll('[data-testid=refund-reject]')).toHaveLength(1)
    expect(shown.get('[data-testid=refund-mine]').text()).toBe(zh.refund.mine)
  }, PATIENT_MS)

  it('go out when approved, and leave the list', async () => {
    const { asked, shown } = await page()
    await shown.get('[data-testid=refund-approve]').trigger('click')
    await flushPromises()
    expect(shown.text()).toContain(zh.refund.approveAsk('1500.00', '钱财务'))
    expect(posted(asked)).toEqual([])
    await shown.get('form').trigger('submit')
    await flushPromises()
    expect(posted(asked)).toEqual([['/admin/api/v1/refunds/JQ1R1/approve', {}]])
    expect(shown.get('[data-testid=exceptions]').text()).not.toContain('JQ1R1')
  }, PATIENT_MS)

  it('go back with a reason', async () => {
    const { asked, shown } = await page(ok({ out_refund_no: 'JQ1R1', state: 'rejected', needs_approval: false }))
    await shown.get('[data-testid=refund-reject]').trigger('click')
    await flushPromises()
    await shown.get('form').trigger('submit')
    expect(shown.get('[role=alert]').text()).toBe(zh.refund.badReason)
    expect(posted(asked)).toEqual([])
    await shown.get('[data-testid=reject-reason]').setValue('业主改为抵扣')
    await shown.get('form').trigger('submit')
    await flushPromises()
    expect(posted(asked)).toEqual([['/admin/api/v1/refunds/JQ1R1/reject', { reason: '业主改为抵扣' }]])
  }, PATIENT_MS)
})
