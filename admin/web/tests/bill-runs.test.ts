import { enableAutoUnmount, flushPromises, mount } from '@vue/test-utils'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { httpSettings } from '@/api/http'
import { openSession } from '@/api/session'
import type { BillRun, BillRunPreview } from '@/api/types'
import BillRunProgress from '@/desk/BillRunProgress.vue'
import BillRunsPage from '@/desk/BillRunsPage.vue'
import { ElDatePicker } from '@/desk/element'
import { useBillRun } from '@/desk/useBillRun'
import { zh } from '@/messages/zh'
import { ok, scriptNetwork, type Asked } from './support'

/** A desk page with its tables takes seconds to mount on a busy machine. */
const PATIENT_MS = 20_000
const COMMUNITIES = ok({ items: [{ id: '3', code: 'SUN', name: '阳光花园' }] })
const PREVIEW: BillRunPreview = {
  houses: 2, bills: 2, total_fen: 28586, total_text: '285.86', skipped: [],
  sample: [{ house_code: '1-1-101', fee_name: '物业服务费', formula: '94.56㎡ × 1.3000元/㎡·月 + 20元 = 142.928 → 142.93元', fen: 14293 }],
}
const NOVEMBER: BillRun = {
  id: '4', state: 'done', houses_done: 2, houses_total: 2, bills: 2, total_fen: 28586,
  community_name: '阳光花园', period_from: '2026-11-01', period_to: '2026-12-01',
}

function network(state: () => BillRun['state'] = () => 'running') {
  return scriptNetwork((one) => {
    if (one.url.endsWith('/communities')) return COMMUNITIES
    if (one.url.endsWith('/preview')) return ok(PREVIEW)
    if (one.method === 'POST') return ok({ ...NOVEMBER, id: '9', state: 'running' }, 202)
    if (one.url.endsWith('/bill-runs/9')) return ok({ ...NOVEMBER, id: '9', state: state() })
    return ok({ items: [NOVEMBER], next_cursor: null })
  })
}

async function page() {
  const shown = mount(BillRunsPage, { global: { stubs: { teleport: true, ElSelect: true } } })
  await flushPromises()
  return shown
}

async function choose(shown: Awaited<ReturnType<typeof page>>, from: string, to: string) {
  const [first, last] = shown.findAllComponents(ElDatePicker)
  first!.vm.$emit('update:modelValue', from)
  last!.vm.$emit('update:modelValue', to)
  await shown.get('form').trigger('submit')
  await flushPromises()
}

const posted = (asked: Asked[]) => asked.filter((one) => one.method === 'POST').map((one) => [one.url, JSON.parse(one.body!)])

beforeEach(() => {
  openSession('t', { id: '1', name: '钱财务', role: 'finance', company_name: '安居物业' })
  httpSettings.retryPausesMs = [0, 0]
})
enableAutoUnmount(afterEach)
afterEach(() => vi.useRealTimers())

describe('a bill run from the desk', () => {
  // The very values whose sum tests/api/test_admin_money.py asserts to the fen.
  it('asks for whole months', async () => {
    const asked = network()
    const shown = await page()
    const wanted = [
      ['2026-12', '2026-12', '2026-12-01', '2027-01-01'],
      ['2026-10', '2026-12', '2026-10-01', '2027-01-01'],
      ['2028-02', '2028-02', '2028-02-01', '2028-03-01'],
    ] as const
    for (const [from, to] of wanted) await choose(shown, from, to)
    expect(posted(asked)).toEqual(
      wanted.map(([, , first, end]) => [
        '/admin/api/v1/bill-runs/preview',
        { community_id: '3', period_from: first, period_to: end },
      ]),
    )
  }, PATIENT_MS)

  it('runs exactly what was previewed', async () => {
    const asked = network()
    const shown = await page()
    await choose(shown, '2026-12', '2026-12')
    expect(shown.get('[data-testid=run-preview-result]').text()).toContain(PREVIEW.sample[0]!.formula)
    await shown.get('[data-testid=run-start]').trigger('click')
    await flushPromises()
    await shown.get('[data-testid=run-confirm]').trigger('click')
    await flushPromises()
    const bodies = posted(asked)
    expect(bodies.map(([url]) => url)).toEqual(['/admin/api/v1/bill-runs/preview', '/admin/api/v1/bill-runs'])
    expect(bodies[1]![1]).toEqual(bodies[0]![1])
  }, PATIENT_MS)

  it('asks for nothing while the months are missing or reversed', async () => {
    const asked = network()
    const shown = await page()
    for (const [from, to] of [['', ''], ['2026-12', '2026-11']]) {
      await choose(shown, from!, to!)
      expect(shown.get('[role=alert]').text()).toBe(zh.billRuns.badPeriod)
    }
    expect(posted(asked)).toEqual([])
  }, PATIENT_MS)

  it('shows the last day of a period, not the day after it', async () => {
    network()
    const text = (await page()).get('[data-testid=run-history]').text()
    expect(text).toContain('2026-11-01 – 2026-11-30')
    expect(text).not.toContain('2026-12-01')
  }, PATIENT_MS)
})

describe('a run that failed', () => {
  it('is not watched any more, and the next one starts from a preview', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const states: BillRun['state'][] = ['running', 'failed', 'done']
    const asked = network(() => states.shift()!)
    const finished = vi.fn()
    let runs!: ReturnType<typeof useBillRun>
    mount({ setup: () => { runs = useBillRun(finished) }, render: () => null })
    const input = { community_id: '3', period_from: '2026-12-01', period_to: '2027-01-01' }
    await runs.tryOut(input)
    await runs.start()
    expect(runs.running.value).toBe(true)
    await vi.waitFor(() => expect(runs.run.value!.state).toBe('failed'), 10_000)
    expect([runs.running.value, finished.mock.calls.length]).toEqual([false, 1])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(asked.filter((one) => one.url.endsWith('/bill-runs/9'))).toHaveLength(2)
    await runs.tryOut(input)
    expect(runs.run.value).toBeNull()
    expect(runs.preview.value).toEqual(PREVIEW)
  })

  it('says what to do', () => {
    const shown = mount(BillRunProgress, { props: { run: { ...NOVEMBER, state: 'failed' } } })
    expect(shown.get('[data-testid=run-failed]').text()).toBe(zh.billRuns.failedHint)
    expect(shown.text()).toContain(zh.billRuns.states.failed)
    const running = mount(BillRunProgress, { props: { run: { ...NOVEMBER, state: 'running' } } })
    expect(running.find('[data-testid=run-failed]').exists()).toBe(false)
  })
})
