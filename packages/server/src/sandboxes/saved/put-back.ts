import { SandboxError } from '@caisson/protocol/errors'
import { newEvent } from '../../core/events.ts'
import type { SandboxRecord } from '../../core/records.ts'
import type { SandboxChange } from '../../state/store.ts'
import { type Context, join } from '../context.ts'
import { endedError, findSandbox } from '../lookup.ts'
import { savesOf } from './saves.ts'

/**
 * Puts the root of a sandbox that does not run back to the checkpoint that its record says is being restored; nothing
 * to do when none is. Safe to repeat, and shared by all who need it at the same time. It is the sandbox's turn.
 * @returns the record as it is then
 * @throws SandboxError `sandbox_ended`, `resume_failed`
 */
export function finishRestore(context: Context, { id }: SandboxRecord): Promise<SandboxRecord> {
  return join(context, `restore ${id}`, async () => {
    const record = await findSandbox(context, id)
    if (record.endedAt !== null) throw endedError(record)
    const { restoring } = record
    if (restoring === null) return record
    await replace(context, record, restoring.save)
    context.failpoint('restore:replaced')
    const event = newEvent(id, 'checkpoint:restored', { checkpoint: restoring.checkpointId })
    const change: SandboxChange = { ...stack(record, restoring.layers), restoring: null }
    const restored = await context.store.sandboxes.update(id, change, { events: [event] })
    if (context.paused.has(id)) context.paused.set(id, restored)
    context.failpoint('restore:restored')
    return restored
  })
}

/** Until it has succeeded the sandbox cannot run: its files may be neither these nor those. */
async function replace(context: Context, { id, granted }: SandboxRecord, save: string): Promise<void> {
  try {
    await savesOf(context).replace(id, save, granted.diskBytes)
  } catch (cause) {
    const reason = `its files could not be put back: ${cause instanceof Error ? cause.message : String(cause)}`
    throw new SandboxError('resume_failed', { sandbox: id, reason }, { cause })
  }
}

/**
 * What lies beneath a root that was saved on these layers. A pause of depth `workspace` turns `base` into the topmost
 * layer; a root that was saved before that has it as its base again, and one that was saved after it has not.
 */
export function stack(
  { layers, base }: Pick<SandboxRecord, 'layers' | 'base'>,
  saved: string[],
): Pick<SandboxRecord, 'layers' | 'base'> {
  const all = base === null ? layers : [base, ...layers]
  return { layers: saved, base: all.length > saved.length ? (all[0] ?? null) : null }
}
