// Preview, then run, then watch: what is run is exactly what was previewed.
import { computed, onBeforeUnmount, ref, shallowRef } from 'vue'
import { getBillRun, previewBillRun, runBills } from '@/api/endpoints'
import { Intent } from '@/api/intent'
import type { BillRun, BillRunInput, BillRunPreview } from '@/api/types'
import { complain, say } from '@/lib/notice'
import { useIntent } from '@/lib/useIntent'
import { zh } from '@/messages/zh'

export const RUN_TONES = { running: 'warning', done: 'success', failed: 'danger' } as const

const POLL_MS = 1000
const TRIES = 5

export function useBillRun(finished: () => void) {
  const preview = shallowRef<BillRunPreview | null>(null)
  const run = shallowRef<BillRun | null>(null)
  const previewing = ref(false)
  const starting = useIntent()
  const running = computed(() => run.value?.state === 'running')
  let previewed: BillRunInput | null = null
  let timer: ReturnType<typeof setTimeout> | undefined
  let gone = false

  async function tryOut(input: BillRunInput) {
    previewing.value = true
    preview.value = null
    run.value = null
    try {
      preview.value = await previewBillRun(input, new Intent())
      previewed = input
    } catch (error) {
      complain(error)
    } finally {
      previewing.value = false
    }
  }

  async function start() {
    const input = previewed
    if (!input) return
    const begun = await starting.submit((intent) => runBills(input, intent))
    if (!begun) return
    run.value = begun
    watchRun(begun.id, 0)
  }

  function watchRun(runId: string, failures: number) {
    if (gone) return
    timer = setTimeout(async () => {
      try {
        run.value = await getBillRun(runId)
      } catch {
        if (failures < TRIES) return watchRun(runId, failures + 1)
        return complainLost()
      }
      if (run.value.state === 'running') return watchRun(runId, 0)
      if (run.value.state === 'done') say(zh.billRuns.finished)
      finished()
    }, POLL_MS)
  }

  function complainLost() {
    say(zh.billRuns.lost)
    finished()
  }

  /** The conditions were changed: what was previewed no longer counts. */
  function forget() {
    preview.value = null
    previewed = null
  }

  onBeforeUnmount(() => {
    gone = true
    clearTimeout(timer)
  })

  return { preview, run, running, previewing, starting: starting.busy, tryOut, start, forget }
}
