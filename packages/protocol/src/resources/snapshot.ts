import { z } from 'zod'
import { name, stringMap, text } from './common.ts'

export const snapshotTag = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/)
  .meta({ description: 'Letters, digits, "_", "." and "-", at most 128.' })

export const Checkpoint = z
  .object({
    id: z.string(),
    sandboxId: z.string(),
    name: z.string().nullable(),
    sizeBytes: z
      .int()
      .nullable()
      .meta({ description: 'Of its files, beside those of the runtime; null: not measured yet.' }),
    fileCount: z.int().nullable(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Checkpoint', description: 'A save point of the files of one sandbox.' })
export type Checkpoint = z.infer<typeof Checkpoint>

export const CreateCheckpoint = z
  .strictObject({ name: name.optional().meta({ description: 'Unique among the sandbox’s checkpoints.' }) })
  .meta({ id: 'CreateCheckpoint' })

export const Snapshot = z
  .object({
    id: z.string(),
    name: z.string(),
    tag: z.string().nullable(),
    description: z.string().nullable(),
    public: z.boolean(),
    memory: z
      .boolean()
      .meta({ description: 'It has the processes, too: its sandboxes go on where they were.' }),
    metadata: z.record(z.string(), z.string()),
    runtime: z.string(),
    sandboxId: z
      .string()
      .nullable()
      .meta({ description: 'The sandbox that it was made from; null: imported.' }),
    parentId: z.string().nullable().meta({ description: 'The snapshot that that sandbox was made from.' }),
    sizeBytes: z
      .int()
      .nullable()
      .meta({ description: 'Of its files, beside those of the runtime; null: not measured yet.' }),
    fileCount: z.int().nullable(),
    sandboxes: z.int().meta({ description: 'Sandboxes that were made from it and have not ended.' }),
    contentHash: z
      .string()
      .nullable()
      .meta({ description: 'Of what it was built from; null: it was not built.' }),
    env: z.array(z.string()).meta({ description: 'Names of the variables that its sandboxes start with.' }),
    dependencies: z.array(z.string()),
    packages: z.array(z.string()),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Snapshot', description: 'Saved files, from which new sandboxes are made.' })
export type Snapshot = z.infer<typeof Snapshot>

export const CreateSnapshot = z
  .strictObject({
    name: name
      .optional()
      .meta({ description: 'Default: the sandbox’s name, or else the snapshot’s id with "-".' }),
    tag: snapshotTag.nullable().optional().meta({
      description: 'Default "latest"; taken from the snapshot of the same name that had it. null: none.',
    }),
    description: text.optional(),
    public: z
      .boolean()
      .optional()
      .meta({ description: 'Let whoever reaches the server export it, without a key. Default: false.' }),
    confirm: z
      .boolean()
      .optional()
      .meta({ description: 'Make it public although it has files that look like secrets.' }),
    memory: z.boolean().optional().meta({
      description:
        'Save the processes as well, for sandboxes that go on where this one is. It stays on this server. Default: false.',
    }),
    metadata: stringMap.optional(),
    env: z
      .boolean()
      .optional()
      .meta({ description: 'Its sandboxes start with the environment of this one. Default: false.' }),
    contentHash: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
  })
  .meta({ id: 'CreateSnapshot' })
export type CreateSnapshot = z.input<typeof CreateSnapshot>

export const Lineage = z
  .object({
    ancestors: z.array(Snapshot).meta({ description: 'The nearest first, as far as they still exist.' }),
    children: z.array(Snapshot),
    sandboxes: z.array(z.string()).meta({ description: 'Sandboxes made from it that have not ended.' }),
  })
  .meta({ id: 'Lineage' })
export type Lineage = z.infer<typeof Lineage>
