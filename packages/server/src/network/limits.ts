import { readFileSync } from 'node:fs'

/** Connections to the proxies that may be open at once. Each takes two descriptors of the server. */
export interface Limits {
  perSandbox: number
  total: number
}

const MOST = 16_384
/** One sandbox leaves the others three quarters. */
const SHARE = 4

/** What this process can hold: half of its descriptors are for the API, agents and files. */
export function limitsOfProcess(limits = readLimits()): Limits {
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
  const total = Math.min(MOST, Math.floor(Number(soft ?? MOST * 4) / 4))
  return { perSandbox: Math.ceil(total / SHARE), total }
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return ''
  }
}
