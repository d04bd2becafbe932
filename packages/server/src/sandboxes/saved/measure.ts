import { LIVE_STATES } from '../../core/lifecycle.ts'
import type { CheckpointRecord, SnapshotRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'

type Measured = Pick<CheckpointRecord | SnapshotRecord, 'id' | 'save'>

/** Records are read so many at a time; a sandbox has no more checkpoints. */
const PAGE = 100

/** The last that waits, of each server: counting files is disk work, which is done for one save at a time. */
const queues = new WeakMap<Context, Promise<void>>()

/** Counts the files of a save when its turn comes, and notes it with the checkpoint or snapshot, which nobody waits for. */
export function measureLater(context: Context, of: Measured): void {
  const turn = (queues.get(context) ?? Promise.resolve()).then(() => measure(context, of))
  queues.set(context, turn)
}

/** Resolves when all that was asked for up to now has been counted. */
export async function measured(context: Context): Promise<void> {
  await queues.get(context)
}

/** Never rejects: what was not counted is picked up by the next start, and what is gone needs no count. */
async function measure(context: Context, { id, save }: Measured): Promise<void> {
  const { layers, store, log, stopping } = context
  if (layers.saves === undefined || stopping) return
  try {
    const { bytes, files } = await layers.saves.measure(save)
    const sizes = { sizeBytes: bytes, fileCount: files }
    if (id.startsWith('snp_')) await store.snapshots.update(id, sizes)
    else await store.checkpoints.update(id, sizes)
  } catch (err) {
    log.debug({ save, of: id, err }, 'a save could not be measured')
  }
}

/** Queues everything that an earlier server has not come to. Never rejects: the next start queues it, too. */
export async function measurePending(context: Context): Promise<void> {
  if (context.layers.saves === undefined) return
  try {
    for await (const one of everything(context)) if (one.sizeBytes === null) measureLater(context, one)
  } catch (err) {
    context.log.warn({ err }, 'saves that were not measured yet could not be listed')
  }
}

async function* everything(context: Context): AsyncGenerator<CheckpointRecord | SnapshotRecord> {
  yield* snapshots(context)
  const { sandboxes, checkpoints } = context.store
  for (const { id } of await sandboxes.inStates(LIVE_STATES))
    yield* (await checkpoints.list({ sandboxId: id, limit: PAGE, offset: 0, direction: 'asc' })).items
}

async function* snapshots({ store }: Context): AsyncGenerator<SnapshotRecord> {
  for (let offset = 0; ; offset += PAGE) {
    const { items } = await store.snapshots.list({ sort: 'created', direction: 'asc', limit: PAGE, offset })
    yield* items
    if (items.length < PAGE) return
  }
}
