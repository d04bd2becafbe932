import type { BuildLogRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { plainLine } from '../last-lines.ts'

/** Of one build; what comes later is not kept, but for how it ended. */
const MAX_ENTRIES = 20_000
/** Longest entry, in characters. */
const MAX_MESSAGE = 4096
/** Entries are stored so long after they came, together, in ms. */
const FLUSH_MS = 100

type Level = BuildLogRecord['level']

/** What a build tells, in the order in which it comes. Who reads it gets an entry shortly after it came. */
export class BuildLog {
  readonly #context: Context
  readonly #buildId: string
  #next = 0
  #pending: BuildLogRecord[] = []
  #timer: NodeJS.Timeout | undefined
  #written: Promise<void> = Promise.resolve()
  #step: number | null = null

  constructor(context: Context, buildId: string) {
    this.#context = context
    this.#buildId = buildId
  }

  /** Entries from now on are of this step, from 1; null: of none. */
  enter(step: number | null): void {
    this.#step = step
  }

  get step(): number | null {
    return this.#step
  }

  add(level: Level, message: string): void {
    if (this.#next > MAX_ENTRIES) return
    const full = this.#next === MAX_ENTRIES
    this.#put(full ? 'warn' : level, full ? 'There was more, which is not kept.' : message)
  }

  /** The last entry, which is kept in any case. */
  async end(level: Level, message: string): Promise<void> {
    this.#put(level, message)
    await this.close()
  }

  /** Resolves when all of it is stored. */
  async close(): Promise<void> {
    this.#flush()
    await this.#written
  }

  #put(level: Level, message: string): void {
    const text = plainLine(message).slice(0, MAX_MESSAGE)
    const entry = { buildId: this.#buildId, entry: this.#next++, at: Date.now(), level }
    this.#pending.push({ ...entry, step: this.#step, message: text })
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS).unref()
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const entries = this.#pending
    this.#pending = []
    if (entries.length === 0) return
    const { store, log } = this.#context
    // One after the other: who has seen an entry has seen all before it.
    this.#written = this.#written
      .then(() => store.builds.log(entries))
      .catch((err) => log.error({ build: this.#buildId, err }, 'what a build told could not be stored'))
  }
}
