import type { VolumeRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import type { Garbage } from '../garbage/garbage.ts'
import { isHeld } from './turns.ts'

const PAGE = 1000

/** Files of volumes that no record names. A record without files is told in the log: somebody has lost something. */
export async function findVolumes(context: Context): Promise<Garbage[]> {
  const { layers, log } = context
  const { volumes } = layers
  if (volumes === undefined) return []
  const there = await volumes.list()
  const free = await freeOf(context, [...there.keys()])
  for (const { id, name } of await withoutFiles(context))
    log.error({ volume: id, name }, 'the files of a volume are not in the storage')
  return free.map((id) => ({
    kind: 'volume',
    id,
    bytes: there.get(id) ?? null,
    reason: 'no volume has these files',
    remove: async () => {
      if ((await freeOf(context, [id])).length === 0) return false
      await volumes.remove(id)
      return true
    },
  }))
}

/** Which of these nobody makes now and no record names. */
async function freeOf(context: Context, ids: string[]): Promise<string[]> {
  // Before the records are read: whoever makes one holds it until it is recorded.
  const unheld = ids.filter((id) => !isHeld(context, id))
  const named = new Set((await allVolumes(context)).map(({ id }) => id))
  return unheld.filter((id) => !named.has(id))
}

async function withoutFiles(context: Context): Promise<VolumeRecord[]> {
  const records = await allVolumes(context)
  const there = await context.layers.volumes?.list()
  const lost = records.filter(({ id }) => there?.has(id) === false)
  // One that was deleted meanwhile has lost nothing.
  const now = new Set((await allVolumes(context)).map(({ id }) => id))
  return lost.filter(({ id }) => now.has(id))
}

async function allVolumes({ store }: Context): Promise<VolumeRecord[]> {
  const all: VolumeRecord[] = []
  for (;;) {
    const page = { sort: 'created', direction: 'asc', limit: PAGE, offset: all.length } as const
    const { items } = await store.volumes.list(page)
    all.push(...items)
    if (items.length < PAGE) return all
  }
}
