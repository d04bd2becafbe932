import type { NetworkLogEntry } from '@caisson/protocol/resources'
import { newEvent } from '../../core/events.ts'
import type { Observation } from '../../core/network/types.ts'
import type { DestinationRecord, EventRecord } from '../../core/records.ts'
import type { Log } from '../../log.ts'
import type { Store } from '../../state/store.ts'
import { type Entry, Refusals, silence } from './refusals.ts'

/** Refusals are written together, so often at most, in ms. */
const WRITE_MS = 200
/** Destinations are written, and repeats looked at, so often, in ms. */
const SWEEP_MS = 10_000
/** Kept of one sandbox, events of refusals with those that tell of silence. */
const MAX_TOLD = 1000
/** Destinations kept of one sandbox. */
export const MAX_DESTINATIONS = 512

export const LOG_TYPES = ['network:refused', 'network:silenced'] as const

/** What is not written yet of one sandbox. */
class Page {
  readonly refusals = new Refusals()
  destinations = new Map<string, DestinationRecord>()
  /** Events that are stored of it; null until the store was asked. */
  told: number | null = null
}

/**
 * Remembers what sandboxes tried: refusals as events, and what they reached as a table of destinations. Sandboxes
 * decide how much there is to tell, so that everything here has a bound, in memory and in the store. A crash loses
 * what was seen in the last seconds.
 */
export class Ledger {
  readonly #store: Pick<Store, 'events' | 'destinations'>
  readonly #log: Log
  readonly #pages = new Map<string, Page>()
  #write: NodeJS.Timeout | null = null
  #sweep: NodeJS.Timeout | null = null
  #writing: Promise<void> = Promise.resolve()

  constructor(store: Pick<Store, 'events' | 'destinations'>, log: Log) {
    this.#store = store
    this.#log = log
  }

  /** @returns the entry that will tell it, to be completed within the next milliseconds; null when there is none. */
  observe(sandbox: string, what: Observation, now = Date.now()): Entry | null {
    const page = this.#pages.get(sandbox) ?? new Page()
    this.#pages.set(sandbox, page)
    this.#sweep ??= setInterval(() => void this.sweep(), SWEEP_MS).unref()
    if (what.verdict === 'allowed') {
      count(page, sandbox, what, now)
      return null
    }
    const entry = page.refusals.add(what, now)
    if (page.refusals.waiting)
      this.#write ??= setTimeout(() => {
        this.#write = null
        void this.flush()
      }, WRITE_MS).unref()
    return entry
  }

  /** Tells repeats whose minute is over, and writes what was counted. Pages with nothing new are closed. */
  async sweep(now = Date.now()): Promise<void> {
    for (const page of this.#pages.values()) page.refusals.sweep(now)
    await this.flush()
    for (const [id, page] of this.#pages)
      if (page.refusals.empty && page.destinations.size === 0) this.#pages.delete(id)
    if (this.#pages.size > 0) return
    clearInterval(this.#sweep ?? undefined)
    this.#sweep = null
  }

  /** Everything that was seen of a sandbox is written; it is ending. */
  async end(sandbox: string): Promise<void> {
    this.#pages.get(sandbox)?.refusals.tellAll()
    await this.flush(sandbox)
  }

  /** Writes what is known now, of one sandbox or of all. A failure is logged: what is written here is no promise. */
  flush(sandbox?: string): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeAll(sandbox))
    return this.#writing
  }

  async close(): Promise<void> {
    for (const page of this.#pages.values()) page.refusals.tellAll()
    await this.flush()
    clearInterval(this.#sweep ?? undefined)
    clearTimeout(this.#write ?? undefined)
    this.#pages.clear()
  }

  async #writeAll(sandbox?: string): Promise<void> {
    const all = [...this.#pages]
    const pages = sandbox === undefined ? all : all.filter(([id]) => id === sandbox)
    try {
      const events: EventRecord[] = []
      for (const [id, page] of pages) events.push(...(await this.#take(id, page)))
      await this.#store.events.add(events)
    } catch (err) {
      this.#log.error({ err }, 'refused connections could not be stored')
    }
    for (const [, page] of pages) await this.#writeDestinations(page)
  }

  /** Events that are due, as many as may still be told. */
  async #take(sandbox: string, page: Page): Promise<EventRecord[]> {
    const entries = page.refusals.take()
    if (entries.length === 0) return []
    page.told ??= await this.#stored(sandbox)
    const left = Math.max(0, MAX_TOLD - 1 - page.told)
    const events = entries.slice(0, left).map((entry) => toEvent(sandbox, entry))
    if (entries.length > left && page.told < MAX_TOLD) events.push(toEvent(sandbox, LAST))
    page.told += events.length
    return events
  }

  async #stored(sandboxId: string): Promise<number> {
    const query = { sandboxId, type: LOG_TYPES, limit: 1, offset: 0, direction: 'asc' } as const
    return (await this.#store.events.list(query)).total
  }

  async #writeDestinations(page: Page): Promise<void> {
    if (page.destinations.size === 0) return
    const taken = [...page.destinations.values()]
    page.destinations = new Map()
    await this.#store.destinations
      .add(taken, MAX_DESTINATIONS)
      .catch((err) => this.#log.error({ err }, 'destinations could not be stored'))
  }
}

const LAST = silence(
  `${MAX_TOLD} refusals of this sandbox were told. It is refused what it was before, and no more is told.`,
)

function toEvent(sandbox: string, { silence, ...entry }: Entry): EventRecord {
  return newEvent(sandbox, silence ? 'network:silenced' : 'network:refused', entry satisfies Payload)
}

type Payload = Omit<NetworkLogEntry, 'at'>

/** Adds an allowed connection, or what one has moved, to its destination. */
function count(page: Page, sandboxId: string, what: Observation, now: number): void {
  const { address, bytes } = what
  if (address === null || what.protocol === 'dns') return
  const name = what.name ?? ''
  const port = what.port ?? 0
  const protocol = what.protocol === 'tls' || what.protocol === 'http' ? 'tcp' : what.protocol
  const key = `${protocol} ${port} ${address} ${name}`
  const known = page.destinations.get(key)
  page.destinations.delete(key)
  page.destinations.set(key, {
    sandboxId,
    name,
    address,
    port,
    protocol,
    connections: (known?.connections ?? 0) + (bytes === undefined ? 1 : 0),
    uploadedBytes: plus(known?.uploadedBytes, bytes?.up),
    downloadedBytes: plus(known?.downloadedBytes, bytes?.down),
    firstAt: known?.firstAt ?? now,
    lastAt: now,
  })
  // The store keeps no more either, and the first in the map is the least recent.
  for (const oldest of page.destinations.keys()) {
    if (page.destinations.size <= MAX_DESTINATIONS) break
    page.destinations.delete(oldest)
  }
}

function plus(known: number | null | undefined, more: number | undefined): number | null {
  return more === undefined ? (known ?? null) : (known ?? 0) + more
}
