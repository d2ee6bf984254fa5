// One function per operation of the admin API; pages call these and never build an address.
import { get, post, postAnonymous } from './http'
import type { Intent } from './intent'
import type * as T from './types'

const id = encodeURIComponent

export interface LoginAnswer {
  token: string
  expires_at: string
  steward: T.Steward
}

export const login = (name: string, password: string) =>
  postAnonymous<LoginAnswer>('/login', { login: name, password })

export const listWorklist = (cursor: string | null) => get<T.Worklist>('/worklist', { cursor })

export const searchHouseholds = (q: string, cursor: string | null = null) =>
  get<T.Page<T.HouseholdHit>>('/households', { q, cursor })

export const getHousehold = (houseId: string) => get<T.Household>(`/households/${id(houseId)}`)

export const revealPhone = (houseId: string, phoneId: string, reason: string, intent: Intent) =>
  post<{ phone: string }>(`/households/${id(houseId)}/phones/${id(phoneId)}/reveal`, { reason }, intent)

export const recordCall = (input: T.ContactInput, intent: Intent) =>
  post<{ contact_id: string; promise_id: string | null }>('/contacts/calls', input, intent)

export const recordVisit = (input: T.ContactInput, intent: Intent) =>
  post<{ contact_id: string; promise_id: string | null }>('/contacts/visits', input, intent)

export const recordPromise = (
  input: T.PromiseInput & { house_id: string; party_id: string },
  intent: Intent,
) => post<{ promise_id: string; state: string; reminder_day: string }>('/promises', input, intent)

export const liftHold = (
  holdId: string,
  input: { reason: string; owner_consent?: boolean },
  intent: Intent,
) => post<{ id: string; lifted_at: string; bills_unfrozen: number }>(`/holds/${id(holdId)}/lift`, input, intent)

export const listStewards = () => get<{ items: T.Colleague[] }>('/stewards')

export const listCommunities = () => get<{ items: T.Community[] }>('/communities')

export const previewBillRun = (input: T.BillRunInput, intent: Intent) =>
  post<T.BillRunPreview>('/bill-runs/preview', input, intent)

export const runBills = (input: T.BillRunInput, intent: Intent) =>
  post<T.BillRun>('/bill-runs', input, intent)

export const getBillRun = (runId: string) => get<T.BillRun>(`/bill-runs/${id(runId)}`)

export const listBillRuns = () => get<T.Page<T.BillRun>>('/bill-runs')

export const waive = (
  input: { bill_id: string; principal_fen: number; late_fee_fen: number; reason: string },
  intent: Intent,
) => post<{ bill: T.Bill }>('/waivers', input, intent)

export const refundPayment = (
  input: { out_trade_no: string; amount_fen: number; reason: string },
  intent: Intent,
) => post<T.RefundAnswer>('/refunds', input, intent)

export const approveRefund = (outRefundNo: string, intent: Intent) =>
  post<T.RefundAnswer>(`/refunds/${id(outRefundNo)}/approve`, {}, intent)

export const rejectRefund = (outRefundNo: string, reason: string, intent: Intent) =>
  post<T.RefundAnswer>(`/refunds/${id(outRefundNo)}/reject`, { reason }, intent)

export const listPayments = (state: string, cursor: string | null) =>
  get<T.Page<T.PaymentEntry>>('/payments', { state, cursor })

export const listExceptions = (cursor: string | null) =>
  get<T.Page<T.ExceptionEntry>>('/exceptions', { cursor })
