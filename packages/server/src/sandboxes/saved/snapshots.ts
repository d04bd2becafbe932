import { SandboxError } from '@caisson/protocol/errors'
import type { Snapshot } from '@caisson/protocol/resources'
import { newEvent } from '../../core/events.ts'
import { newId } from '../../core/ids.ts'
import type { SandboxRecord, SnapshotRecord } from '../../core/records.ts'
import type { SnapshotQuery } from '../../state/store.ts'
import type { Context } from '../context.ts'
import type { UseCases } from '../use-cases.ts'
import { findSnapshot, LATEST } from './find-snapshot.ts'
import { holdSave, removeSaveIfUnnamed } from './hold.ts'
import { getLineage } from './lineage.ts'
import { measureLater } from './measure.ts'
import { findOriginal, memoryOf, removeMemory, withMemory } from './memory.ts'
import { saveRoot } from './save-root.ts'
import { savesOf, withNewSave } from './saves.ts'
import { assertPublishable } from './scan.ts'
import { showSnapshot } from './show.ts'

type Input = Parameters<UseCases['createSnapshot']>[1]

type SnapshotUseCases = Pick<
  UseCases,
  'createSnapshot' | 'listSnapshots' | 'getSnapshot' | 'getLineage' | 'tagSnapshot' | 'deleteSnapshot'
>

/** Saved files, from which new sandboxes are made; they outlive the sandbox that they come from. */
export function snapshotUseCases(context: Context): SnapshotUseCases {
  return {
    createSnapshot: (...args) => createSnapshot(context, ...args),
    listSnapshots: (query) => listSnapshots(context, query),
    getSnapshot: async (reference) => showSnapshot(context, await findSnapshot(context, reference)),
    getLineage: (reference) => getLineage(context, reference),
    tagSnapshot: (...args) => tagSnapshot(context, ...args),
    deleteSnapshot: (reference) => deleteSnapshot(context, reference),
  }
}

async function createSnapshot(
  context: Context,
  ...[id, input]: Parameters<UseCases['createSnapshot']>
): Promise<Snapshot> {
  savesOf(context)
  const memory = input.memory === true
  if (memory && input.public === true)
    throw new SandboxError('not_supported', {
      what: 'a public snapshot with memory',
      reason: 'nobody could say which secrets are in it',
    })
  const sandbox = await findOriginal(context, id, { memory, what: 'a snapshot' })
  const published = input.public === true && input.confirm !== true
  const scan = () => (published ? assertPublishable(context, sandbox, input.env === true) : undefined)
  await scan()
  const snapshot = await withNewSave(context, { passing: false }, async (save) => {
    const dump = memory ? memoryOf(save) : null
    return withMemory(context, dump, async () => {
      const saved = await saveRoot(context, sandbox, save, 'snapshot:saved', dump)
      // The sandbox's end may not take what the new record is about to name.
      using _ = holdSave(context, ...saved.layers)
      // What was written between the first look and the save is still there.
      await scan()
      return record(context, saved, save, input)
    })
  })
  context.failpoint('snapshot:recorded')
  measureLater(context, snapshot)
  return showSnapshot(context, snapshot)
}

async function record(
  context: Context,
  sandbox: SandboxRecord,
  save: string,
  input: Input,
): Promise<SnapshotRecord> {
  const snapshot = newSnapshot(sandbox, save, input)
  const { id, name, tag } = snapshot
  const event = newEvent(sandbox.id, 'snapshot:created', { snapshot: id, name, tag })
  await context.store.snapshots.insert(snapshot, { events: [event] })
  return snapshot
}

function newSnapshot(sandbox: SandboxRecord, save: string, input: Input): SnapshotRecord {
  const { runtime, imageDigest, layers, user, workdir, start, dependencies, packages } = sandbox
  const id = newId('snp')
  const now = Date.now()
  return {
    id,
    name: input.name ?? sandbox.name ?? id.replaceAll('_', '-'),
    tag: input.tag === undefined ? LATEST : input.tag,
    description: input.description ?? null,
    public: input.public ?? false,
    memory: input.memory ?? false,
    metadata: input.metadata ?? {},
    ...{ runtime, imageDigest, layers, save, user, workdir, start, dependencies, packages },
    env: input.env === true ? sandbox.env : {},
    sandboxId: sandbox.id,
    parentId: sandbox.snapshotId,
    contentHash: input.contentHash ?? null,
    sizeBytes: null,
    fileCount: null,
    createdAt: now,
    updatedAt: now,
  }
}

async function listSnapshots(
  context: Context,
  { sandbox, name, tag, contentHash, ...rest }: Parameters<UseCases['listSnapshots']>[0],
): ReturnType<UseCases['listSnapshots']> {
  const { public: isPublic, ...page } = rest
  const { items, total } = await context.store.snapshots.list({
    ...page,
    ...(sandbox !== undefined && { sandboxId: await idOf(context, sandbox) }),
    ...(name !== undefined && { name }),
    ...(tag !== undefined && { tag }),
    ...(contentHash !== undefined && { contentHash }),
    ...(isPublic !== undefined && { public: isPublic }),
  } satisfies SnapshotQuery)
  return { snapshots: await Promise.all(items.map((each) => showSnapshot(context, each))), total }
}

/** Of a sandbox that has ended nothing but its id may be left. */
async function idOf({ store }: Context, idOrName: string): Promise<string> {
  return (await store.sandboxes.findByName(idOrName))?.id ?? idOrName
}

async function tagSnapshot(
  context: Context,
  ...[reference, tag]: Parameters<UseCases['tagSnapshot']>
): Promise<Snapshot> {
  const { id } = await findSnapshot(context, reference)
  return showSnapshot(context, await context.store.snapshots.update(id, { tag, updatedAt: Date.now() }))
}

/** What was made from it keeps the files that it began with, and names the save for as long as it needs it. */
async function deleteSnapshot(context: Context, reference: string): Promise<void> {
  const { id } = await findSnapshot(context, reference)
  const removed = await context.store.snapshots.remove(id)
  if (removed === null) throw new SandboxError('snapshot_not_found', { snapshot: reference })
  context.failpoint('snapshot:deleted')
  await removeSaveIfUnnamed(context, removed.save)
  const dump = memoryOf(removed.save)
  // Whoever begins from it just now holds it: then it is left to garbage collection.
  if (removed.memory && !context.heldSaves.has(dump)) await removeMemory(context, dump)
}
