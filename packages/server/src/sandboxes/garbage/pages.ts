import type { BuiltRecord, CheckpointRecord, SandboxRecord, SnapshotRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'

const PAGE = 1000

export async function allSnapshots({ store }: Context): Promise<SnapshotRecord[]> {
  return allPages((offset) =>
    store.snapshots.list({ sort: 'created', direction: 'asc', limit: PAGE, offset }),
  )
}

export async function allCheckpoints({ store }: Context, { id }: SandboxRecord): Promise<CheckpointRecord[]> {
  return allPages((offset) =>
    store.checkpoints.list({ sandboxId: id, direction: 'asc', limit: PAGE, offset }),
  )
}

/** What sandboxes of all templates are made of. */
export async function allBuilt({ store }: Context): Promise<BuiltRecord[]> {
  return (await store.builds.ready()).map(({ made }) => made).filter((made) => made !== null)
}

async function allPages<T>(read: (offset: number) => Promise<{ items: T[] }>): Promise<T[]> {
  const all: T[] = []
  for (;;) {
    const { items } = await read(all.length)
    all.push(...items)
    if (items.length < PAGE) return all
  }
}
