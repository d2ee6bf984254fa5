import { beforeEach, describe, expect, it } from 'vitest'
import { closeSession, openSession } from '@/api/session'
import { router } from '@/router'
import { homeOf, offers } from '@/shared/roles'

const who = (role: 'steward' | 'finance') => ({ id: '1', name: '林管家', role, company_name: '安居物业' })

describe('where people land', () => {
  it('by width first, then by role', () => {
    expect(homeOf('finance', 390)).toBe('/m/worklist')
    expect(homeOf('finance', 1440)).toBe('/desk/overview')
    expect(homeOf('steward', 1440)).toBe('/m/worklist')
  })

  it('offers waivers and refunds to the office only', () => {
    expect(offers('steward', 'waive')).toBe(false)
    expect(offers('lead', 'refund')).toBe(false)
    expect(offers('finance', 'waive')).toBe(true)
    expect(offers(undefined, 'waive')).toBe(false)
  })
})

describe('guard', () => {
  beforeEach(() => closeSession())

  it('asks for a log-in and remembers where one wanted to go', async () => {
    await router.push('/m/houses/7?task=3')
    expect(router.currentRoute.value.name).toBe('login')
    expect(router.currentRoute.value.query.next).toBe('/m/houses/7?task=3')
  })

  it('sends somebody who is logged in home', async () => {
    window.innerWidth = 390
    openSession('t', who('finance'))
    await router.push('/')
    expect(router.currentRoute.value.path).toBe('/m/worklist')
    await router.push('/no-such-page')
    expect(router.currentRoute.value.path).toBe('/m/worklist')
  })
})
