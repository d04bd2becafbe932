import { z } from 'zod'

export const FileChange = z
  .object({
    type: z.enum(['create', 'write', 'remove', 'rename', 'chmod', 'overflow']),
    path: z.string().meta({ description: 'Relative to the watched directory; empty: that itself.' }),
    target: z.string().nullable().meta({ description: 'The new path of a rename.' }),
    fileType: z.enum(['file', 'directory', 'symlink', 'other']).nullable(),
    content: z
      .literal(true)
      .optional()
      .meta({ description: 'Of create: it has been written already, and no write need follow.' }),
  })
  .meta({ id: 'FileChange', description: 'overflow: changes were lost; look again.' })
export type FileChange = z.infer<typeof FileChange>

export const FileInfo = z
  .object({
    name: z.string(),
    path: z.string(),
    type: z.enum(['file', 'directory', 'symlink', 'other']),
    size: z.int(),
    mode: z.int(),
    uid: z.int(),
    gid: z.int(),
    owner: z.string().nullable(),
    group: z.string().nullable(),
    modifiedAt: z.iso.datetime(),
    link: z.string().nullable(),
    attributes: z
      .record(z.string(), z.string())
      .optional()
      .meta({ description: 'Extended attributes "user.…", without that prefix; when they were asked for.' }),
    resolved: z
      .object({
        path: z.string(),
        type: z.enum(['file', 'directory', 'symlink', 'other']),
        mode: z.int(),
      })
      .optional()
      .meta({ description: 'What a link leads to in the end, told with attributes.' }),
    attributesSkipped: z.int().optional().meta({
      description: 'Attributes that could not be told, because they are too large or not readable.',
    }),
  })
  .meta({ id: 'FileInfo' })
export type FileInfo = z.infer<typeof FileInfo>
