// One place for what the page has to say: errors with their way out, and short confirmations.
import { ref } from 'vue'
import { ApiError } from '@/api/http'
import { zh } from '@/messages/zh'

export interface Notice {
  id: number
  tone: 'error' | 'success'
  title: string
  details: string[]
}

const SHOWN_MS = { error: 9000, success: 2600 }

export const notices = ref<Notice[]>([])
let lastId = 0

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id)
}

function show(tone: Notice['tone'], title: string, details: string[] = []): void {
  const id = ++lastId
  notices.value = [...notices.value.filter((n) => n.title !== title).slice(-1), { id, tone, title, details }]
  setTimeout(() => dismiss(id), SHOWN_MS[tone])
}

export function say(title: string): void {
  show('success', title)
}

/** Shows a refusal as the server worded it: the reason, what to do, the legal basis. */
export function complain(error: unknown): void {
  if (!(error instanceof ApiError)) {
    show('error', zh.error.unexpected, [zh.error.reload])
    console.error(error)
    return
  }
  if (error.code === 'login_required') return
  const details = Object.values(error.fields ?? {})
    .map(String)
    .filter((text) => !error.messageZh.includes(text))
  if (error.whatToDo) details.push(error.whatToDo)
  if (error.legalBasis) details.push(`${zh.error.basis}${error.legalBasis}`)
  show('error', error.messageZh, details)
}
