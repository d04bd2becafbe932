import { SandboxError } from '@caisson/protocol/errors'

export function aborted(what: string, signal: AbortSignal): SandboxError<'aborted'> {
  return new SandboxError('aborted', { what }, { cause: signal.reason })
}

/** Waits for `promise`, or throws `aborted` as soon as the signal says so; the listener goes with the wait. */
export async function abortable<T>(promise: Promise<T>, what: string, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return promise
  if (signal.aborted) throw aborted(what, signal)
  const abort = Promise.withResolvers<never>()
  const onAbort = () => abort.reject(aborted(what, signal))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, abort.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
