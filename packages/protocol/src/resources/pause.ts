import { z } from 'zod'

/** Where a session's files live, and all that a pause of depth `workspace` keeps. */
export const WORKSPACE = '/home/agent/workspace'

export const PauseDepth = z.enum(['memory', 'filesystem', 'workspace']).meta({
  id: 'PauseDepth',
  description: `memory: processes go on where they were; filesystem: processes end, all files stay; workspace: only ${WORKSPACE} stays, the rest is as it was made.`,
})
export type PauseDepth = z.infer<typeof PauseDepth>

export const PauseState = z
  .object({
    depth: PauseDepth,
    memory: z.enum(['ram', 'disk', 'none']).meta({
      description: 'Where its memory is. What is in RAM is lost when the host restarts; its files are not.',
    }),
    since: z.iso.datetime(),
    ttlLeftMs: z.int().nullable().meta({ description: 'What is left of its time to live; null: no end.' }),
    deletedAt: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'When it is deleted unless it is resumed; null: never.' }),
  })
  .meta({ id: 'PauseState' })
export type PauseState = z.infer<typeof PauseState>
