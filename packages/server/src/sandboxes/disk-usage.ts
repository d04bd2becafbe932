import type { DiskUsage } from '@caisson/protocol/resources'
import type { Context } from './context.ts'
import { usedDigests } from './garbage/images.ts'

/** What takes how much disk, as far as the storage counts it. */
export async function getDiskUsage(context: Context): Promise<DiskUsage> {
  const { layers, images } = context
  const usage = await layers.usage?.()
  const pool = usage?.pool ?? null
  const saved = [...(usage?.saves.values() ?? [])]
  const used = await usedDigests(context)
  return {
    storage: layers.name,
    pool: pool && { ...pool, quotas: layers.quota },
    sandboxes: [...(usage?.roots ?? [])].map(([id, bytes]) => ({ id, bytes })),
    saved: { count: saved.length, bytes: saved.reduce((sum, bytes) => sum + bytes, 0) },
    images: (await images.stored()).map(({ runtime, digest, current }) => {
      return { runtime, digest, inUse: current || used.has(digest) }
    }),
  }
}
