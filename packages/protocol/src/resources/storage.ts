import { z } from 'zod'

export const DiskUsage = z
  .object({
    storage: z.string(),
    pool: z
      .object({
        kind: z.enum(['file', 'filesystem']).meta({ description: 'file: a mounted file that grows.' }),
        sizeBytes: z.int(),
        usedBytes: z.int(),
        maxBytes: z.int().meta({ description: 'What it may grow to.' }),
        quotas: z.boolean().meta({ description: 'Disk limits are enforced.' }),
      })
      .nullable()
      .meta({ description: 'null: this storage has no pool of its own.' }),
    sandboxes: z.array(z.object({ id: z.string(), bytes: z.int() })),
    saved: z.object({ count: z.int(), bytes: z.int() }).meta({
      description: 'Snapshots, checkpoints and installed packages: all that no sandbox holds for itself.',
    }),
    volumes: z.object({ count: z.int(), bytes: z.int() }),
    images: z.array(z.object({ runtime: z.string(), digest: z.string(), inUse: z.boolean() })),
  })
  .meta({ id: 'DiskUsage' })
export type DiskUsage = z.infer<typeof DiskUsage>

export const Collected = z
  .object({
    dryRun: z.boolean(),
    freedBytes: z.int(),
    removed: z.array(
      z.object({
        kind: z.enum(['saved', 'image', 'memory', 'root', 'output', 'layer', 'volume']),
        id: z.string(),
        bytes: z.int().nullable(),
        reason: z.string(),
      }),
    ),
  })
  .meta({ id: 'Collected', description: 'What a garbage collection removed, or would remove.' })
export type Collected = z.infer<typeof Collected>
