import { beforeEach, describe, expect, it, vi } from 'vitest'
import { getHousehold, listWorklist, login, recordPromise } from '@/api/endpoints'
import { ApiError, httpSettings } from '@/api/http'
import { Intent } from '@/api/intent'
import { openSession, steward, token } from '@/api/session'
import { zh } from '@/messages/zh'
import { ok, scriptNetwork } from './support'

const WHO = { id: '1', name: '林管家', role: 'steward' as const, company_name: '安居物业' }
const PROMISE = { house_id: '7', party_id: '70', amount_fen: 100, day: '2026-11-25', pay_by: 'cash' }
const loginRequired = vi.fn()

beforeEach(() => {
  sessionStorage.clear()
  openSession('secret-token', WHO)
  httpSettings.retryPausesMs = [0, 0]
  httpSettings.onLoginRequired = loginRequired
  loginRequired.mockClear()
})

async function refused(call: Promise<unknown>): Promise<ApiError> {
  return call.then(
    () => expect.fail('was not refused'),
    (error) => error as ApiError,
  )
}

describe('requests', () => {
  it('carry the token and leave empty parameters out', async () => {
    const asked = scriptNetwork(() => ok({ items: [] }))
    await listWorklist(null)
    await listWorklist('a/b')
    expect(asked.map((one) => one.url)).toEqual([
      '/admin/api/v1/worklist',
      '/admin/api/v1/worklist?cursor=a%2Fb',
    ])
    expect(asked[0]!.headers.Authorization).toBe('Bearer secret-token')
    expect(asked[0]!.headers['Idempotency-Key']).toBeUndefined()
  })

  it('escape what comes from outside in a path', async () => {
    const asked = scriptNetwork(() => ok({}))
    await getHousehold('7/../8')
    expect(asked[0]!.url).toBe('/admin/api/v1/households/7%2F..%2F8')
  })

  it('never send the old token with a log-in', async () => {
    const asked = scriptNetwork(() => ok({ token: 't', expires_at: '', steward: WHO }))
    await login('lin', 'pw')
    expect(asked[0]!.headers.Authorization).toBeUndefined()
    expect(JSON.parse(asked[0]!.body!)).toEqual({ login: 'lin', password: 'pw' })
  })
})

describe('idempotency key', () => {
  it('stays the same over lost answers and a busy server', async () => {
    const asked = scriptNetwork((_, nth) => (nth === 1 ? 'lost' : nth === 2 ? ok({}, 503) : ok({ promise_id: '1' }, 201)))
    expect(await recordPromise(PROMISE, new Intent())).toEqual({ promise_id: '1' })
    const keys = asked.map((one) => one.headers['Idempotency-Key'])
    expect(keys).toHaveLength(3)
    expect(new Set(keys).size).toBe(1)
    expect(keys[0]).toMatch(/^[A-Za-z0-9_-]{8,64}$/)
    expect(new Set(asked.map((one) => one.body)).size).toBe(1)
  })

  it('stays for the same content pressed again, changes with the content', async () => {
    const asked = scriptNetwork(() => ok({ code: 'x' }, 409))
    const intent = new Intent()
    await refused(recordPromise(PROMISE, intent))
    await refused(recordPromise(PROMISE, intent))
    await refused(recordPromise({ ...PROMISE, amount_fen: 200 }, intent))
    const [first, second, third] = asked.map((one) => one.headers['Idempotency-Key'])
    expect(second).toBe(first)
    expect(third).not.toBe(first)
  })
})

describe('errors', () => {
  it('arrive as the server worded them', async () => {
    scriptNetwork(() =>
      ok({ code: 'E-C16', message: 'limit', message_zh: '已达联系上限', what_to_do: '请改日联系', legal_basis: 'C16', fields: { day: '太早' } }, 409),
    )
    const error = await refused(recordPromise(PROMISE, new Intent()))
    expect(error).toMatchObject({
      status: 409, code: 'E-C16', messageZh: '已达联系上限', whatToDo: '请改日联系', legalBasis: 'C16',
      fields: { day: '太早' }, outcomeUnknown: false,
    })
  })

  it('say "unknown" after the last lost answer, and what to do', async () => {
    const asked = scriptNetwork(() => 'lost')
    const error = await refused(recordPromise(PROMISE, new Intent()))
    expect(asked).toHaveLength(3)
    expect(error).toMatchObject({ status: 0, code: 'network', outcomeUnknown: true, whatToDo: zh.error.networkPost })
  })

  it('are not retried when the server answered', async () => {
    const asked = scriptNetwork(() => ok({ code: 'internal', message_zh: '系统出错' }, 500))
    const error = await refused(recordPromise(PROMISE, new Intent()))
    expect(asked).toHaveLength(1)
    expect(error.messageZh).toBe('系统出错')
  })

  it('are readable even when the answer is no JSON', async () => {
    vi.stubGlobal('fetch', async () => new Response('<html>', { status: 500 }))
    const error = await refused(getHousehold('7'))
    expect(error).toMatchObject({ code: 'http_500', messageZh: zh.error.server })
  })
})

describe('401', () => {
  it('forgets the session and asks for a log-in', async () => {
    scriptNetwork(() => ok({ code: 'login_required', message_zh: '请先登录' }, 401))
    await refused(getHousehold('7'))
    expect(token()).toBeNull()
    expect(steward.value).toBeNull()
    expect(loginRequired).toHaveBeenCalledOnce()
  })

  it('of the log-in itself is a wrong password, nothing else', async () => {
    scriptNetwork(() => ok({ code: 'login_failed', message_zh: '登录名或密码不正确' }, 401))
    expect((await refused(login('lin', 'x'))).code).toBe('login_failed')
    expect(token()).toBe('secret-token')
    expect(loginRequired).not.toHaveBeenCalled()
  })
})
