import type { Router } from 'vue-router'
import { closeSession } from '@/api/session'

/** Forgets the token and leaves nothing of the last person on the screen or in memory. */
export async function logOut(router: Router): Promise<void> {
  closeSession()
  await router.replace({ name: 'login' })
  window.location.reload()
}
