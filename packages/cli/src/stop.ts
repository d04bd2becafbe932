import { SandboxError } from 'caisson'
import { EXIT, Exit, signalNumber } from './failure.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Does work that leaves nothing half done: Ctrl-C, and the end of `timeoutMs`, abort its signal, and it ends when the
 * work has tidied up.
 *
 * @throws Exit with the signal's exit code; SandboxError `aborted` after the timeout
 */
export async function stoppable<T>(
  what: string,
  timeoutMs: number | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const signal = AbortSignal.any([
    controller.signal,
    ...(timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)]),
  ])
  const listeners = SIGNALS.map((name) => [name, () => controller.abort(name)] as const)
  for (const [name, listener] of listeners) process.on(name, listener)
  try {
    return await work(signal)
  } catch (error) {
    if (controller.signal.aborted) throw new Exit(EXIT.signal + signalNumber(controller.signal.reason))
    if (!signal.aborted) throw error
    const message = `${what} was not done after ${timeoutMs} ms and was given up.`
    throw new SandboxError('aborted', { what }, { message, cause: error })
  } finally {
    for (const [name, listener] of listeners) process.off(name, listener)
  }
}
