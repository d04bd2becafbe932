import type { RecordType } from 'dns-packet'
import { Cache } from './cache.ts'
import { type Found, foundIn } from './found.ts'
import type { Upstream } from './upstream.ts'

const MAX_CACHED = 10_000
/** Characters of a cached answer: sandboxes and their name servers choose what there is to keep. */
const MAX_CACHED_SIZE = 4096
/** Of these the decoder gives parts of the whole message, which would be kept with them. */
const NEVER_CACHED: readonly RecordType[] = ['TXT', 'CAA']

/** Questions with their answers: from the cache, from one that is asked at this moment, or from the name servers. */
export class Lookup {
  readonly #upstream: Upstream
  readonly #cache = new Cache(MAX_CACHED)
  readonly #asked = new Map<string, Promise<Found>>()

  constructor(upstream: Upstream) {
    this.#upstream = upstream
  }

  /** What is known without asking. */
  known(name: string, type: RecordType): Found | null {
    return this.#cache.get(name, type)
  }

  /** @param name canonical. @throws when no name server gives an answer in time */
  ask(name: string, type: RecordType): Promise<Found> {
    const key = `${type} ${name}`
    const asked = this.#asked.get(key) ?? this.#ask(name, type).finally(() => this.#asked.delete(key))
    this.#asked.set(key, asked)
    return asked
  }

  async #ask(name: string, type: RecordType): Promise<Found> {
    const found = foundIn(await this.#upstream.ask(name, type), name, type)
    if (!NEVER_CACHED.includes(type) && sizeOf(found) <= MAX_CACHED_SIZE) this.#cache.set(name, type, found)
    return found
  }
}

function sizeOf({ chain, records }: Found): number {
  return JSON.stringify([...chain, ...records].map(({ data }) => data)).length
}
