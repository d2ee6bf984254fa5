// A keyset list: read the first page, then more, with the answer of an older question dropped.
import { ref, shallowRef } from 'vue'
import type { Page } from '@/api/types'
import { complain } from './notice'

export function usePages<T>(read: (cursor: string | null) => Promise<Page<T>>) {
  const items = shallowRef<T[] | null>(null)
  const cursor = ref<string | null>(null)
  const busy = ref(false)
  let question = 0

  async function load(more: boolean) {
    const mine = ++question
    busy.value = true
    try {
      const page = await read(more ? cursor.value : null)
      if (mine !== question) return
      items.value = more ? [...(items.value ?? []), ...page.items] : page.items
      cursor.value = page.next_cursor
    } catch (error) {
      if (mine === question) complain(error)
    } finally {
      if (mine === question) busy.value = false
    }
  }

  return { items, cursor, busy, first: () => load(false), more: () => load(true) }
}
