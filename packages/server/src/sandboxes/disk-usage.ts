import type { DiskUsage } from '@caisson/protocol/resources'
import type { StorageUsage } from '../storage/layers.ts'
import type { Context } from './context.ts'
import { usedDigests } from './garbage/images.ts'

/**
 * What was written in a sandbox and saved from it is counted for that sandbox, and once it has ended for nobody: so all
 * that no sandbox holds is what is saved.
 */
function savedBytes({ pool, roots, saves }: StorageUsage): number {
  const sum = (bytes: Map<string, number>) => [...bytes.values()].reduce((all, one) => all + one, 0)
  return pool === null ? sum(saves) : Math.max(sum(saves), pool.usedBytes - sum(roots))
}

/** What takes how much disk, as far as the storage counts it. */
export async function getDiskUsage(context: Context): Promise<DiskUsage> {
  const { layers, images } = context
  const usage = await layers.usage?.()
  const pool = usage?.pool ?? null
  const used = await usedDigests(context)
  return {
    storage: layers.name,
    pool: pool && { ...pool, quotas: layers.quota },
    sandboxes: [...(usage?.roots ?? [])].map(([id, bytes]) => ({ id, bytes })),
    saved: { count: usage?.saves.size ?? 0, bytes: usage === undefined ? 0 : savedBytes(usage) },
    images: (await images.stored()).map(({ runtime, digest, current }) => {
      return { runtime, digest, inUse: current || used.has(digest) }
    }),
  }
}
