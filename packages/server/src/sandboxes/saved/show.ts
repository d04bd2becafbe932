import type { Snapshot } from '@caisson/protocol/resources'
import { LIVE_STATES } from '../../core/lifecycle.ts'
import type { SnapshotRecord } from '../../core/records.ts'
import { toSnapshot } from '../../core/view.ts'
import type { Context } from '../context.ts'

/** With how many sandboxes were made from it and have not ended. */
export async function showSnapshot(context: Context, record: SnapshotRecord): Promise<Snapshot> {
  return toSnapshot(record, (await madeFrom(context, record.id, 1)).total)
}

/** Sandboxes that were made from a snapshot, or are copies of such, and have not ended: `limit` of their ids, and how many there are. */
export async function madeFrom(
  { store }: Context,
  snapshotId: string,
  limit: number,
): Promise<{ ids: string[]; total: number }> {
  const { items, total } = await store.sandboxes.list({
    states: LIVE_STATES,
    snapshotId,
    sort: 'created',
    direction: 'asc',
    limit,
    offset: 0,
  })
  return { ids: items.map(({ id }) => id), total }
}
