import { SandboxError } from '@caisson/protocol/errors'
import type { SandboxRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { nowOrLater } from '../eventually.ts'
import { resumeNow } from '../pausing/resume.ts'
import { holdSave } from './hold.ts'
import { findSaveable } from './save-root.ts'

/** The dump that is of the same moment as a save, if there is one: processes, for sandboxes that go on where they were. */
export function memoryOf(save: string): string {
  return `dmp_${save.slice(save.indexOf('_') + 1)}`
}

/** Why processes can be neither kept nor gone on from here, in half a sentence; null: they can. */
export function whyNoMemory({ driver }: Pick<Context, 'driver'>): string | null {
  return driver.memory === undefined ? `the ${driver.name} driver keeps no processes` : driver.memory.noDumps
}

/**
 * A sandbox whose files are to be saved, with `memory` its processes too: one that is paused is resumed for that.
 * @param what in an error: "a fork", "a snapshot"
 * @throws SandboxError `not_supported`, and as {@link findSaveable}
 */
export async function findOriginal(
  context: Context,
  id: string,
  { memory, what }: { memory: boolean; what: string },
): Promise<SandboxRecord> {
  const refused = (reason: string) =>
    new SandboxError('not_supported', { what: `${what} with memory`, reason })
  const impossible = memory ? whyNoMemory(context) : null
  if (impossible !== null) throw refused(impossible)
  const record = await findSaveable(context, id)
  if (!memory) return record
  if (record.volumes.length > 0) throw refused('the sandbox has volumes, which others may change meanwhile')
  if (record.state === 'ready') return record
  return (await resumeNow(context, record, { by: 'asked', auto: true })).record
}

/** Gives `work` the name of a new dump, which is removed unless what it belongs to comes to be. null: without memory. */
export async function withMemory<T>(
  context: Context,
  dump: string | null,
  work: () => Promise<T>,
): Promise<T> {
  using _ = holdSave(context, dump)
  try {
    return await work()
  } catch (error) {
    if (dump !== null) await removeMemory(context, dump)
    throw error
  }
}

export function removeMemory(context: Context, dump: string): Promise<void> {
  return nowOrLater(context, { dump }, async () => context.driver.memory?.removeDump(dump))
}
