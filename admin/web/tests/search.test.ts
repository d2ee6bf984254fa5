import { flushPromises, mount, RouterLinkStub } from '@vue/test-utils'
import { describe, expect, it } from 'vitest'
import { createMemoryHistory, createRouter } from 'vue-router'
import type { HouseholdHit } from '@/api/types'
import HouseholdsPage from '@/desk/HouseholdsPage.vue'
import PaidBanner from '@/household/PaidBanner.vue'
import { zh } from '@/messages/zh'
import SearchPage from '@/phone/SearchPage.vue'
import { ok, scriptNetwork } from './support'

const hit = (n: number, openFen: number, billed: boolean): HouseholdHit => ({
  house_id: String(n), house_code: `1-1-10${n}`, community_name: '阳光花园', party_name: '王*明',
  open_fen: openFen, open_text: '', billed,
})
const HITS = [hit(1, 14293, true), hit(2, 0, true), hit(3, 0, false)]

async function found(page: typeof SearchPage | typeof HouseholdsPage) {
  scriptNetwork(() => ok({ items: HITS, next_cursor: null }))
  const router = createRouter({ history: createMemoryHistory(), routes: [{ path: '/', component: page }] })
  await router.push('/')
  const shown = mount(page as typeof SearchPage, { global: { plugins: [router], stubs: { RouterLink: RouterLinkStub } } })
  await shown.get('input').setValue('1-1')
  await shown.get('form').trigger('submit')
  await flushPromises()
  return shown.text()
}

describe('a household that was found', () => {
  it.each([['phone', SearchPage], ['desk', HouseholdsPage]])('owes, has paid, or was never billed (%s)', async (_, page) => {
    const text = await found(page as typeof SearchPage)
    expect(text).toContain('142.93')
    expect(text.split(zh.search.paid)).toHaveLength(2)
    expect(text.split(zh.search.neverBilled)).toHaveLength(2)
    expect(text.indexOf(zh.search.paid)).toBeGreaterThan(text.indexOf('1-1-102'))
    expect(text.indexOf(zh.search.neverBilled)).toBeGreaterThan(text.indexOf('1-1-103'))
  }, 20_000)

  it('does not thank for a payment that never was', () => {
    const text = mount(PaidBanner, { props: { justNow: false, neverBilled: true } }).text()
    expect(text).toBe(zh.house.neverBilledBanner)
  })
})
