// The form behind "record a call" and "record a visit": what is missing, and what is sent.
import { computed, reactive, ref, watch } from 'vue'
import { recordCall, recordVisit } from '@/api/endpoints'
import type { ContactInput, PromiseInput } from '@/api/types'
import { useIntent } from '@/lib/useIntent'
import { zh } from '@/messages/zh'
import { suggestedReason, type ContactKind } from './choices'

export interface ContactDraft {
  partyId: string
  result: string
  reason: string
  note: string
  secondId: string
}

interface Setting {
  kind: ContactKind
  houseId: string
  taskId: string | null
  partyId: string
}

/** The first thing that is missing, in the order of the form; "" when it can be sent. */
export function missingIn(kind: ContactKind, draft: ContactDraft): string {
  if (!draft.partyId) return zh.record.pickParty
  if (kind === 'visit' && !draft.secondId) return zh.record.pickSecond
  if (!draft.result) return zh.record.pickResult
  if (!draft.reason) return zh.record.pickReason
  return ''
}

export function inputOf(
  setting: Setting,
  draft: ContactDraft,
  promise: PromiseInput | null,
): ContactInput {
  const input: ContactInput = {
    house_id: setting.houseId,
    party_id: draft.partyId,
    result: draft.result,
    reason_code: draft.reason,
  }
  if (setting.kind === 'visit') input.second_steward_id = draft.secondId
  if (draft.note.trim()) input.note = draft.note.trim()
  if (setting.taskId) input.task_id = setting.taskId
  if (promise) input.promise = promise
  return input
}

export function useContactForm(setting: Setting) {
  const draft = reactive<ContactDraft>({
    partyId: setting.partyId,
    result: '',
    reason: '',
    note: '',
    secondId: '',
  })
  const problem = ref('')
  const wantsPromise = computed(() => draft.result === 'promised')
  const hint = computed(() => zh.record.hints[draft.result] ?? '')
  const { busy, unsure, submit } = useIntent()
  let suggested = ''

  watch(
    () => draft.result,
    (result) => {
      // Only replace what we suggested ourselves; a reason that was picked by hand stays.
      if (draft.reason === suggested) draft.reason = suggestedReason(result)
      suggested = suggestedReason(result)
    },
  )

  /** Sends the record; the promise is asked for only when the result is one. */
  async function save(promise: () => PromiseInput | string | null) {
    problem.value = missingIn(setting.kind, draft)
    if (problem.value) return undefined
    const given = wantsPromise.value ? promise() : null
    if (typeof given === 'string') {
      problem.value = given
      return undefined
    }
    const input = inputOf(setting, draft, given)
    const record = setting.kind === 'call' ? recordCall : recordVisit
    return submit((intent) => record(input, intent))
  }

  return { draft, problem, wantsPromise, hint, busy, unsure, save }
}
