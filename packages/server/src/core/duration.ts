import { invalid } from './invalid.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** The longest duration that is accepted, in milliseconds: 365 days. */
export const MAX_DURATION_MS = 365 * DAY

/** Units from the longest to the shortest, each at most once: "1h30m" is one, "30m1h" and "1h1h" are none. */
const TEXT = /^(?:(\d{1,12})d)?(?:(\d{1,12})h)?(?:(\d{1,12})m(?!s))?(?:(\d{1,12})s)?(?:(\d{1,12})ms)?$/
const UNITS = [DAY, HOUR, MINUTE, SECOND, 1]

/**
 * Milliseconds from a number of them or from text: "500ms", "30s", "5m", "1h30m", "7d", "0".
 * @throws SandboxError `invalid_request` naming `path`
 */
export function parseDuration(value: string | number, path: string): number {
  const ms = typeof value === 'number' ? value : parseText(value)
  if (ms === null || !Number.isInteger(ms) || ms < 0) {
    const hint = typeof value === 'string' && /^\d+$/.test(value) ? `; say the unit, as in "${value}s"` : ''
    throw invalid(
      path,
      `${JSON.stringify(value)} is no duration such as 500 (ms), "30s", "1h30m" or "7d"${hint}`,
    )
  }
  if (ms > MAX_DURATION_MS) throw invalid(path, `${JSON.stringify(value)} is longer than 365 days`)
  return ms
}

function parseText(text: string): number | null {
  if (text === '0') return 0
  const match = TEXT.exec(text)
  if (match === null || text === '') return null
  return UNITS.reduce((sum, unit, i) => sum + Number(match[i + 1] ?? 0) * unit, 0)
}
