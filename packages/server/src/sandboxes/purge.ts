import { parseDuration } from '../core/duration.ts'
import type { Context } from './context.ts'
import { purgeBuilds } from './templates/settle.ts'

const HOUR_MS = 3_600_000
/** Use is kept so long, whatever becomes of the sandboxes. */
const USAGE_MS = 90 * 24 * HOUR_MS

/** Forgets sandboxes that ended longer ago than the retention, with their executions and output. */
export async function purge(context: Context): Promise<void> {
  const before = Date.now() - parseDuration(context.config.retention, 'retention')
  const { sandboxes, executions } = await context.store.sandboxes.purge(before)
  for (const id of executions) await context.outputs.remove(id)
  await context.store.usage.purge(Date.now() - USAGE_MS)
  await purgeBuilds(context)
  if (sandboxes.length > 0) context.log.info({ sandboxes: sandboxes.length }, 'purged')
}

/** Purges now and every hour. @returns the undo. */
export function purgeHourly(context: Context): () => void {
  const work = () => purge(context).catch((err) => context.log.error({ err }, 'purge'))
  void work()
  const timer = setInterval(work, HOUR_MS).unref()
  return () => clearInterval(timer)
}
