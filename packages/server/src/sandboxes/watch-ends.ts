import type { Context } from './context.ts'
import { sandboxLost } from './end-sandbox.ts'
import { loseMemory } from './pausing/lose-memory.ts'

/** A frozen sandbox can be ended from outside alone. */
function frozenLost(context: Context, id: string): void {
  const record = context.paused.get(id)
  if (record?.state !== 'paused' || record.pause?.memory !== 'ram') return
  loseMemory(context, id).catch((err) =>
    context.log.error({ sandbox: id, err }, 'the loss of its memory could not be recorded'),
  )
}

/** Hears from the driver when a sandbox ends by itself. @returns the undo. */
export function watchEnds(context: Context): () => void {
  return context.driver.onEnded(({ id, status }) => {
    const live = context.live.get(id)
    // Who has ended it knows; so does who pauses it.
    if (context.stopping) return
    if (live === undefined) return frozenLost(context, id)
    if (live.record.state !== 'ready') return
    sandboxLost(context, live, status).catch((err) =>
      context.log.error({ sandbox: id, err }, 'an ended sandbox could not be cleared away'),
    )
  })
}
