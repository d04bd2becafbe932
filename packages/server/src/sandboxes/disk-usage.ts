import type { DiskUsage } from '@caisson/protocol/resources'
import { LIVE_STATES } from '../core/lifecycle.ts'
import type { StorageUsage } from '../storage/layers.ts'
import type { Context } from './context.ts'
import { usedDigests } from './garbage/images.ts'

type Bytes = ReadonlyMap<string, number>

const sum = (bytes: Bytes) => [...bytes.values()].reduce((all, one) => all + one, 0)

/**
 * What was written in a sandbox and saved from it is counted for that sandbox, and once it has ended for nobody: so all
 * that no sandbox and no volume holds is what is saved.
 */
function savedBytes({ pool, roots, saves }: StorageUsage, volumes: Bytes): number {
  return pool === null ? sum(saves) : Math.max(sum(saves), pool.usedBytes - sum(roots) - sum(volumes))
}

/** What takes how much disk, as far as the storage counts it. */
export async function getDiskUsage(context: Context): Promise<DiskUsage> {
  const { layers, images } = context
  const usage = await layers.usage?.()
  const pool = usage?.pool ?? null
  const volumes: Bytes = (await layers.volumes?.list()) ?? new Map()
  const used = await usedDigests(context)
  const own = await ownSandboxes(context)
  return {
    storage: layers.name,
    pool: pool && { ...pool, quotas: layers.quota },
    sandboxes: [...(usage?.roots ?? [])].filter(([id]) => !own.has(id)).map(([id, bytes]) => ({ id, bytes })),
    saved: { count: usage?.saves.size ?? 0, bytes: usage === undefined ? 0 : savedBytes(usage, volumes) },
    volumes: { count: volumes.size, bytes: sum(volumes) },
    images: (await images.stored()).map(({ runtime, digest, current }) => {
      return { runtime, digest, inUse: current || used.has(digest) }
    }),
  }
}

/** Those that serve the server itself. */
async function ownSandboxes({ store }: Context): Promise<Set<string>> {
  const records = await store.sandboxes.inStates(LIVE_STATES)
  return new Set(records.filter(({ internal }) => internal !== null).map(({ id }) => id))
}
