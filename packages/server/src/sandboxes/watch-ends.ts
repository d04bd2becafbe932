import type { Context } from './context.ts'
import { sandboxLost } from './end-sandbox.ts'

/** Hears from the driver when a sandbox ends by itself. @returns the undo. */
export function watchEnds(context: Context): () => void {
  return context.driver.onEnded(({ id, status }) => {
    const live = context.live.get(id)
    // Who has ended it knows.
    if (live === undefined || live.record.state === 'stopping' || context.stopping) return
    sandboxLost(context, live, status).catch((err) =>
      context.log.error({ sandbox: id, err }, 'an ended sandbox could not be cleared away'),
    )
  })
}
