/** Runs with a signal that aborts after so many ms, or with another one. Leaves nothing behind: there are thousands. */
export async function within<T>(
  ms: number,
  outer: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  outer.throwIfAborted()
  const inner = new AbortController()
  const abort = () => inner.abort(outer.reason)
  outer.addEventListener('abort', abort)
  const timer = setTimeout(() => inner.abort(new Error(`no answer within ${ms} ms`)), ms)
  try {
    return await run(inner.signal)
  } finally {
    clearTimeout(timer)
    outer.removeEventListener('abort', abort)
  }
}
