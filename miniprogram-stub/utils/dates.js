/** Days are "YYYY-MM-DD" in China; instants are ISO with Z and are shown in Chinese time. */
const CHINA_MS = 8 * 3600000;
const DAY_MS = 24 * 3600000;

/** Return "2026-03-01" as "2026年3月1日". */
function dayText(day) {
  const [year, month, date] = day.split('-').map(Number);
  return `${year}年${month}月${date}日`;
}

/** Return an instant as "2026年3月1日 09:05" in China. */
function instantText(instant) {
  const local = new Date(Date.parse(instant) + CHINA_MS).toISOString();
  return `${dayText(local.slice(0, 10))} ${local.slice(11, 16)}`;
}

/** Return the day in China of a moment (milliseconds), now by default. */
function today(at = Date.now()) {
  return new Date(at + CHINA_MS).toISOString().slice(0, 10);
}

/** Return the day n days later. */
function addDays(day, n) {
  return new Date(Date.parse(`${day}T00:00:00Z`) + n * DAY_MS).toISOString().slice(0, 10);
}

module.exports = { addDays, dayText, instantText, today };
