import type { SandboxRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import type { Live } from '../live.ts'

const kept = new WeakMap<Context, Map<string, Live>>()

/** Sandboxes that are paused with their memory, by id: their executions wait here until they go on. */
export function keptLives(context: Context): Map<string, Live> {
  const known = kept.get(context) ?? new Map<string, Live>()
  kept.set(context, known)
  return known
}

/** A sandbox that has processes, whether they run now or not. */
export function presentLive(context: Context, id: string): Live | undefined {
  return context.live.get(id) ?? keptLives(context).get(id)
}

/** Takes the record of a sandbox that is paused, or on its way there from a pause or back. */
export function rememberPaused(context: Context, record: SandboxRecord): SandboxRecord {
  context.paused.set(record.id, record)
  keptLives(context).get(record.id)?.renew(record)
  return record
}
