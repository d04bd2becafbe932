import { setTimeout as delay } from 'node:timers/promises'
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
