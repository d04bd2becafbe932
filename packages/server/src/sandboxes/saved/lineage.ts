import type { Lineage } from '@caisson/protocol/resources'
import type { SnapshotRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { findSnapshot } from './find-snapshot.ts'
import { madeFrom, showSnapshot } from './show.ts'

/** Of each kind, in one answer. */
const MAX = 1000

/** What a snapshot was made from, as far as it is still there, and what was made from it. */
export async function getLineage(context: Context, reference: string): Promise<Lineage> {
  const snapshot = await findSnapshot(context, reference)
  const query = { parentId: snapshot.id, sort: 'created', direction: 'asc', limit: MAX, offset: 0 } as const
  const children = await context.store.snapshots.list(query)
  return {
    ancestors: await show(context, await ancestorsOf(context, snapshot)),
    children: await show(context, children.items),
    sandboxes: (await madeFrom(context, snapshot.id, MAX)).ids,
  }
}

async function ancestorsOf({ store }: Context, snapshot: SnapshotRecord): Promise<SnapshotRecord[]> {
  const found: SnapshotRecord[] = []
  for (let next = snapshot.parentId; next !== null && found.length < MAX; ) {
    const parent = await store.snapshots.get(next)
    if (parent === null) break
    found.push(parent)
    next = parent.parentId
  }
  return found
}

function show(context: Context, records: SnapshotRecord[]) {
  return Promise.all(records.map((record) => showSnapshot(context, record)))
}
