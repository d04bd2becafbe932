import type { RecordType } from 'dns-packet'
import type { Found } from './found.ts'

interface Kept {
  readonly found: Found
  readonly since: number
  readonly until: number
}

/** Answers of name servers, each for its lifetime; the least recently used goes when there are too many. */
export class Cache {
  readonly #kept = new Map<string, Kept>()
  readonly #max: number
  readonly #now: () => number

  /** @param now milliseconds of a clock that is never set back */
  constructor(max: number, now: () => number = () => performance.now()) {
    this.#max = max
    this.#now = now
  }

  get size(): number {
    return this.#kept.size
  }

  /** The answer with what is left of its lifetime. */
  get(name: string, type: RecordType): Found | null {
    const key = `${type} ${name}`
    const kept = this.#kept.get(key)
    if (kept === undefined) return null
    this.#kept.delete(key)
    if (kept.until <= this.#now()) return null
    this.#kept.set(key, kept)
    const age = Math.floor((this.#now() - kept.since) / 1000)
    const older = <T extends { ttl: number }>(record: T): T => ({
      ...record,
      ttl: Math.max(0, record.ttl - age),
    })
    const { found } = kept
    return {
      ...found,
      chain: found.chain.map(older),
      records: found.records.map(older),
      ttl: found.ttl - age,
    }
  }

  /** Nothing is kept of an answer without a lifetime. */
  set(name: string, type: RecordType, found: Found): void {
    if (found.ttl <= 0) return
    const since = this.#now()
    this.#kept.delete(`${type} ${name}`)
    this.#kept.set(`${type} ${name}`, { found, since, until: since + found.ttl * 1000 })
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#max) break
      this.#kept.delete(oldest)
    }
  }
}
