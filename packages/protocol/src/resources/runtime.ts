import { z } from 'zod'

export const Runtime = z
  .object({
    id: z.string(),
    name: z.string(),
    description: z.string(),
    icon: z.string().nullable(),
    color: z.string().nullable(),
    url: z.string().nullable(),
    tags: z.array(z.string()),
    requirements: z.object({
      memory: z.string().nullable(),
      cpu: z.string().nullable(),
      disk: z.string().nullable(),
    }),
    notes: z
      .string()
      .nullable()
      .meta({ description: 'What it lacks or does otherwise than its name promises, in a sentence.' }),
    source: z.enum(['recipe', 'image']).meta({ description: 'image: imported from an OCI image.' }),
    built: z.boolean(),
    createdAt: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'When the image in use was built or imported; null: not built.' }),
  })
  .meta({ id: 'Runtime' })
export type Runtime = z.infer<typeof Runtime>

/** One line of the progress of a build or an import. The last one has `runtime` or `error`. */
export const BuildProgress = z
  .object({
    step: z.string().optional(),
    runtime: Runtime.optional(),
    error: z.object({ code: z.string(), message: z.string() }).optional(),
  })
  .meta({ id: 'BuildProgress' })
export type BuildProgress = z.infer<typeof BuildProgress>
