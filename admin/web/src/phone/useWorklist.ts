// The worklist page by page; what was recorded on another page makes it read again.
import { computed, ref, shallowRef } from 'vue'
import { listWorklist } from '@/api/endpoints'
import type { Worklist, WorkItem } from '@/api/types'
import { businessDay } from '@/lib/dates'
import { complain } from '@/lib/notice'

/** Set when a contact or promise was recorded: the list has changed. */
export const worklistStale = ref(false)

export function useWorklist() {
  const items = shallowRef<WorkItem[]>([])
  const counts = ref<Worklist['counts'] | null>(null)
  const asOf = ref('')
  const cursor = ref<string | null>(null)
  const loading = ref(false)
  const refreshing = ref(false)
  const finished = ref(false)
  const failed = ref(false)
  const today = computed(() => (asOf.value ? businessDay(asOf.value) : ''))
  let generation = 0

  async function load(fresh: boolean): Promise<void> {
    const mine = fresh ? ++generation : generation
    loading.value = true
    try {
      const page = await listWorklist(fresh ? null : cursor.value)
      if (mine !== generation) return
      const known = new Set(fresh ? [] : items.value.map((item) => item.task_id))
      const added = page.items.filter((item) => !known.has(item.task_id))
      items.value = fresh ? added : [...items.value, ...added]
      counts.value = page.counts
      asOf.value = page.as_of
      cursor.value = page.next_cursor
      finished.value = page.next_cursor === null
      failed.value = false
      if (fresh) worklistStale.value = false
    } catch (error) {
      if (mine !== generation) return
      failed.value = true
      complain(error)
    } finally {
      if (mine === generation) {
        loading.value = false
        refreshing.value = false
      }
    }
  }

  const more = () => load(items.value.length === 0)
  const reload = () => load(true)

  return { items, counts, asOf, today, loading, refreshing, finished, failed, more, reload }
}
