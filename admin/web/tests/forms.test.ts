import { flushPromises, mount } from '@vue/test-utils'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { httpSettings } from '@/api/http'
import type { Household } from '@/api/types'
import { openSession } from '@/api/session'
import PaidBanner from '@/household/PaidBanner.vue'
import RecordForm from '@/household/RecordForm.vue'
import RevealForm from '@/household/RevealForm.vue'
import { contactable, isPaid, otherDebtor, refusalText } from '@/household/facts'
import { promiseOf } from '@/household/usePromiseDraft'
import { zh } from '@/messages/zh'
import { household, ok, scriptNetwork, type Answer } from './support'

beforeEach(() => {
  openSession('t', { id: '1', name: '林管家', role: 'steward', company_name: '安居物业' })
  httpSettings.retryPausesMs = [0, 0]
})

const STEWARDS = ok({ items: [{ id: '1', name: '林管家', role: 'steward' }, { id: '2', name: '郑管家', role: 'steward' }] })

function form(kind: 'call' | 'visit', taskId: string | null = '11') {
  return mount(RecordForm, { props: { kind, household: household(), taskId } })
}

async function pick(shown: ReturnType<typeof form>, testid: string) {
  await shown.get(`[data-testid=${testid}] input`).setValue(true)
}

describe('record a call', () => {
  it('sends nothing before result and reason are given', async () => {
    const asked = scriptNetwork(() => ok({}))
    const shown = form('call')
    await shown.trigger('submit')
    expect(shown.get('[data-testid=form-problem]').text()).toBe(zh.record.pickResult)
    await pick(shown, 'result-refused')
    await shown.trigger('submit')
    expect(shown.get('[data-testid=form-problem]').text()).toBe(zh.record.pickReason)
    expect(asked).toEqual([])
  })

  it('sends result, reason, note and task', async () => {
    const asked = scriptNetwork(() => ok({ contact_id: '9', promise_id: null }, 201))
    const shown = form('call')
    await pick(shown, 'result-refused')
    await pick(shown, 'reason-price')
    await shown.get('[data-testid=note]').setValue('  请复核单价 ')
    await shown.trigger('submit')
    await flushPromises()
    expect(asked[0]!.url).toBe('/admin/api/v1/contacts/calls')
    expect(JSON.parse(asked[0]!.body!)).toEqual({
      house_id: '7', party_id: '70', result: 'refused', reason_code: 'price', note: '请复核单价', task_id: '11',
    })
    expect(shown.emitted('saved')).toHaveLength(1)
  })

  it('takes a promise with the result "promised", the whole amount unless changed', async () => {
    const asked = scriptNetwork(() => ok({ contact_id: '9', promise_id: '3' }, 201))
    const shown = form('call', null)
    await pick(shown, 'result-promised')
    await pick(shown, 'reason-forgot')
    expect((shown.get('[data-testid=promise-amount]').element as HTMLInputElement).value).toBe('142.93')
    await shown.get('[data-testid=promise-day]').setValue('2026-11-21')
    await shown.trigger('submit')
    expect(shown.get('[data-testid=form-problem]').text()).toBe(zh.promise.badDay(60))
    await shown.get('[data-testid=promise-day]').setValue('2026-11-30')
    await shown.trigger('submit')
    await flushPromises()
    expect(asked).toHaveLength(1)
    expect(JSON.parse(asked[0]!.body!)).toEqual({
      house_id: '7', party_id: '70', result: 'promised', reason_code: 'forgot',
      promise: { amount_fen: 14293, day: '2026-11-30', pay_by: 'wechatpay' },
    })
  })

  it('suggests "unknown" when nobody was reached, and leaves a reason picked by hand', async () => {
    const shown = form('call')
    await pick(shown, 'result-no_answer')
    expect((shown.get('[data-testid=reason-unknown] input').element as HTMLInputElement).checked).toBe(true)
    await pick(shown, 'reason-price')
    await pick(shown, 'result-unreachable')
    expect((shown.get('[data-testid=reason-price] input').element as HTMLInputElement).checked).toBe(true)
  })

  it('freezes when the answer is lost, and goes out again unchanged with the same key', async () => {
    let down = true
    const asked = scriptNetwork((): Answer => (down ? 'lost' : ok({ contact_id: '9', promise_id: null }, 201)))
    const shown = form('call')
    await pick(shown, 'result-no_answer')
    await shown.trigger('submit')
    await vi.waitFor(() => expect(shown.text()).toContain(zh.error.unsure))
    expect(asked).toHaveLength(3)
    expect(shown.get('fieldset').attributes('disabled')).toBeDefined()
    down = false
    await shown.trigger('submit')
    await flushPromises()
    expect(new Set(asked.map((one) => one.headers['Idempotency-Key'])).size).toBe(1)
    expect(new Set(asked.map((one) => one.body)).size).toBe(1)
    expect(shown.emitted('saved')).toHaveLength(1)
  })
})

describe('record a visit', () => {
  it('wants a second person, and offers everybody but oneself', async () => {
    const asked = scriptNetwork((one) => (one.method === 'GET' ? STEWARDS : ok({ contact_id: '9', promise_id: null }, 201)))
    const shown = form('visit')
    await flushPromises()
    const options = shown.findAll('[data-testid=second-steward] option').map((option) => option.attributes('value'))
    expect(options).toEqual(['', '2'])
    await pick(shown, 'result-not_met')
    await shown.trigger('submit')
    expect(shown.get('[data-testid=form-problem]').text()).toBe(zh.record.pickSecond)
    await shown.get('[data-testid=second-steward]').setValue('2')
    await shown.trigger('submit')
    await flushPromises()
    expect(asked[1]!.url).toBe('/admin/api/v1/contacts/visits')
    expect(JSON.parse(asked[1]!.body!)).toMatchObject({ second_steward_id: '2', result: 'not_met', reason_code: 'unknown' })
  })
})

