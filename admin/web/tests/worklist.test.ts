import { RouterLinkStub, flushPromises, mount } from '@vue/test-utils'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { createMemoryHistory, createRouter } from 'vue-router'
import { httpSettings } from '@/api/http'
import type { WorkItem } from '@/api/types'
import WorklistItem from '@/phone/WorklistItem.vue'
import WorklistPage from '@/phone/WorklistPage.vue'
import { useWorklist } from '@/phone/useWorklist'
import { ok, scriptNetwork, workItem, type Answer } from './support'

const TODAY = '2026-11-22'
const AS_OF = '2026-11-22T02:10:00Z'

function page(ids: string[], next: string | null): Answer {
  return ok({
    items: ids.map((id) => workItem({ task_id: id, house_id: id, house_code: `3-1-${id}` })),
    as_of: AS_OF,
    next_cursor: next,
    counts: { open: 3, done_today: 1 },
  })
}

beforeEach(() => {
  httpSettings.retryPausesMs = []
  vi.stubGlobal('scrollTo', () => {})
})

function task(item: WorkItem) {
  return mount(WorklistItem, { props: { item, today: TODAY, to: '/houses/7' }, global: { stubs: { RouterLink: RouterLinkStub } } })
}

describe('a task', () => {
  it('shows house, amount, delay and the last contact', () => {
    const item = workItem({ last_contact: { at: '2026-11-12T02:31:00Z', kind_text: '电话', result_text: '再考虑' } })
    const text = task(item).text()
    for (const part of ['3-1-1201', '王*明', '¥1,429.30', '逾期38天', '3笔账单', '已拖2天', '上次 11月12日 电话 再考虑'])
      expect(text).toContain(part)
  })

  it('greys the call out, with the reason and the time', async () => {
    const item = workItem({
      contact_allowed: { allowed: false, code: 'E-C16', reason_zh: '已达联系上限（7天2次）', next_at: '2026-11-24T01:00:00Z' },
    })
    const shown = task(item)
    const button = shown.get('[data-testid=worklist-call]')
    expect(button.attributes('disabled')).toBeDefined()
    expect(shown.get('[data-testid=contact-refused]').text()).toBe('已达联系上限（7天2次），11月24日 09:00后可联系')
    await button.trigger('click')
    expect(shown.emitted('act')).toBeUndefined()
  })

  it('opens on a tap and acts on its button, never both', async () => {
    const shown = task(workItem())
    await shown.get('[data-testid=worklist-call]').trigger('click')
    expect(shown.emitted('act')).toHaveLength(1)
    expect(shown.emitted('open')).toBeUndefined()
    await shown.trigger('click')
    expect(shown.emitted('open')).toHaveLength(1)
  })

  it('is reached and opened by keyboard through its heading', async () => {
    const shown = task(workItem())
    const link = shown.getComponent(RouterLinkStub)
    expect([link.text(), link.props('to'), link.element.tagName]).toEqual(['3-1-1201', '/houses/7', 'A'])
    expect(shown.get('h2').element.contains(link.element)).toBe(true)
    await link.trigger('click')
    expect(shown.emitted('open')).toBeUndefined()
  })
})

describe('the list', () => {
  it('reads page after page and shows a task once', async () => {
    const asked = scriptNetwork((one) => (one.url.includes('cursor=n2') ? page(['2', '3'], null) : page(['1', '2'], 'n2')))
    const list = useWorklist()
    await list.more()
    expect(list.finished.value).toBe(false)
    await list.more()
    expect(list.items.value.map((item) => item.task_id)).toEqual(['1', '2', '3'])
    expect(list.finished.value).toBe(true)
    expect(asked.map((one) => one.url)).toEqual(['/admin/api/v1/worklist', '/admin/api/v1/worklist?cursor=n2'])
  })

  it('drops an older answer when it was read anew meanwhile', async () => {
    const answers: ((response: Response) => void)[] = []
    vi.stubGlobal('fetch', () => new Promise<Response>((resolve) => answers.push(resolve)))
    const list = useWorklist()
    const slow = list.more()
    const fresh = list.reload()
    const body = (id: string) => new Response(JSON.stringify((page([id], null) as { body: unknown }).body))
    answers[1]!(body('new'))
    await fresh
    answers[0]!(body('old'))
    await slow
    expect(list.items.value.map((item) => item.task_id)).toEqual(['new'])
  })

  it('keeps what it has and can go on after a failure', async () => {
    let down = false
    scriptNetwork((one) => (down ? 'lost' : one.url.includes('cursor') ? page(['2'], null) : page(['1'], 'n2')))
    const list = useWorklist()
    await list.more()
    down = true
    await list.more()
    expect(list.failed.value).toBe(true)
    expect(list.items.value).toHaveLength(1)
    down = false
    await list.more()
    expect(list.items.value.map((item) => item.task_id)).toEqual(['1', '2'])
  })
})

describe('the page', () => {
  async function open(answer: (url: string) => Answer) {
    // jsdom lays nothing out; without this every element counts as hidden and no list loads.
    vi.spyOn(HTMLElement.prototype, 'offsetParent', 'get').mockReturnValue(document.body)
    scriptNetwork((one) => answer(one.url))
    const router = createRouter({
      history: createMemoryHistory(),
      routes: [
        { path: '/', component: WorklistPage },
        { path: '/houses/:houseId', name: 'm-house', component: { template: '<i />' } },
      ],
    })
    await router.push('/')
    const shown = mount({ template: '<RouterView />' }, { global: { plugins: [router] }, attachTo: document.body })
    await vi.waitFor(() => expect(shown.find('[data-testid=worklist-item], [data-testid=worklist-empty]').exists()).toBe(true))
    return { shown, router }
  }

  it('shows the tasks and the counts, and leads to the household with its task', async () => {
    const { shown, router } = await open(() => page(['1', '2'], null))
    expect(shown.findAll('[data-testid=worklist-item]')).toHaveLength(2)
    expect(shown.get('[data-testid=worklist-counts]').text()).toMatch(/3\s*待办\s*1\s*今日已办/)
    await shown.findAll('[data-testid=worklist-call]')[1]!.trigger('click')
    await flushPromises()
    expect(router.currentRoute.value.fullPath).toBe('/houses/2?task=2&party=70&act=call')
    shown.unmount()
  })

  it('leads to the household from the link as from the card', async () => {
    const { shown, router } = await open(() => page(['1', '2'], null))
    const link = shown.findAll('a[data-testid=worklist-open]')[1]!
    expect(link.attributes('href')).toBe('/houses/2?task=2&party=70')
    await link.trigger('click')
    await flushPromises()
    expect(router.currentRoute.value.fullPath).toBe('/houses/2?task=2&party=70')
    await router.push('/')
    await flushPromises()
    await shown.findAll('[data-testid=worklist-item]')[1]!.trigger('click')
    await flushPromises()
    expect(router.currentRoute.value.fullPath).toBe('/houses/2?task=2&party=70')
    shown.unmount()
  })

  it('says when everything is done', async () => {
    const { shown } = await open(() => page([], null))
    expect(shown.text()).toContain('清单已办完')
    shown.unmount()
  })
})
