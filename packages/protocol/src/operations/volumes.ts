import { z } from 'zod'
import { CreateVolume, Fields, FileInfo, Volume } from '../resources.ts'
import { count, define, flag, type Operation, page, reference } from './operation.ts'

const byVolume = z.object({ volume: reference.meta({ description: 'Id or name.' }) })
const path = Fields.filePath.meta({ description: 'From the volume’s own root, "/".' })
const permissions = z.coerce.number().int().min(0).max(0o7777).optional()
const id = z.coerce.number().int().min(0).max(65_535).optional()
const owner = { uid: id, gid: id }
const contentErrors = [
  'volume_not_found',
  'not_supported',
  'create_failed',
  'too_many',
  'agent_lost',
  'file_not_found',
  'file_denied',
  'file_wrong_type',
  'file_failed',
] as const

/** Volumes, and what is in them; no sandbox of one's own is needed for that. */
export const volumes = {
  createVolume: define({
    summary: 'Create a volume',
    http: 'POST /v1/volumes',
    scope: 'exec',
    body: CreateVolume,
    output: Volume,
    status: 201,
    errors: ['volume_exists', 'not_supported'],
  }),
  listVolumes: define({
    summary: 'List volumes',
    http: 'GET /v1/volumes',
    scope: 'read',
    query: z.strictObject({
      ...page,
      sort: z.enum(['name', 'created']).default('created'),
      direction: z.enum(['asc', 'desc']).default('desc'),
    }),
    output: z.object({ volumes: z.array(Volume), total: z.int() }),
    errors: [],
  }),
  getVolume: define({
    summary: 'Get a volume by id or name',
    http: 'GET /v1/volumes/{volume}',
    scope: 'read',
    params: byVolume,
    output: Volume,
    errors: ['volume_not_found'],
  }),
  deleteVolume: define({
    summary: 'Delete a volume and everything in it; refused while a sandbox has it',
    http: 'DELETE /v1/volumes/{volume}',
    scope: 'exec',
    params: byVolume,
    status: 204,
    errors: ['volume_not_found', 'volume_in_use'],
  }),
  listVolumeFiles: define({
    summary: 'List a directory of a volume',
    http: 'GET /v1/volumes/{volume}/files',
    scope: 'exec',
    params: byVolume,
    query: z.strictObject({
      path: path.default('/'),
      depth: z.coerce
        .number()
        .int()
        .min(1)
        .max(100)
        .default(1)
        .meta({ description: 'How deep: 1 is the directory alone.' }),
    }),
    output: z.object({ files: z.array(FileInfo) }),
    errors: contentErrors,
  }),
  statVolumeFile: define({
    summary: 'Tell about a file of a volume; a link is not followed',
    http: 'GET /v1/volumes/{volume}/files/stat',
    scope: 'exec',
    params: byVolume,
    query: z.strictObject({ path }),
    output: FileInfo,
    errors: contentErrors,
  }),
  readVolumeFile: define({
    summary: 'Read a file of a volume',
    http: 'GET /v1/volumes/{volume}/files/content',
    scope: 'exec',
    params: byVolume,
    query: z.strictObject({
      path,
      offset: count(0, Number.MAX_SAFE_INTEGER),
      length: z.coerce.number().int().min(0).optional(),
    }),
    streams: 'bytes',
    errors: contentErrors,
  }),
  writeVolumeFile: define({
    summary: 'Write a file of a volume atomically',
    http: 'PUT /v1/volumes/{volume}/files/content',
    scope: 'exec',
    params: byVolume,
    query: z.strictObject({
      path,
      mode: permissions,
      ...owner,
      parents: flag.default(true).meta({ description: 'Make directories that are missing.' }),
      exclusive: flag.optional().meta({ description: 'Refused when the file exists.' }),
    }),
    upload: true,
    output: FileInfo,
    errors: [...contentErrors, 'file_exists', 'no_space'],
  }),
  makeVolumeDirectory: define({
    summary: 'Make a directory in a volume',
    http: 'POST /v1/volumes/{volume}/files/directory',
    scope: 'exec',
    params: byVolume,
    body: z.strictObject({
      path,
      parents: z.boolean().default(true),
      mode: z.int().min(0).max(0o7777).optional(),
      uid: z.int().min(0).max(65_535).optional(),
      gid: z.int().min(0).max(65_535).optional(),
    }),
    output: FileInfo,
    status: 201,
    errors: [...contentErrors, 'file_exists', 'no_space'],
  }),
  changeVolumeFile: define({
    summary: 'Change the mode or owner of a file of a volume',
    http: 'PATCH /v1/volumes/{volume}/files',
    scope: 'exec',
    params: byVolume,
    body: z.strictObject({
      path,
      mode: z.int().min(0).max(0o7777).optional(),
      uid: z.int().min(0).max(65_535).optional(),
      gid: z.int().min(0).max(65_535).optional(),
    }),
    output: FileInfo,
    errors: contentErrors,
  }),
  removeVolumeFile: define({
    summary: 'Remove a file or a directory of a volume',
    http: 'DELETE /v1/volumes/{volume}/files',
    scope: 'exec',
    params: byVolume,
    query: z.strictObject({ path, recursive: flag.default(false) }),
    status: 204,
    errors: [...contentErrors, 'directory_not_empty'],
  }),
} as const satisfies Record<string, Operation>
