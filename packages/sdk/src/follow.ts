import { SandboxError } from '@caisson/protocol/errors'
import type { Execution } from '@caisson/protocol/resources'
import type { StreamRecord } from './records.ts'

/**
 * A piece of output. `offset` counts the bytes of both streams before it, in the order in which they came; where it
 * jumps, the server does not keep what was between.
 */
export interface OutputChunk {
  stream: 'stdout' | 'stderr'
  offset: number
  data: Uint8Array
}

export type Followed =
  | { type: 'started'; execution: Execution }
  | { type: 'output'; chunk: OutputChunk }
  // The output up to `offset` is not kept any more.
  | { type: 'gap'; offset: number }
  | { type: 'ended'; execution: Execution }

/** Where reading begins: at an offset, or so many bytes before the end. */
export type From = { offset: number } | { tail: number }

/** Opens the stream, first (`execution` undefined) or again. */
export type OpenStream = (execution: string | undefined, from: From) => Promise<AsyncIterable<StreamRecord[]>>

/** A server that is quiet for three of its pings is gone. */
const QUIET_MS = 45_000

/** Proxies cut connections that are quiet: a stream that lasted so long was no failure. */
const LASTING_MS = 5000

/** Milliseconds before each new try after a break; a server may be restarting. The count begins again at each byte. */
export const RETRY_DELAYS = [0, 50, 100, 200, 400, 800, 1600, 3200, 3200]

/** Breaks after which what was begun goes on, and can be taken up where we are. */
const RESUMABLE = new Set(['connection_lost', 'server_unreachable', 'shutting_down'])

/**
 * Follows an execution to its end: a broken stream is opened again at the last offset, so the bytes are the same as
 * without the break. `repeatable` says that the first opening may be repeated as well. The caller pulls, so a slow caller slows the program and nothing gathers in memory.
 *
 * @throws SandboxError what the server said, or `connection_lost` when no new try has helped.
 */
export async function* follow(
  open: OpenStream,
  from: From & { execution?: string; repeatable?: boolean },
  signal?: AbortSignal,
): AsyncGenerator<Followed[], void, undefined> {
  const place = new Place(from)
  for (let tries = 0; ; tries++) {
    const before = place.offset
    let openedAt = Date.now()
    try {
      const source = await open(place.execution, place.from)
      openedAt = Date.now()
      // The last record is followed by the end of the answer: read to there, the connection can be used again.
      let ended = false
      for await (const records of quietLimit(source, 'reading the output')) {
        if (ended) continue
        const { batch, last } = place.take(records)
        if (batch.length > 0) yield batch
        if (last?.type === 'error') throw last.error
        ended = last?.type === 'ended'
      }
      if (ended) return
      throw new SandboxError('connection_lost', { what: 'reading the output' })
    } catch (error) {
      // Unreachable at the very start means that nothing is there; later, that a server may be on its way back.
      const first = place.execution === undefined && SandboxError.is(error, 'server_unreachable')
      const repeatable = place.execution !== undefined || (from.repeatable === true && !first)
      if (place.offset > before || Date.now() - openedAt > LASTING_MS) tries = 0
      if (!isBreak(error) || !repeatable || tries >= RETRY_DELAYS.length) throw error
      await pause(RETRY_DELAYS[tries]!, signal)
    }
  }
}

export const isBreak = (error: unknown): boolean => error instanceof SandboxError && RESUMABLE.has(error.code)

/** How far the output has been read. */
class Place {
  execution: string | undefined
  offset = 0
  /** Until the server has said at which offset that is. */
  #tail: number | undefined
  #started = false

  constructor(from: From & { execution?: string }) {
    this.execution = from.execution
    if ('tail' in from) this.#tail = from.tail
    else this.offset = from.offset
  }

  get from(): From {
    return this.#tail === undefined ? { offset: this.offset } : { tail: this.#tail }
  }

  /** What is new in these records, and the one that ends the stream. */
  take(records: readonly StreamRecord[]): { batch: Followed[]; last?: StreamRecord } {
    const batch: Followed[] = []
    for (const record of records) {
      if (record.type === 'error') return { batch, last: record }
      if (record.type === 'started') batch.push(...this.#begin(record))
      else if (record.type === 'output') batch.push({ type: 'output', chunk: this.#advance(record) })
      else if (record.type === 'gap') batch.push(...this.#jump(record.offset))
      else return { batch: [...batch, record], last: record }
    }
    return { batch }
  }

  #begin({ execution, offset }: StreamRecord & { type: 'started' }): Followed[] {
    const again = this.#started
    this.#started = true
    this.execution = execution.id
    if (again) return this.#jump(offset)
    // Where a tail begins is the server's to say, and so it is beyond the end of the output.
    if (this.#tail !== undefined || offset < this.offset) this.offset = offset
    this.#tail = undefined
    return [{ type: 'started', execution }, ...this.#jump(offset)]
  }

  /** Reading goes on where it stopped, or beyond what is not kept any more; never before, which would repeat bytes. */
  #jump(offset: number): Followed[] {
    if (offset === this.offset) return []
    if (offset < this.offset) throw backwards(this.offset, offset)
    this.offset = offset
    return [{ type: 'gap', offset }]
  }

  #advance({ stream, data }: StreamRecord & { type: 'output' }): OutputChunk {
    const offset = this.offset
    this.offset += data.length
    return { stream, offset, data }
  }
}

const backwards = (wanted: number, got: number) =>
  new SandboxError('internal', { request: `output continued at byte ${got} and not at ${wanted}` })

/**
 * Ends a source in which nothing comes for so long that its server must be gone.
 *
 * @throws SandboxError `connection_lost`
 */
export async function* quietLimit<T>(
  source: AsyncIterable<T>,
  what: string,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await within(QUIET_MS, iterator.next(), what)
      if (next.done) return
      yield next.value
    }
  } finally {
    // Not awaited: a source that hangs in next() would hang here too.
    void Promise.resolve(iterator.return?.()).catch(() => {})
  }
}

async function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new SandboxError('connection_lost', { what: `${what} (nothing came for ${ms / 1000} s)` }))
    }, ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** @throws SandboxError `aborted` */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(new SandboxError('aborted', { what: 'Waiting' }, { cause: signal?.reason }))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    if (signal?.aborted) stop()
    else signal?.addEventListener('abort', stop, { once: true })
  })
}
