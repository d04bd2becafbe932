import { z } from 'zod'
import { filePath, quantity, stringMap } from './common.ts'

/** Where a volume may be mounted: a path of its own, not above or in what the sandbox itself needs. */
const mountPath = filePath.regex(/^\/[^/]+(\/[^/]+)*$/, 'must be an absolute path without a slash at its end')

export const VolumeMountAsked = z
  .strictObject({
    volume: z.string().min(1).max(64).meta({ description: 'Id or name.' }),
    path: mountPath.meta({ description: 'Made when it is missing.' }),
    readOnly: z.boolean().optional(),
  })
  .meta({ id: 'VolumeMountAsked' })

export const VolumeMount = z
  .object({ volumeId: z.string(), name: z.string(), path: z.string(), readOnly: z.boolean() })
  .meta({ id: 'VolumeMount' })
export type VolumeMount = z.infer<typeof VolumeMount>

export const Volume = z
  .object({
    id: z.string(),
    name: z.string(),
    metadata: z.record(z.string(), z.string()),
    limitBytes: z
      .int()
      .nullable()
      .meta({ description: 'What it may hold; null: what the pool has room for.' }),
    usedBytes: z.int().nullable().meta({ description: 'May be some seconds late; null: not counted here.' }),
    mounts: z
      .array(z.object({ sandboxId: z.string(), path: z.string(), readOnly: z.boolean() }))
      .meta({ description: 'Sandboxes that have it and have not ended.' }),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({
    id: 'Volume',
    description: 'Files that outlive sandboxes, and that several may have mounted at once.',
  })
export type Volume = z.infer<typeof Volume>

export const CreateVolume = z
  .strictObject({
    name: z
      .string()
      .regex(
        /^(?!vol_)[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/,
        'must be letters, digits, _ and -, and not begin with vol_',
      )
      .meta({ description: 'Letters, digits, "_" and "-", at most 63; unique among volumes.' }),
    size: quantity
      .optional()
      .meta({ description: 'What it may hold, such as "1Gi". Default: no limit of its own.' }),
    metadata: stringMap.optional(),
  })
  .meta({ id: 'CreateVolume' })
export type CreateVolume = z.input<typeof CreateVolume>
