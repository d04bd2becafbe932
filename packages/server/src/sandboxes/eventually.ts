import { setTimeout as delay } from 'node:timers/promises'
import { SandboxError } from '@caisson/protocol/errors'
import type { Context } from './context.ts'

/** Between attempts, in ms. */
const PAUSE_MS = 2000

/**
 * Does what has to be done even when it fails at first, as on a full disk: again and again until it succeeds, or until
 * the server stops and leaves it to the next start. `what` is told with every failure.
 */
export async function eventually(
  context: Context,
  what: object,
  work: () => Promise<unknown>,
): Promise<void> {
  while (!context.stopping) {
    try {
      await work()
      return
    } catch (err) {
      context.log.error({ ...what, err }, 'failed, and will be tried again')
      await delay(PAUSE_MS, undefined, { ref: false })
    }
  }
}

/** The same for what has a result, and for who has to wait for it. @throws SandboxError `shutting_down` */
export async function untilDone<T>(context: Context, what: object, work: () => Promise<T>): Promise<T> {
  let done: { result: T } | undefined
  await eventually(context, what, async () => {
    done = { result: await work() }
  })
  if (done === undefined) throw new SandboxError('shutting_down', {})
  return done.result
}

/** Does it now or, when that fails, eventually; waits only for the first attempt. */
export async function nowOrLater(
  context: Context,
  what: object,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work()
  } catch (err) {
    context.log.error({ ...what, err }, 'failed, and will be tried again')
    void eventually(context, what, work)
  }
}
