import { flushPromises, mount } from '@vue/test-utils'
import { beforeEach, describe, expect, it } from 'vitest'
import { openSession } from '@/api/session'
import type { Hold } from '@/api/types'
import BriefCard from '@/household/BriefCard.vue'
import LiftHoldForm from '@/household/LiftHoldForm.vue'
import { zh } from '@/messages/zh'
import { offers } from '@/shared/roles'
import { household, ok, scriptNetwork } from './support'

const hold = (changes: Partial<Hold> = {}): Hold => ({
  id: '31', kind: 'dispute', kind_text: '异议处理', until_day: null, reason: '面积不对', liftable: true, ...changes,
})
const LIFTED = ok({ id: '31', kind: 'dispute', kind_text: '异议处理', lifted_at: '2026-11-22T02:10:00Z', bills_unfrozen: 1 })

beforeEach(() => openSession('t', { id: '1', name: '高主管', role: 'lead', company_name: '安居物业' }))

describe('the button', () => {
  it('is there for supervisors and for holds that can be lifted', async () => {
    const promise = hold({ id: '32', kind: 'promise', kind_text: '承诺缴费', liftable: false })
    const one = { ...household(), holds: [hold(), promise] }
    expect(mount(BriefCard, { props: { household: one } }).findAll('[data-testid=lift-hold]')).toHaveLength(0)
    const shown = mount(BriefCard, { props: { household: one, mayLift: true } })
    expect(shown.findAll('[data-testid=lift-hold]')).toHaveLength(1)
    await shown.get('[data-testid=lift-hold]').trigger('click')
    expect(shown.emitted('lift')).toEqual([[one.holds[0]]])
  })

  it('is offered to the roles the server lets', () => {
    const may = (['steward', 'lead', 'finance', 'manager', 'admin'] as const).filter((role) => offers(role, 'liftHold'))
    expect(may).toEqual(['lead', 'manager', 'admin'])
  })
})

describe('lifting a hold', () => {
  it('sends the reason, and nothing before there is one', async () => {
    const asked = scriptNetwork(() => LIFTED)
    const shown = mount(LiftHoldForm, { props: { hold: hold() } })
    await shown.get('[data-testid=lift-reason]').setValue(' 误触 ')
    await shown.trigger('submit')
    expect(shown.get('[data-testid=form-problem]').text()).toBe(zh.lift.badReason)
    expect(asked).toEqual([])
    await shown.get('[data-testid=lift-reason]').setValue(' 误触登记，业主无异议 ')
    await shown.trigger('submit')
    await flushPromises()
    expect(asked[0]!.url).toBe('/admin/api/v1/holds/31/lift')
    expect(JSON.parse(asked[0]!.body!)).toEqual({ reason: '误触登记，业主无异议' })
    expect(asked[0]!.headers['Idempotency-Key']).toBeTruthy()
    expect(shown.emitted('saved')).toHaveLength(1)
  })

  it('wants the owner\'s consent for "do not contact me"', async () => {
    const asked = scriptNetwork(() => LIFTED)
    const shown = mount(LiftHoldForm, { props: { hold: hold({ kind: 'stop_contact', kind_text: '要求停止联系' }) } })
    await shown.get('[data-testid=lift-reason]').setValue('11月20日业主来电同意')
    await shown.trigger('submit')
    expect(shown.get('[data-testid=form-problem]').text()).toBe(zh.lift.needConsent)
    expect(asked).toEqual([])
    await shown.get('[data-testid=lift-consent]').setValue(true)
    await shown.trigger('submit')
    await flushPromises()
    expect(JSON.parse(asked[0]!.body!)).toEqual({ reason: '11月20日业主来电同意', owner_consent: true })
  })
})
