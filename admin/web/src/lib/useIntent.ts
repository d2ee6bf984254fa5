// One submit button: busy while it runs, frozen when nobody knows whether it was done.
import { ref } from 'vue'
import { ApiError } from '@/api/http'
import { Intent } from '@/api/intent'
import { complain } from './notice'

export function useIntent() {
  const busy = ref(false)
  /** The last answer got lost: the form must go out again exactly as it was, or be closed. */
  const unsure = ref(false)
  const intent = new Intent()

  /** Runs the call with this intent's key; undefined when it failed (already shown). */
  async function submit<T>(call: (intent: Intent) => Promise<T>): Promise<T | undefined> {
    if (busy.value) return undefined
    busy.value = true
    try {
      const answer = await call(intent)
      unsure.value = false
      return answer
    } catch (error) {
      unsure.value = error instanceof ApiError && error.outcomeUnknown
      complain(error)
      return undefined
    } finally {
      busy.value = false
    }
  }

  return { busy, unsure, submit }
}
