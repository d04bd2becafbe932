import { invalid } from './invalid.ts'

/** Kubernetes quantities, the part of them that makes sense for memory, disk and CPU. No signs, exponents or spaces. */

const BINARY = { Ti: 1024n ** 4n, Gi: 1024n ** 3n, Mi: 1024n ** 2n, Ki: 1024n } as const
const BYTES: Record<string, bigint> = {
  ...BINARY,
  T: 10n ** 12n,
  G: 10n ** 9n,
  M: 10n ** 6n,
  k: 1000n,
  '': 1n,
}
const MILLIS: Record<string, bigint> = { '': 1000n, m: 1n }

/**
 * Bytes: "512Mi", "1.5Gi", "2G", "1048576". A fraction of a byte counts as a whole one.
 * @throws SandboxError `invalid_request` naming `path`
 */
export function parseBytes(text: string, path: string): number {
  const bytes = parse(text, BYTES)
  if (bytes !== null) return bytes
  const meant = /^(\d+(?:\.\d+)?)m$/.exec(text)?.[1]
  const hint = meant === undefined ? '' : `; "m" is a thousandth, write "${meant}Mi" for mebibytes`
  throw invalid(path, `${JSON.stringify(text)} is no number of bytes such as "512Mi", "1.5Gi" or "2G"${hint}`)
}

/**
 * CPUs as thousandths: "500m" is 500, "2" is 2000, "0.5" is 500.
 * @throws SandboxError `invalid_request` naming `path`
 */
export function parseCpu(text: string, path: string): number {
  const millis = parse(text, MILLIS)
  if (millis !== null) return millis
  throw invalid(path, `${JSON.stringify(text)} is no number of CPUs such as "500m", "0.5" or "2"`)
}

/** The shortest exact quantity: "1536Mi", "4Gi", "1000". */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of Object.entries(BINARY)) {
    if (bytes > 0 && BigInt(bytes) % size === 0n) return `${BigInt(bytes) / size}${unit}`
  }
  return String(bytes)
}

/** "2" or "500m". */
export function formatCpu(millis: number): string {
  return millis % 1000 === 0 ? String(millis / 1000) : `${millis}m`
}

/** Counts in integers, because 1.1 × 10⁹ in floating point is one byte too many. */
function parse(text: string, units: Record<string, bigint>): number | null {
  const match = /^(\d{1,19})(?:\.(\d{1,9}))?([A-Za-z]{0,2})$/.exec(text)
  if (match === null) return null
  const [, whole = '', fraction = '', unit = ''] = match
  const size = Object.hasOwn(units, unit) ? units[unit] : undefined
  if (size === undefined) return null
  const divisor = 10n ** BigInt(fraction.length)
  const value = (BigInt(whole + fraction) * size + divisor - 1n) / divisor
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : null
}