describe('a promise', () => {
  const day = '2026-11-22'
  it.each([
    ['', zh.promise.badAmount],
    ['0', zh.promise.badAmount],
    ['12.345', zh.promise.badAmount],
  ])('refuses the amount "%s"', (amount, problem) =>
    expect(promiseOf({ amount, day, payBy: 'cash' }, day)).toBe(problem),
  )

  it('may be for today, not for yesterday', () => {
    expect(promiseOf({ amount: '1', day, payBy: 'cash' }, day)).toEqual({ amount_fen: 100, day, pay_by: 'cash' })
    for (const bad of ['2026-11-21', '', '2027-01-22'])
      expect(promiseOf({ amount: '1', day: bad, payBy: 'cash' }, day)).toBe(zh.promise.badDay(60))
    expect(promiseOf({ amount: '1', day: '2027-01-21', payBy: 'cash' }, day)).toMatchObject({ day: '2027-01-21' })
  })
})

describe('showing a phone number', () => {
  it('offers the liable person only, and asks for the number after reading the household again', async () => {
    const asked = scriptNetwork(() => ok({ phone: '13900000001' }))
    let rechecked = 0
    const recheck = async () => ++rechecked > 0
    const shown = mount(RevealForm, { props: { household: household(), recheck } })
    expect(shown.findAll('[data-testid=phone] option')).toHaveLength(1)
    await shown.get('[data-testid=reveal]').trigger('click')
    await flushPromises()
    expect(rechecked).toBe(1)
    expect(asked[0]!.url).toBe('/admin/api/v1/households/7/phones/5/reveal')
    expect(JSON.parse(asked[0]!.body!)).toEqual({ reason: zh.call.reasons[0] })
    expect(shown.get('[data-testid=dial]').attributes('href')).toBe('tel:13900000001')
  })

  it('never asks for it when the household has paid meanwhile', async () => {
    const asked = scriptNetwork(() => ok({ phone: '13900000001' }))
    const shown = mount(RevealForm, {
      props: {
        household: household(),
        recheck: async () => {
          await shown.setProps({ household: household(0) })
          return true
        },
      },
    })
    await shown.get('[data-testid=reveal]').trigger('click')
    await flushPromises()
    expect(asked).toEqual([])
    expect(shown.get('[data-testid=call-blocked]').text()).toBe('该户已缴清，请勿联系')
  })

  it('never asks for it when the household could not be read', async () => {
    const asked = scriptNetwork(() => ok({ phone: '13900000001' }))
    const shown = mount(RevealForm, { props: { household: household(), recheck: async () => false } })
    await shown.get('[data-testid=reveal]').trigger('click')
    await flushPromises()
    expect(asked).toEqual([])
  })
})

describe('calling back at the owner\'s wish', () => {
  const late = { allowed: false, code: 'E-C15', reason_zh: '当前时段不允许催缴联系' }
  const open = (call: Household['contact_allowed']['call'], reply: boolean) =>
    mount(RevealForm, {
      props: { household: { ...household(), contact_allowed: { call, visit: call } }, recheck: async () => true, reply },
    })

  it('is not bound by hours, and says why in the trace', async () => {
    const asked = scriptNetwork(() => ok({ phone: '13900000001' }))
    expect(open(late, false).get('[data-testid=reveal]').attributes('disabled')).toBeDefined()
    await open(late, true).get('[data-testid=reveal]').trigger('click')
    await flushPromises()
    expect(JSON.parse(asked[0]!.body!)).toEqual({ reason: '回复业主来电' })
  })

  it('is not offered against "do not contact me"', () => {
    const stopped = { allowed: false, code: 'E-C17', reason_zh: '业主要求停止联系' }
    expect(open(stopped, true).get('[data-testid=reveal]').attributes('disabled')).toBeDefined()
  })
})

describe('facts', () => {
  it('paid means nothing payable, and the banner says so', () => {
    expect(isPaid(household(0))).toBe(true)
    expect(isPaid(household(1))).toBe(false)
    expect(mount(PaidBanner, { props: { justNow: true } }).get('[data-testid=household-paid]').text()).toContain('该户已缴清，请勿联系')
  })

  it('also names who still owes from an earlier time, and nobody else', () => {
    const one = household()
    const [owner, tenant] = one.parties
    const former = { ...owner!, party_id: '72', name: '前*', liable: false }
    const bill = { id: '1', party_id: '72', open_fen: 500 } as Household['bills'][number]
    const shared = { ...one, parties: [owner!, tenant!, former], bills: [bill], primary_party_id: '70' }
    expect(contactable(shared).map((party) => party.party_id)).toEqual(['70', '72'])
    expect(contactable({ ...shared, primary_party_id: '72' }).map((party) => party.party_id)).toEqual(['72', '70'])
    expect(contactable({ ...shared, bills: [{ ...bill, open_fen: 0 }] }).map((party) => party.party_id)).toEqual(['70'])
    expect(otherDebtor(shared, bill)).toBe('前*')
    expect(otherDebtor(shared, { ...bill, party_id: '70' })).toBe('')
  })

  it('a refusal always has a sentence', () => {
    expect(refusalText({ allowed: true })).toBe('')
    expect(refusalText({ allowed: false })).toBe(zh.call.blocked)
  })
})
