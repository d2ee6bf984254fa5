// A small stand-in for the admin API, for looking at the page (`npm run fixtures`). Never shipped.
// Log in as steward / finance / admin with any password but "wrong".
import { createServer } from 'node:http'
import { AS_OF, households, payAll, totalsOf, workItem } from './data.mjs'

const PORT = Number(process.env.PORT ?? 8000)
const done = new Set()
const answers = new Map()
const runs = new Map()
let lastRole = 'steward'
let waitingRefunds = ['1', '2'].map((n) => ({
  kind: 'waiting_refund', kind_text: '退款待复核', id: n, at: AS_OF, reason: '重复支付退款',
  refund: { out_refund_no: `RF2026112200000${n}`, amount_fen: 150000, amount_text: '1500.00', requested_by: n === '1' ? '钱财务' : '林管家', mine: n === '2' },
}))

function decideRefund(number, state) {
  waitingRefunds = waitingRefunds.filter((one) => one.refund.out_refund_no !== number)
  return [200, { out_refund_no: number, state, needs_approval: false }]
}

const refusal = (status, code, message_zh, what_to_do, legal_basis) => [status, { code, message: code, message_zh, what_to_do, legal_basis }]
const whole = (one) => ({ ...one, totals: totalsOf(one) })
const KINDS = ['call', 'visit', 'call', 'promise_broken']

function worklist(query) {
  const open = [...households.values()].filter((h) => !done.has(`k${h.house.id}`) && totalsOf(h).open_fen > 0)
  const from = Number(query.get('cursor') ?? 0)
  const items = open.slice(from, from + 10).map((h) => workItem(h, KINDS[Number(h.house.id) % 4]))
  return { items, as_of: AS_OF, next_cursor: from + 10 < open.length ? String(from + 10) : null, counts: { open: open.length, done_today: done.size } }
}

function record(kind, body) {
  const one = households.get(body.house_id)
  if (kind === '上门' && !body.second_steward_id) return refusal(422, 'second_steward_required', '上门须两人同行', '请选择同行人员。', 'C25')
  one.contacts.unshift({
    id: String(Date.now()), at: AS_OF, kind_text: kind, result_text: body.result, reason_text: body.reason_code, note: body.note ?? null,
    steward_name: '林管家', second_name: kind === '上门' ? '郑管家' : null,
  })
  if (body.task_id) done.add(body.task_id)
  if (body.promise) promised(one, body.promise)
  return [201, { contact_id: String(Date.now()), promise_id: body.promise ? '1' : null }]
}

function promised(one, promise) {
  one.promises.unshift({ id: String(Date.now()), amount_fen: promise.amount_fen, amount_text: '', day: promise.day, state: 'open', state_text: '待兑现', made_by: '林管家' })
  one.holds = [{ id: '1', kind: 'promise', kind_text: '承诺缴费', until_day: promise.day, reason: '到期前不再提醒', liftable: false }]
  one.contact_allowed.call = { allowed: false, code: 'hold_promise', reason_zh: '承诺期内不联系', next_at: `${promise.day}T01:00:00Z` }
}

