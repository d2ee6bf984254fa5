// Business days are "YYYY-MM-DD" in Shanghai; instants arrive as UTC and are shown in Shanghai.
// "Today" always comes from the server's `as_of`: the browser's clock decides nothing here.

const SHANGHAI = new Intl.DateTimeFormat('en-CA', {
  timeZone: 'Asia/Shanghai',
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
})

interface Parts {
  day: string
  time: string
}

function shanghai(instant: string): Parts | null {
  const at = new Date(instant)
  if (Number.isNaN(at.getTime())) return null
  const part = Object.fromEntries(SHANGHAI.formatToParts(at).map((p) => [p.type, p.value]))
  return { day: `${part.year}-${part.month}-${part.day}`, time: `${part.hour}:${part.minute}` }
}

/** The business day of a day or an instant: "2026-11-21T17:00:00Z" → "2026-11-22". */
export function businessDay(value: string): string {
  if (/^\d{4}-\d{2}-\d{2}$/.test(value)) return value
  return shanghai(value)?.day ?? value.slice(0, 10)
}

/** "2026-11-21" → "11月21日"; with the year in front when it differs from `today`'s. */
export function dayText(day: string, today?: string): string {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day)
  if (!match) return day
  const text = `${Number(match[2])}月${Number(match[3])}日`
  return today && today.slice(0, 4) !== match[1] ? `${match[1]}年${text}` : text
}

/** "2026-11-21T06:05:00Z" → "11月21日 14:05" (Shanghai). */
export function instantText(instant: string, today?: string): string {
  const parts = shanghai(instant)
  return parts ? `${dayText(parts.day, today)} ${parts.time}` : instant
}

/** Whole days from one business day to another; negative when `to` is earlier. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00Z`) - Date.parse(`${from}T00:00Z`)) / 86_400_000)
}

/** A business day some days later (or earlier, with a negative count). */
export function addDays(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00Z`) + days * 86_400_000).toISOString().slice(0, 10)
}

/** The first day of the month after a "YYYY-MM": where a period up to that month ends, exclusive. */
export function monthAfter(month: string): string {
  const [year, number] = month.split('-').map(Number)
  return new Date(Date.UTC(year!, number!, 1)).toISOString().slice(0, 10)
}

/** A period [from, to) as people read it: both days inclusive. */
export function periodText(from: string, to: string): string {
  return `${from} – ${addDays(to, -1)}`
}
