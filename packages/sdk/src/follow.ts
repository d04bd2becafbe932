import { SandboxError } from '@caisson/protocol/errors'
import type { Execution } from '@caisson/protocol/resources'
import type { StreamRecord } from './records.ts'

/** A piece of output. `offset` counts the bytes of both streams before it, in the order in which they came. */
export interface OutputChunk {
  stream: 'stdout' | 'stderr'
  offset: number
  data: Uint8Array
}

export type Followed =
  | { type: 'started'; execution: Execution }
  | { type: 'output'; chunk: OutputChunk }
  | { type: 'ended'; execution: Execution }

/** Opens the stream, first (`execution` undefined) or again, at an offset. */
export type OpenStream = (
  execution: string | undefined,
  offset: number,
) => Promise<AsyncIterable<StreamRecord[]>>

/** A server that is quiet for three of its pings is gone. */
const QUIET_MS = 45_000

/** Proxies cut connections that are quiet: a stream that lasted so long was no failure. */
const LASTING_MS = 5000

/** Milliseconds before each new try after a break; a server may be restarting. The count begins again at each byte. */
const RETRY_DELAYS = [0, 50, 100, 200, 400, 800, 1600, 3200, 3200]

/** Breaks after which the execution goes on, and its output can be read from where we are. */
const RESUMABLE = new Set(['connection_lost', 'server_unreachable', 'shutting_down'])

/**
 * Follows an execution to its end: a broken stream is opened again at the last offset, so the bytes are the same as
 * without the break. `repeatable` says that the first opening may be repeated as well. The caller pulls, so a slow caller slows the program and nothing gathers in memory.
 *
 * @throws SandboxError what the server said, or `connection_lost` when no new try has helped.
 */
export async function* follow(
  open: OpenStream,
  from: { execution?: string; offset: number; repeatable?: boolean },
  signal?: AbortSignal,
): AsyncGenerator<Followed[], void, undefined> {
  let { execution, offset } = from
  let started = false
  let opened = false
  let openedAt = 0
  let tries = 0
  for (;;) {
    try {
      const source = await open(execution, offset)
      opened = true
      openedAt = Date.now()
      for await (const records of quietLimit(source)) {
        const batch: Followed[] = []
        let over = false
        for (const record of records) {
          if (record.type === 'error') throw record.error
          if (record.type === 'started') {
            execution = record.execution.id
            // After a break the stream must continue exactly where it stopped.
            if (started && record.offset !== offset) throw gap(offset, record.offset)
            offset = record.offset
            if (!started) batch.push({ type: 'started', execution: record.execution })
            started = true
          } else if (record.type === 'ended') {
            batch.push({ type: 'ended', execution: record.execution })
            over = true
          } else {
            batch.push({ type: 'output', chunk: { stream: record.stream, offset, data: record.data } })
            offset += record.data.length
            tries = 0
          }
        }
        if (batch.length > 0) yield batch
        if (over) return
      }
      throw new SandboxError('connection_lost', { what: 'reading the output' })
    } catch (error) {
      const code = error instanceof SandboxError ? error.code : ''
      const resumable = RESUMABLE.has(code) && (execution !== undefined || from.repeatable === true)
      if (opened && Date.now() - openedAt > LASTING_MS) tries = 0
      // A first opening has had its tries already, below; a new one may find the server still starting.
      if (!resumable || (!opened && execution === undefined) || tries >= RETRY_DELAYS.length) throw error
      await pause(RETRY_DELAYS[tries++]!, signal)
    }
  }
}

const gap = (wanted: number, got: number) =>
  new SandboxError('internal', { request: `output continued at byte ${got} and not at ${wanted}` })

async function* quietLimit<T>(source: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await within(QUIET_MS, iterator.next())
      if (next.done) return
      yield next.value
    }
  } finally {
    // Not awaited: a source that hangs in next() would hang here too.
    void Promise.resolve(iterator.return?.()).catch(() => {})
  }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new SandboxError('connection_lost', { what: 'reading the output (nothing came for 45 s)' }))
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
