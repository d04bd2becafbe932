import { SandboxError } from '@caisson/protocol/errors'
import type { Sandbox } from '@caisson/protocol/resources'
import type { SandboxRecord } from '../../core/records.ts'
import { changeSandbox } from '../change-sandbox.ts'
import { type Context, join } from '../context.ts'
import { findSandbox, showSandbox } from '../lookup.ts'
import { pauseNow } from '../pausing/pause.ts'
import { resumeNow } from '../pausing/resume.ts'
import { inTurn } from '../pausing/turn.ts'
import type { UseCases } from '../use-cases.ts'
import { finishRestore } from './put-back.ts'
import { savesOf } from './saves.ts'

/**
 * Puts the files of a sandbox back to a checkpoint. Its processes end; it runs again afterwards if it ran before. From
 * the first step on its record says what it is to become, and it does not run before it has become that, whoever dies
 * on the way.
 */
export async function restoreCheckpoint(
  context: Context,
  ...[id, idOrName]: Parameters<UseCases['restoreCheckpoint']>
): Promise<Sandbox> {
  savesOf(context)
  const sandbox = await findSandbox(context, id)
  const key = `restoring ${sandbox.id}`
  // One after the other: each ends with the files that it was asked for.
  for (let other = context.joined.get(key); other !== undefined; other = context.joined.get(key))
    await other.catch(() => {})
  return join(context, key, () => restore(context, sandbox, idOrName))
}

async function restore(context: Context, sandbox: SandboxRecord, idOrName: string): Promise<Sandbox> {
  const recorded = await begin(context, sandbox, idOrName)
  context.failpoint('restore:recorded')
  const resume = recorded.restoring?.resume === true
  const stopped = await stop(context, recorded)
  context.failpoint('restore:stopped')
  const restored = await inTurn(context, stopped.id, () => finishRestore(context, stopped))
  if (!resume) return showSandbox(context, restored)
  const live = await resumeNow(context, restored, { by: 'asked', auto: false })
  return showSandbox(context, live.record)
}

/** What could not be stopped goes on, and is not to lose its files at some later pause. */
async function stop(context: Context, recorded: SandboxRecord): Promise<SandboxRecord> {
  try {
    return await pauseNow(context, recorded, 'filesystem', 'restore')
  } catch (error) {
    const now = await findSandbox(context, recorded.id)
    if (now.state === 'ready')
      await changeSandbox(context, now, () => ({ change: { restoring: null }, events: [] }))
    throw error
  }
}

/** From here on the save is named by the sandbox, too, so that the checkpoint may go. */
async function begin(context: Context, sandbox: SandboxRecord, idOrName: string): Promise<SandboxRecord> {
  const { checkpoints } = context.store
  const checkpoint = await checkpoints.find(sandbox.id, idOrName)
  if (checkpoint === null) throw notFound(sandbox, idOrName)
  const { id: checkpointId, save, layers } = checkpoint
  await changeSandbox(context, sandbox, ({ state, restoring }) => {
    // One that was cut off had stopped it already.
    const resume = restoring?.resume ?? (state === 'ready' || state === 'resuming')
    return { change: { restoring: { checkpointId, save, layers, resume } }, events: [] }
  })
  return findSandbox(context, sandbox.id)
}

function notFound(sandbox: SandboxRecord, checkpoint: string): SandboxError {
  return new SandboxError('checkpoint_not_found', { sandbox: sandbox.id, checkpoint })
}
