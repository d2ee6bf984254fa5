// A household as it is now: read again while the page is open, so that nobody calls somebody
// who has paid in the meantime (C27).
import { computed, onBeforeUnmount, onMounted, ref, shallowRef } from 'vue'
import { getHousehold } from '@/api/endpoints'
import { ApiError } from '@/api/http'
import type { Household, Party } from '@/api/types'
import { businessDay } from '@/lib/dates'
import { complain } from '@/lib/notice'
import { zh } from '@/messages/zh'
import { isPaid, overdueMax } from './facts'

export const POLL_MS = 20_000

export function useHousehold(houseId: () => string) {
  const household = shallowRef<Household | null>(null)
  /** Why there is nothing to show; "" while there is, or while it is being read. */
  const failed = ref('')
  const paidJustNow = ref(false)
  const paid = computed(() => household.value !== null && isPaid(household.value))
  const today = computed(() => (household.value ? businessDay(household.value.as_of) : ''))
  const liable = computed<Party[]>(() => household.value?.parties.filter((p) => p.liable) ?? [])
  const overdue = computed(() => (household.value ? overdueMax(household.value.bills) : 0))
  let asked = 0

  /** Reads again; true when it came through. A background read fails silently. */
  async function refresh(quietly = false): Promise<boolean> {
    const mine = ++asked
    try {
      const fresh = await getHousehold(houseId())
      if (mine !== asked) return true
      if (household.value && !isPaid(household.value) && isPaid(fresh)) paidJustNow.value = true
      household.value = fresh
      failed.value = ''
      return true
    } catch (error) {
      if (!household.value) failed.value = error instanceof ApiError ? error.messageZh : zh.error.unexpected
      if (!quietly) complain(error)
      return false
    }
  }

  function refreshIfSeen() {
    if (document.visibilityState === 'visible' && household.value) void refresh(true)
  }

  let timer: ReturnType<typeof setInterval>
  onMounted(() => {
    void refresh()
    timer = setInterval(refreshIfSeen, POLL_MS)
    document.addEventListener('visibilitychange', refreshIfSeen)
  })
  onBeforeUnmount(() => {
    clearInterval(timer)
    document.removeEventListener('visibilitychange', refreshIfSeen)
  })

  return { household, failed, paid, paidJustNow, today, liable, overdue, refresh }
}
