import type { FileChange } from '@caisson/protocol/resources'
import { toSandboxError } from '../errors.ts'

/** Milliseconds after which a quiet stream shows that it lives; keeps proxies awake. */
const PING_MS = 15_000

/** Changes as JSON lines, from `ready` on. A failure is the last line, unless the client has gone. */
export async function* watchLines(
  changes: AsyncIterable<FileChange>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const source = changes[Symbol.asyncIterator]()
  try {
    yield line({ type: 'ready' })
    for (let next = ask(source); ; ) {
      const result = await orQuiet(next)
      if (result === 'quiet') {
        yield line({ type: 'ping' })
        continue
      }
      if (result.done) return
      yield line(result.value)
      next = ask(source)
    }
  } catch (error) {
    if (!signal.aborted) yield line({ type: 'error', ...toSandboxError(error, 'watchFiles').toJSON() })
  } finally {
    await source.return?.()
  }
}

/** It may fail while the client takes its time. */
function ask(source: AsyncIterator<FileChange>): Promise<IteratorResult<FileChange>> {
  const next = source.next()
  next.catch(() => {})
  return next
}

async function orQuiet<T>(next: Promise<T>): Promise<T | 'quiet'> {
  const { promise, resolve } = Promise.withResolvers<'quiet'>()
  const timer = setTimeout(resolve, PING_MS, 'quiet' as const)
  try {
    return await Promise.race([next, promise])
  } finally {
    clearTimeout(timer)
  }
}

function line(value: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\n`)
}
