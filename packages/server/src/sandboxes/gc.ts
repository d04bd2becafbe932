import type { Collected } from '@caisson/protocol/resources'
import { type Context, join } from './context.ts'
import type { Garbage } from './garbage/garbage.ts'
import { findGarbage } from './garbage/index.ts'

const HOUR_MS = 3_600_000

/** Removes what nothing needs any more, or only tells what that is. Safe at any time, and to be killed in. */
export async function collectGarbage(context: Context, { dryRun }: { dryRun: boolean }): Promise<Collected> {
  if (dryRun) return report(true, await findGarbage(context))
  return join(context, 'gc', async () => {
    const removed: Garbage[] = []
    for (const garbage of await findGarbage(context)) {
      if (context.stopping || !(await garbage.remove())) continue
      context.failpoint('gc:removed')
      removed.push(garbage)
    }
    return report(false, removed)
  })
}

function report(dryRun: boolean, garbage: Garbage[]): Collected {
  const removed = garbage.map(({ kind, id, bytes, reason }) => ({ kind, id, bytes, reason }))
  const freedBytes = removed.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0)
  return { dryRun, freedBytes, removed }
}

/** The same, for nobody in particular: what it did is logged, and so is a failure. */
export async function collectQuietly(context: Context): Promise<void> {
  try {
    const { removed, freedBytes } = await collectGarbage(context, { dryRun: false })
    if (removed.length > 0) context.log.info({ removed: removed.length, freedBytes }, 'collected garbage')
  } catch (err) {
    // The next server collects again.
    if (!context.stopping) context.log.error({ err }, 'garbage could not be collected')
  }
}

/** Collects now and every hour. @returns the undo. */
export function collectHourly(context: Context): () => void {
  void collectQuietly(context)
  const timer = setInterval(() => void collectQuietly(context), HOUR_MS).unref()
  return () => clearInterval(timer)
}