const GET = [
  [/^\/worklist$/, (_, q) => [200, worklist(q)]],
  [/^\/households$/, (_, q) => [200, { items: [...households.values()].filter((h) => h.house.code.includes(q.get('q'))).map((h) => ({ house_id: h.house.id, house_code: h.house.code, community_name: h.house.community_name, party_name: h.parties[0].name, open_fen: totalsOf(h).open_fen, open_text: '', billed: h.bills.length > 0 })), next_cursor: null }]],
  [/^\/households\/(\w+)$/, ([, id]) => (households.has(id) ? [200, whole(households.get(id))] : refusal(404, 'not_found', '没有找到该房屋。', '请返回列表刷新后重试。'))],
  [/^\/stewards$/, () => [200, { items: [{ id: '1', name: '林管家', role: 'steward' }, { id: '2', name: '郑管家', role: 'steward' }, { id: '3', name: '高主管', role: 'lead' }] }]],
  [/^\/communities$/, () => [200, { items: [
    { id: '1', code: 'YG', name: '阳光花园', houses: 1420, open_fen: 8123450, overdue_fen: 5023411, collected_fen: 61234500, collection_rate_text: '88.3%' },
    { id: '2', code: 'HC', name: '河畔名城', houses: 580, open_fen: 4512300, overdue_fen: 3999901, collected_fen: 12034100, collection_rate_text: '72.7%' },
  ] }]],
  [/^\/payments$/, () => [200, { items: [...households.values()].flatMap((h) => h.payments).slice(0, 12).map((p, n) => (n % 5 === 3 ? { ...p, state: 'unknown', state_text: '结果未知' } : p)), next_cursor: null }]],
  [/^\/exceptions$/, () => [200, { items: [{ kind: 'notice', id: '81', at: AS_OF, reason: '金额与订单不符：通知 142.93，订单 152.93' }, { kind: 'message', id: '7712', at: AS_OF, reason: '短信平台无应答，已按流水号查询' }, ...waitingRefunds], next_cursor: null }]],
  [/^\/bill-runs$/, () => [200, { items: [{ id: '4', state: 'done', houses_done: 1420, houses_total: 1420, bills: 1612, total_fen: 21345678, community_name: '阳光花园', period_from: '2026-10-01', period_to: '2026-11-01' }], next_cursor: null }]],
  [/^\/bill-runs\/(\w+)$/, ([, id]) => {
    const run = runs.get(id)
    run.houses_done = Math.min(run.houses_total, run.houses_done + 400)
    Object.assign(run, { bills: run.houses_done + 90, total_fen: run.houses_done * 14293, state: run.houses_done === run.houses_total ? 'done' : 'running' })
    return [200, run]
  }],
]
const POST = [
  [/^\/households\/(\w+)\/phones\/(\w+)\/reveal$/, () => [200, { phone: '13900000001' }]],
  [/^\/contacts\/calls$/, (_, body) => record('电话', body)],
  [/^\/contacts\/visits$/, (_, body) => record('上门', body)],
  [/^\/promises$/, (_, body) => { promised(households.get(body.house_id), body); return [201, { promise_id: '1', state: 'open', reminder_day: body.day }] }],
  [/^\/holds\/(\w+)\/lift$/, ([, id]) => {
    for (const one of households.values()) one.holds = one.holds.filter((hold) => hold.id !== id)
    return [200, { id, kind: 'dispute', kind_text: '异议处理', lifted_at: AS_OF, bills_unfrozen: 1 }]
  }],
  [/^\/bill-runs\/preview$/, () => [200, { houses: 1420, bills: 1510, total_fen: 20296060, total_text: '202960.60', skipped: [{ house_code: '5-1-0101', reason_zh: '未交付，合同约定不计费' }], sample: [{ house_code: '3-1-1201', fee_name: '物业服务费', formula: '89.33㎡ × 1.60 元/㎡·月 × 1 个月', fen: 14293 }] }]],
  [/^\/bill-runs$/, () => { runs.set('9', { id: '9', state: 'running', houses_done: 0, houses_total: 1420, bills: 0, total_fen: 0 }); return [202, runs.get('9')] }],
  [/^\/waivers$/, () => refusal(409, 'waiver_over_limit', '减免金额超过您的权限', '请由项目经理提交。')],
  [/^\/refunds$/, () => [201, { out_refund_no: 'RF20261122000001', state: 'requested', needs_approval: true }]],
  [/^\/refunds\/(\w+)\/approve$/, ([, number]) => decideRefund(number, 'processing')],
  [/^\/refunds\/(\w+)\/reject$/, ([, number]) => decideRefund(number, 'rejected')],
]

function answer(method, path, query, body, headers) {
  if (path === '/fixtures/pay') return payAll(households.get(query.get('house'))), [200, {}]
  if (path === '/login') {
    if (body.password === 'wrong') return refusal(401, 'login_failed', '登录名或密码不正确', '请核对后重试；连续五次错误将锁定。')
    lastRole = ['finance', 'admin', 'lead', 'manager'].includes(body.login) ? body.login : 'steward'
    return [200, { token: 'fixture', expires_at: AS_OF, steward: { id: '1', name: '林管家', role: lastRole, company_name: '安居物业' } }]
  }
  if (headers.authorization !== 'Bearer fixture') return refusal(401, 'login_required', '请先登录')
  const key = headers['idempotency-key']
  if (method === 'POST' && !key) return refusal(422, 'idempotency_key_required', '缺少幂等键')
  if (key && answers.has(key)) return answers.get(key)
  for (const [pattern, handle] of method === 'GET' ? GET : POST) {
    const match = pattern.exec(path)
    if (!match) continue
    const result = method === 'GET' ? handle(match, query) : handle(match, body)
    if (key) answers.set(key, result)
    return result
  }
  return refusal(404, 'not_found', '没有找到该内容。')
}

createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost')
  let text = ''
  for await (const part of request) text += part
  const [status, body] = answer(request.method, url.pathname.replace('/admin/api/v1', ''), url.searchParams, text ? JSON.parse(text) : {}, request.headers)
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))
}).listen(PORT, '127.0.0.1', () => console.log(`fixtures on http://127.0.0.1:${PORT}`))
