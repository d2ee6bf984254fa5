// Shapes of the admin API, as far as this page reads them. Money is fen, days are Shanghai days.

export type Role = 'steward' | 'lead' | 'finance' | 'manager' | 'admin'

export interface Steward {
  id: string
  name: string
  role: Role
  company_name: string
}

export interface Page<T> {
  items: T[]
  next_cursor: string | null
}

export interface Permission {
  allowed: boolean
  code?: string | null
  reason_zh?: string | null
  next_at?: string | null
}

export interface WorkItem {
  task_id: string
  kind: 'call' | 'visit' | 'promise_broken'
  kind_text: string
  stage: string
  stage_text: string
  due_day: string
  house_id: string
  house_code: string
  community_name: string
  party_id: string
  party_name: string
  open_fen: number
  open_text: string
  overdue_days: number
  bill_count: number
  last_contact: { at: string; kind_text: string; result_text: string } | null
  contact_allowed: Permission
}

export interface Worklist extends Page<WorkItem> {
  as_of: string
  counts: { open: number; done_today: number }
}

export interface HouseholdHit {
  house_id: string
  house_code: string
  community_name: string
  party_name: string
  open_fen: number
  open_text: string
  /** False: never billed, so there is nothing it could have paid. */
  billed: boolean
}

export interface BillLine {
  formula: string
  fen: number
  text: string
  standard_name: string
  basis: string
}

export interface LateFeeSpan {
  from: string
  to: string
  days: number
  base_fen: number
  rate_text: string
  exact_text: string
}

export interface Bill {
  id: string
  house_id: string
  /** Who owes it; several parties may owe at one house (C12). */
  party_id?: string
  house_label: string
  fee_name: string
  period_from: string
  period_to: string
  period_text: string
  due_date: string
  overdue_days: number
  due_fen: number
  paid_fen: number
  waived_fen: number
  credited_fen: number
  open_fen: number
  late_fee_fen: number
  late_fee_text: string
  payable_fen: number
  payable_text: string
  state: 'open' | 'part_paid' | 'paid' | 'reversed'
  state_text: string
  late_fee_explained: LateFeeSpan[]
  lines: BillLine[]
}

export interface Totals {
  open_fen: number
  late_fee_fen: number
  payable_fen: number
  payable_text: string
}

export interface Phone {
  id: string
  masked: string
  source_text: string
  state: string
}

export interface Party {
  party_id: string
  name: string
  role_text: string
  liable: boolean
  phones: Phone[]
}

export interface ContactEntry {
  id: string
  at: string
  kind_text: string
  result_text: string
  reason_text: string
  note: string | null
  steward_name: string
  second_name: string | null
}

export interface PromiseEntry {
  id: string
  amount_fen: number
  amount_text: string
  day: string
  state: string
  state_text: string
  made_by: string
}

export interface MessageEntry {
  id: string
  at: string
  channel_text: string
  event_text: string
  state_text: string
  text: string
}

export interface Hold {
  id: string
  kind: string
  kind_text: string
  until_day: string | null
  reason: string
  /** False for a promise: it ends with its day, or by a new one. */
  liftable: boolean
}

export interface PaymentEntry {
  out_trade_no: string
  channel_text: string
  state?: string
  state_text: string
  amount_fen?: number
  amount_text: string
  refunded_fen?: number
  at: string
  house_id?: string
  house_code?: string
  community_name?: string
}

export interface Household {
  house: {
    id: string
    code: string
    community_name: string
    building: string
    area_text: string
    use_text: string
    occupancy_text: string
  }
  parties: Party[]
  /** Whom the totals are about; the first liable party when missing. */
  primary_party_id?: string | null
  bills: Bill[]
  totals: Totals
  credit_fen: number
  contacts: ContactEntry[]
  promises: PromiseEntry[]
  messages: MessageEntry[]
  holds: Hold[]
  payments: PaymentEntry[]
  contact_allowed: { call: Permission; visit: Permission }
  brief: { headline: string; points: string[] } | null
  as_of: string
}

export interface PromiseInput {
  amount_fen: number
  day: string
  pay_by: string
}

export interface ContactInput {
  house_id: string
  party_id: string
  result: string
  reason_code: string
  note?: string
  task_id?: string
  second_steward_id?: string
  promise?: PromiseInput
}

export interface Colleague {
  id: string
  name: string
  role: Role
}

export interface Community {
  id: string
  code: string
  name: string
  houses: number
  open_fen: number
  overdue_fen: number
  collected_fen: number
  collection_rate_text: string
}

export interface BillRunInput {
  community_id: string
  period_from: string
  /** The day after the last one. */
  period_to: string
}

export interface BillRunSample {
  house_code?: string
  fee_name?: string
  formula?: string
  text?: string
  fen?: number
}

export interface BillRunPreview {
  houses: number
  bills: number
  total_fen: number
  total_text: string
  skipped: { house_code: string; reason_zh: string }[]
  sample: BillRunSample[]
}

export interface BillRun {
  id: string
  state: 'running' | 'done' | 'failed'
  houses_done?: number
  houses_total?: number
  bills?: number
  total_fen?: number
  community_name?: string
  period_from?: string
  period_to?: string
}

export interface WaitingRefund {
  out_refund_no: string
  amount_fen: number
  amount_text: string
  requested_by: string
  /** Asked for by the reader, who may not decide about it. */
  mine: boolean
}

export interface ExceptionEntry {
  kind: string
  kind_text?: string
  id: string
  at: string
  reason: string
  /** Only with the kind `waiting_refund`. */
  refund?: WaitingRefund | null
}

export interface RefundAnswer {
  out_refund_no: string
  state: string
  state_text?: string
  needs_approval: boolean
}
