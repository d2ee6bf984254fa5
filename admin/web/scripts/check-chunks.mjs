// Builds in memory and proves the split: what a phone loads holds no Element Plus, what a desk
// loads holds no Vant, and the log-in holds neither. Exit code 1 when it does.
import { gzipSync } from 'node:zlib'
import { build } from 'vite'

const PAGES = {
  'log-in': { from: ['src/main.ts', 'src/shared/LoginPage.vue'], without: ['element-plus', 'vant'], budgetKb: 70 },
  phone: { from: ['src/main.ts', 'src/phone/'], without: ['element-plus', '@vueuse', 'dayjs'], budgetKb: 130 },
  desk: { from: ['src/main.ts', 'src/desk/'], without: ['vant'], budgetKb: 260 },
}

const result = await build({ logLevel: 'error', build: { write: false } })
const chunks = new Map(
  [result].flat().flatMap((one) => one.output).filter((o) => o.type === 'chunk').map((c) => [c.fileName, c]),
)

/** Chunks that hold a start module, and everything they import statically. */
function loaded(starts) {
  const seen = new Set()
  const visit = (name) => {
    const chunk = chunks.get(name)
    if (!chunk || seen.has(name)) return
    seen.add(name)
    chunk.imports.forEach(visit)
  }
  for (const [name, chunk] of chunks) {
    const ids = [chunk.facadeModuleId ?? '', ...(chunk.isEntry ? chunk.moduleIds : [])]
    if (starts.some((start) => ids.some((id) => id.includes(`/${start}`)))) visit(name)
  }
  return [...seen].map((name) => chunks.get(name))
}

let bad = 0
for (const [page, { from, without, budgetKb }] of Object.entries(PAGES)) {
  const parts = loaded(from)
  const modules = parts.flatMap((chunk) => chunk.moduleIds)
  const kb = parts.reduce((sum, chunk) => sum + gzipSync(chunk.code).length, 0) / 1024
  if (modules.length === 0 || !from.every((start) => modules.some((id) => id.includes(`/${start}`)))) {
    console.error(`check:chunks ${page}: start modules not found`)
    bad += 1
  }
  for (const name of without) {
    const found = modules.filter((id) => id.includes(`/node_modules/${name}/`))
    if (found.length === 0) continue
    console.error(`check:chunks ${page}: loads ${name} (${found.length} modules, first ${found[0]})`)
    bad += 1
  }
  const over = kb > budgetKb
  if (over) bad += 1
  console.log(`check:chunks ${page}: ${parts.length} chunks, ${kb.toFixed(1)} KB gzip js (limit ${budgetKb})${over ? ' TOO LARGE' : ''}`)
}
process.exit(bad ? 1 : 0)
