import { z } from 'zod'

export const Session = z
  .object({
    id: z.string(),
    name: z.string().nullable(),
    status: z.enum(['recorded', 'active', 'paused', 'deleted']).meta({
      description: 'recorded: its sandbox was never started; the first command starts it.',
    }),
    sandboxId: z.string().meta({ description: 'Its one sandbox, which every turn of the session uses.' }),
    workspace: z.string().meta({ description: 'The directory that is kept for the whole session.' }),
    pauseAfterMs: z
      .int()
      .nullable()
      .meta({ description: 'Paused so long after each start, as soon as nothing runs; null: never.' }),
    metadata: z.record(z.string(), z.string()),
    projectId: z.string().nullable(),
    orgId: z.string().nullable(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    bootedAt: z.iso.datetime().nullable(),
    deletedAt: z.iso.datetime().nullable(),
  })
  .meta({
    id: 'Session',
    description: 'A sandbox for one conversation: started when needed, paused between.',
  })
export type Session = z.infer<typeof Session>
