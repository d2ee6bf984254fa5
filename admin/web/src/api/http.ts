// The one road to the admin API: token, idempotency key, retries, and one error shape.
import { zh } from '@/messages/zh'
import type { Intent } from './intent'
import { closeSession, token } from './session'

const BASE = '/admin/api/v1'

export const httpSettings = {
  timeoutMs: 15_000,
  /** Pauses before the second and third try of the same request, same key. */
  retryPausesMs: [600, 1800],
  /** What to do when the server no longer knows this token. */
  onLoginRequired: () => {},
}

export interface ErrorBody {
  code?: string
  message?: string
  message_zh?: string
  legal_basis?: string
  what_to_do?: string
  fields?: Record<string, unknown>
}

/** Any answer other than 2xx, or none at all (`status` 0). Texts are ready to be shown. */
export class ApiError extends Error {
  readonly code: string
  readonly messageZh: string
  readonly whatToDo: string | undefined
  readonly legalBasis: string | undefined
  readonly fields: Record<string, unknown> | undefined

  constructor(
    readonly status: number,
    body: ErrorBody,
  ) {
    super(body.message ?? body.code ?? `http ${status}`)
    this.code = body.code ?? `http_${status}`
    this.messageZh = body.message_zh ?? zh.error.server
    this.whatToDo = body.what_to_do
    this.legalBasis = body.legal_basis
    this.fields = body.fields
  }

  /** Nobody knows whether it was done: only the same content with the same key may follow. */
  get outcomeUnknown(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504
  }
}

export type Query = Record<string, string | number | null | undefined>

interface Call {
  method: 'GET' | 'POST'
  query?: Query
  body?: unknown
  intent?: Intent
  /** The log-in itself: a 401 means "wrong password", not "log in again". */
  anonymous?: boolean
}

function address(path: string, query: Query = {}): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') params.set(name, String(value))
  }
  const text = params.toString()
  return `${BASE}${path}${text ? `?${text}` : ''}`
}

function headersOf(call: Call, content: string | undefined): Record<string, string> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  const known = token()
  if (known && !call.anonymous) headers.Authorization = `Bearer ${known}`
  if (content !== undefined) headers['Content-Type'] = 'application/json'
  return headers
}

async function once(url: string, init: RequestInit): Promise<Response> {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(), httpSettings.timeoutMs)
  try {
    return await fetch(url, { ...init, signal: abort.signal })
  } catch {
    throw new ApiError(0, {
      code: 'network',
      message_zh: zh.error.network,
      what_to_do: init.method === 'POST' ? zh.error.networkPost : zh.error.networkGet,
    })
  } finally {
    clearTimeout(timer)
  }
}

async function answerOf<T>(response: Response): Promise<T> {
  const text = await response.text()
  let body: unknown = null
  try {
    body = text ? JSON.parse(text) : null
  } catch {
    body = null
  }
  if (response.ok && body !== null) return body as T
  if (response.ok) throw new ApiError(response.status, { code: 'bad_answer' })
  throw new ApiError(response.status, (body ?? {}) as ErrorBody)
}

async function withRetries<T>(url: string, init: RequestInit): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await answerOf<T>(await once(url, init))
    } catch (error) {
      const pause = httpSettings.retryPausesMs[attempt]
      if (!(error instanceof ApiError) || !error.outcomeUnknown || pause === undefined) throw error
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
}

async function send<T>(path: string, call: Call): Promise<T> {
  const content = call.body === undefined ? undefined : JSON.stringify(call.body)
  const headers = headersOf(call, content)
  if (call.intent) headers['Idempotency-Key'] = call.intent.keyFor(`${path} ${content ?? ''}`)
  const init: RequestInit = { method: call.method, headers, cache: 'no-store' }
  if (content !== undefined) init.body = content
  try {
    return await withRetries<T>(address(path, call.query), init)
  } catch (error) {
    if (error instanceof ApiError && error.status === 401 && !call.anonymous) {
      closeSession()
      httpSettings.onLoginRequired()
    }
    throw error
  }
}

export function get<T>(path: string, query?: Query): Promise<T> {
  return send<T>(path, query ? { method: 'GET', query } : { method: 'GET' })
}

export function post<T>(path: string, body: unknown, intent: Intent): Promise<T> {
  return send<T>(path, { method: 'POST', body, intent })
}

export function postAnonymous<T>(path: string, body: unknown): Promise<T> {
  return send<T>(path, { method: 'POST', body, anonymous: true })
}
