/** Which names a sandbox was told the addresses of. */

/** Seconds for which a name that was asked for counts. */
const REMEMBERED = 3600
/** Names of one sandbox. */
const MAX_NAMES = 1000

interface Told {
  readonly addresses: ReadonlySet<string>
  readonly at: number
}

export class NamesTold {
  readonly #told = new Map<string, Told>()
  readonly #now: () => number

  /** @param now milliseconds of a clock that is never set back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Both families of a name are kept: one lookup has two questions. */
  add(name: string, addresses: readonly string[]): void {
    if (addresses.length === 0) return
    const known = this.#told.get(name)?.addresses ?? []
    // What rotates through hundreds of addresses is known by its latest.
    const all = new Set([...addresses, ...known].slice(0, 64))
    this.#told.delete(name)
    this.#told.set(name, { addresses: all, at: this.#now() })
    const [oldest] = this.#told.keys()
    if (this.#told.size > MAX_NAMES && oldest !== undefined) this.#told.delete(oldest)
  }

  /** The name that an address was told for last. */
  nameOf(address: string): string | null {
    let last: string | null = null
    for (const [name, { addresses }] of this.recent()) if (addresses.has(address)) last = name
    return last
  }

  /** Oldest first. */
  *recent(): Generator<[string, Told]> {
    const since = this.#now() - REMEMBERED * 1000
    for (const entry of this.#told) if (entry[1].at >= since) yield entry
  }
}
