// Who is logged in: the token lives in this tab only (sessionStorage) and is gone when it closes.
import { shallowRef } from 'vue'
import type { Steward } from './types'

const TOKEN = 'jiaoqing.token'
const STEWARD = 'jiaoqing.steward'

function stored(): Steward | null {
  try {
    return JSON.parse(sessionStorage.getItem(STEWARD) ?? 'null') as Steward | null
  } catch {
    return null
  }
}

export const steward = shallowRef<Steward | null>(stored())

export function token(): string | null {
  return sessionStorage.getItem(TOKEN)
}

export function openSession(newToken: string, who: Steward): void {
  sessionStorage.setItem(TOKEN, newToken)
  sessionStorage.setItem(STEWARD, JSON.stringify(who))
  steward.value = who
}

export function closeSession(): void {
  sessionStorage.removeItem(TOKEN)
  sessionStorage.removeItem(STEWARD)
  steward.value = null
}
