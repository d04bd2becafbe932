import { randomBytes } from 'node:crypto'
import { ConnectError } from './connect-error.ts'
import { isGone } from './errors.ts'

/** Of one sandbox, and of all. */
const MAX_OF_SANDBOX = 32
const MAX_WATCHERS = 512
/** Characters of the events that wait for a poll; what is beyond is lost, which the next poll is told. */
const MAX_WAITING = 512 * 1024
/** Milliseconds without a poll after which nobody is taken to be there any more. */
const FORGOTTEN_MS = 10 * 60_000
const LOOK_MS = 60_000

/** One event, without the wrapper that streams put around it. */
export interface WatchEvent {
  name: string
  type: string
  entry?: object
}

interface Watcher {
  sandbox: string
  events: WatchEvent[]
  /** Characters of `events`. */
  waiting: number
  polledAt: number
  /** Why no more events come; null: they do. */
  ended: unknown
  stop: AbortController
}

/** Watches that clients ask about now and then, instead of a stream. They live in memory, as long as somebody asks. */
export class Watchers {
  readonly #watchers = new Map<string, Watcher>()
  #timer: NodeJS.Timeout | undefined

  /** @param start resolves once it watches. @returns the id. @throws ConnectError `resource_exhausted` */
  async create(
    sandbox: string,
    start: (signal: AbortSignal) => Promise<AsyncIterable<WatchEvent>>,
  ): Promise<string> {
    const ofSandbox = [...this.#watchers.values()].filter((watcher) => watcher.sandbox === sandbox)
    if (ofSandbox.length >= MAX_OF_SANDBOX || this.#watchers.size >= MAX_WATCHERS)
      throw new ConnectError(
        'resource_exhausted',
        `there are too many watchers; a sandbox has ${MAX_OF_SANDBOX}`,
      )
    const id = `w${randomBytes(16).toString('hex')}`
    const stop = new AbortController()
    const watcher: Watcher = { sandbox, events: [], waiting: 0, polledAt: Date.now(), ended: null, stop }
    // Counted while it starts, too.
    this.#watchers.set(id, watcher)
    this.#timer ??= setInterval(() => this.#forget(), LOOK_MS).unref()
    try {
      void this.#follow(id, watcher, await start(stop.signal))
    } catch (error) {
      this.#drop(id)
      throw error
    }
    return id
  }

  /** The events since the last call. @throws ConnectError `not_found`, `data_loss`, or why the watching has ended */
  take(sandbox: string, id: string): WatchEvent[] {
    const watcher = this.#find(sandbox, id)
    watcher.polledAt = Date.now()
    const events = watcher.events.splice(0)
    watcher.waiting = 0
    if (events.length > 0 || watcher.ended === null) return events
    this.#drop(id)
    throw watcher.ended
  }

  remove(sandbox: string, id: string): void {
    this.#find(sandbox, id)
    this.#drop(id)
  }

  /** One that is another sandbox's is nobody's here. */
  #find(sandbox: string, id: string): Watcher {
    const watcher = this.#watchers.get(id)
    if (watcher?.sandbox !== sandbox)
      throw new ConnectError('not_found', `watcher with id ${id.slice(0, 64)} not found`)
    return watcher
  }

  async #follow(id: string, watcher: Watcher, events: AsyncIterable<WatchEvent>): Promise<void> {
    try {
      for await (const event of events) {
        watcher.waiting += JSON.stringify(event).length
        if (watcher.waiting > MAX_WAITING)
          throw new ConnectError(
            'data_loss',
            'changes came faster than they were asked for, and some were lost: watch again',
          )
        watcher.events.push(event)
      }
      watcher.ended = new ConnectError('not_found', 'the directory that was watched is not there any more')
    } catch (error) {
      watcher.ended = error
      if (isGone(error)) this.#drop(id)
    }
    watcher.stop.abort()
  }

  #drop(id: string): void {
    this.#watchers.get(id)?.stop.abort()
    this.#watchers.delete(id)
    if (this.#watchers.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #forget(): void {
    const before = Date.now() - FORGOTTEN_MS
    for (const [id, { polledAt }] of this.#watchers) if (polledAt < before) this.#drop(id)
  }
}
