import type { NetworkLogEntry } from '@caisson/protocol/resources'
import type { Observation } from '../../core/network/types.ts'

/** Repeats within so many ms are told as one entry. */
const REPEAT_MS = 60_000
/** Entries of one sandbox in a minute. */
const MAX_A_MINUTE = 60
/** Kinds whose repeats are counted. */
const MAX_KINDS = 256

/** An entry that is to be stored; `silence`: it says that others are not told. */
export type Entry = Omit<NetworkLogEntry, 'at'> & { silence?: true }

interface Kind {
  entry: Entry
  since: number
  /** How often it happened since it was told last. */
  untold: number
  /** Its first one was told; what was silenced has no repeats to tell. */
  told: boolean
}

/**
 * What one sandbox was refused. The first of a kind is told at once; its repeats are counted, and told as one entry when
 * their minute is over.
 */
export class Refusals {
  readonly #kinds = new Map<string, Kind>()
  #entries: Entry[] = []
  #minute = { since: 0, told: 0 }

  /** Entries wait to be taken. */
  get waiting(): boolean {
    return this.#entries.length > 0
  }

  get empty(): boolean {
    return this.#kinds.size === 0 && !this.waiting
  }

  /** @returns the entry that will tell it, until it is taken; null when it is one of those that are only counted. */
  add(what: Observation, now: number): Entry | null {
    const key = [what.protocol, what.name ?? what.address, what.port, what.rule].join(' ')
    const known = this.#kinds.get(key)
    this.#kinds.delete(key)
    if (known !== undefined && now - known.since < REPEAT_MS) {
      known.untold++
      this.#kinds.set(key, known)
      return null
    }
    if (known !== undefined) this.#tellRepeats(known)
    const entry = toEntry(what)
    const told = this.#tell(entry, now)
    this.#kinds.set(key, { entry, since: now, untold: told ? 0 : 1, told })
    this.#evict()
    return told ? entry : null
  }

  /** Tells the repeats of kinds whose minute is over, and forgets kinds that had none. */
  sweep(now: number): void {
    for (const [key, kind] of this.#kinds) {
      if (now - kind.since < REPEAT_MS) continue
      if (kind.untold === 0) this.#kinds.delete(key)
      else if (kind.told) this.#tellRepeats(kind)
      else if (this.#tell({ ...kind.entry, count: kind.untold }, now))
        Object.assign(kind, { untold: 0, told: true })
      kind.since = now
    }
  }

  /** Tells all repeats. */
  tellAll(): void {
    for (const kind of this.#kinds.values()) this.#tellRepeats(kind)
  }

  /** The entries that wait. */
  take(): Entry[] {
    const entries = this.#entries
    this.#entries = []
    return entries
  }

  /** Of a kind that was told, so that the number of these is bounded as well. */
  #tellRepeats(kind: Kind): void {
    if (!kind.told || kind.untold === 0) return
    this.#entries.push({ ...kind.entry, count: kind.untold })
    kind.untold = 0
  }

  /** @returns false when it was silenced. */
  #tell(entry: Entry, now: number): boolean {
    if (now - this.#minute.since >= REPEAT_MS || now < this.#minute.since)
      this.#minute = { since: now, told: 0 }
    this.#minute.told++
    if (this.#minute.told < MAX_A_MINUTE) this.#entries.push(entry)
    else if (this.#minute.told === MAX_A_MINUTE) this.#entries.push(SILENCE)
    return this.#minute.told < MAX_A_MINUTE
  }

  #evict(): void {
    for (const [key, kind] of this.#kinds) {
      if (this.#kinds.size <= MAX_KINDS) break
      this.#kinds.delete(key)
      this.#tellRepeats(kind)
    }
  }
}

/** Says that others are not told, and why. */
export function silence(message: string): Entry {
  const nothing = { name: null, address: null, port: null, process: null }
  return {
    silence: true,
    verdict: 'refused',
    protocol: 'other',
    rule: 'log limit',
    message,
    count: 1,
    ...nothing,
  }
}

const SILENCE = silence(
  `More than ${MAX_A_MINUTE} kinds of refusals in a minute: the others of this minute are not told.`,
)

function toEntry(what: Observation): Entry {
  const { verdict, protocol, name, address, port, rule, message } = what
  return { verdict, protocol, name, address, port, rule, message, count: 1, process: null }
}
