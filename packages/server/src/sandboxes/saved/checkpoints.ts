import { SandboxError } from '@caisson/protocol/errors'
import type { Checkpoint } from '@caisson/protocol/resources'
import { newEvent } from '../../core/events.ts'
import { newId } from '../../core/ids.ts'
import type { CheckpointRecord, SandboxRecord } from '../../core/records.ts'
import { toCheckpoint } from '../../core/view.ts'
import type { Context } from '../context.ts'
import { endedError, findSandbox } from '../lookup.ts'
import type { UseCases } from '../use-cases.ts'
import { forgetCheckpoints } from './forget.ts'
import { removeSaveIfUnnamed } from './hold.ts'
import { measureLater } from './measure.ts'
import { restoreCheckpoint } from './restore.ts'
import { findSaveable, saveRoot } from './save-root.ts'
import { savesOf, withNewSave } from './saves.ts'

/** Of one sandbox. */
const MAX_CHECKPOINTS = 100

type CheckpointUseCases = Pick<
  UseCases,
  'createCheckpoint' | 'listCheckpoints' | 'restoreCheckpoint' | 'deleteCheckpoint'
>

/** Save points of the files of one sandbox, which go with it. */
export function checkpointUseCases(context: Context): CheckpointUseCases {
  return {
    createCheckpoint: (...args) => createCheckpoint(context, ...args),
    listCheckpoints: (...args) => listCheckpoints(context, ...args),
    restoreCheckpoint: (...args) => restoreCheckpoint(context, ...args),
    deleteCheckpoint: (...args) => deleteCheckpoint(context, ...args),
  }
}

async function createCheckpoint(
  context: Context,
  ...[id, input]: Parameters<UseCases['createCheckpoint']>
): Promise<Checkpoint> {
  savesOf(context)
  const { name = null } = input
  const sandbox = await findSaveable(context, id)
  await assertRoom(context, sandbox.id, name)
  const checkpoint = await withNewSave(context, { passing: false }, async (save) => {
    const { layers } = await saveRoot(context, sandbox, save, 'checkpoint:saved')
    return record(context, sandbox, { name, save, layers })
  })
  context.failpoint('checkpoint:recorded')
  measureLater(context, checkpoint)
  return toCheckpoint(checkpoint)
}

/** Told before the sandbox is held up for a save that nobody can keep. */
async function assertRoom(
  { store: { checkpoints } }: Context,
  sandboxId: string,
  name: string | null,
): Promise<void> {
  const known = name === null ? null : await checkpoints.find(sandboxId, name)
  if (known !== null)
    throw new SandboxError('checkpoint_exists', { sandbox: sandboxId, checkpoint: known.name ?? known.id })
  const { total } = await checkpoints.list({ sandboxId, limit: 1, offset: 0, direction: 'asc' })
  if (total < MAX_CHECKPOINTS) return
  throw new SandboxError('too_many', { what: 'checkpoints of this sandbox', limit: MAX_CHECKPOINTS })
}

async function record(
  context: Context,
  sandbox: SandboxRecord,
  made: Pick<CheckpointRecord, 'name' | 'save' | 'layers'>,
): Promise<CheckpointRecord> {
  const id = newId('ckpt')
  const sizes = { sizeBytes: null, fileCount: null }
  const checkpoint = { id, sandboxId: sandbox.id, ...made, ...sizes, createdAt: Date.now() }
  const event = newEvent(sandbox.id, 'checkpoint:created', { checkpoint: id, name: made.name })
  await context.store.checkpoints.insert(checkpoint, { events: [event] })
  await assertNotEnding(context, sandbox.id)
  return checkpoint
}

/** Its end removes what it finds of checkpoints once it is recorded; one that came later would stay. */
async function assertNotEnding(context: Context, sandboxId: string): Promise<void> {
  const now = await findSandbox(context, sandboxId)
  if (now.endedAt === null && now.state !== 'stopping') return
  await forgetCheckpoints(context, sandboxId)
  throw endedError(now)
}

async function listCheckpoints(
  context: Context,
  ...[id, query]: Parameters<UseCases['listCheckpoints']>
): ReturnType<UseCases['listCheckpoints']> {
  const { id: sandboxId } = await findSandbox(context, id)
  const { items, total } = await context.store.checkpoints.list({ sandboxId, ...query })
  return { checkpoints: items.map(toCheckpoint), total }
}

async function deleteCheckpoint(
  context: Context,
  ...[id, idOrName]: Parameters<UseCases['deleteCheckpoint']>
): Promise<void> {
  const sandbox = await findSandbox(context, id)
  const { checkpoints } = context.store
  const found = await checkpoints.find(sandbox.id, idOrName)
  const event = newEvent(sandbox.id, 'checkpoint:deleted', {
    checkpoint: found?.id,
    name: found?.name,
  })
  const removed = found === null ? null : await checkpoints.remove(found.id, { events: [event] })
  if (removed === null)
    throw new SandboxError('checkpoint_not_found', { sandbox: sandbox.id, checkpoint: idOrName })
  await removeSaveIfUnnamed(context, removed.save)
}
