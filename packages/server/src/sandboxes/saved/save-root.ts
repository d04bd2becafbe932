import { SandboxError } from '@caisson/protocol/errors'
import type { SandboxRecord } from '../../core/records.ts'
import type { Failpoint } from '../../failpoint.ts'
import type { Context } from '../context.ts'
import { endedError, findSandbox } from '../lookup.ts'
import { assertOwnStorage } from '../own-storage.ts'
import { frozen } from '../pausing/frozen.ts'
import { resumeNow } from '../pausing/resume.ts'
import { savesOf } from './saves.ts'

/**
 * A sandbox that has files, running or paused. A session's sandbox that was never started gets them now.
 * @throws SandboxError `sandbox_not_found`, `sandbox_ended`, `invalid_transition`, `resume_failed`, `not_supported`
 */
export async function findSaveable(context: Context, idOrName: string): Promise<SandboxRecord> {
  const record = await findSandbox(context, idOrName)
  if (record.endedAt === null && record.state === 'paused' && record.bootedAt === null)
    return (await resumeNow(context, record, { by: 'asked', auto: true })).record
  assertSaveable(record)
  assertOwnStorage(context, record, 'saving files')
  return record
}

function assertSaveable(record: SandboxRecord): void {
  if (record.endedAt !== null) throw endedError(record)
  const { id, state } = record
  if (state === 'creating' || state === 'stopping')
    throw new SandboxError('invalid_transition', { sandbox: id, from: state, event: 'be saved' })
}

/**
 * Saves what a sandbox is now, while none of its processes runs: for as long as making the copy takes, which does not
 * depend on its size. With a name for a dump its processes are kept there, as they are in the same moment.
 * @returns the record of that moment: what the save lies on
 * @throws SandboxError `not_supported`, `save_failed`
 */
export async function saveRoot(
  context: Context,
  record: SandboxRecord,
  save: string,
  failpoint: Failpoint,
  dump: string | null = null,
): Promise<SandboxRecord> {
  const saves = savesOf(context)
  const work = async () => {
    const now = await findSandbox(context, record.id)
    assertSaveable(now)
    // The save comes last, for a driver may let the agent run for a moment before it dumps.
    const saved = dump !== null && (await dumpTo(context, now.id, dump, save))
    if (!saved) await saves.save(now.id, save)
    context.failpoint(failpoint)
    return now
  }
  try {
    return await frozen(context, record, work, { alone: dump !== null })
  } catch (error) {
    if (error instanceof SandboxError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new SandboxError('save_failed', { sandbox: record.id, reason }, { cause: error })
  }
}

/** @returns whether its files were saved, too */
async function dumpTo(
  { driver, failpoint }: Context,
  id: string,
  dump: string,
  save: string,
): Promise<boolean> {
  const dumped = await driver.memory?.dump(id, dump, false, save)
  failpoint('fork:dumped')
  return dumped?.saved ?? false
}
