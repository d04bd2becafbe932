import { z } from 'zod'
import { Fields, FileInfo } from '../resources.ts'
import { byId, count, define, flag, live, type Operation, reference } from './operation.ts'

const filesQuery = { path: Fields.filePath, user: Fields.userName.optional() }
const byUpload = z.object({
  id: reference.meta({ description: 'Id or name.' }),
  upload: reference.meta({ description: 'A name for this upload, chosen by the client.' }),
})
const permissions = z.coerce
  .number()
  .int()
  .min(0)
  .max(0o7777)
  .optional()
  .meta({ description: 'Permission bits, as a decimal number.' })
const sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .optional()
  .meta({ description: 'SHA-256 of the whole file, hexadecimal; a mismatch leaves the old file.' })
const withAttributes = flag.default(false).meta({ description: 'Tell extended attributes, too.' })
const fileErrors = [...live, 'file_not_found', 'file_denied', 'file_wrong_type', 'file_failed'] as const

/** Files of a sandbox. */
export const files = {
  readFile: define({
    summary: 'Read a regular file',
    http: 'GET /v1/sandboxes/{id}/files/content',
    scope: 'exec',
    params: byId,
    query: z.strictObject({
      ...filesQuery,
      offset: count(0, Number.MAX_SAFE_INTEGER),
      length: z.coerce.number().int().min(0).optional(),
    }),
    streams: 'bytes',
    errors: fileErrors,
  }),
  writeFile: define({
    summary: 'Write a file atomically: the old one stays until the new one is whole',
    http: 'PUT /v1/sandboxes/{id}/files/content',
    scope: 'exec',
    params: byId,
    query: z.strictObject({
      ...filesQuery,
      mode: permissions,
      parents: flag.default(true).meta({ description: 'Make missing parent directories.' }),
      sha256,
    }),
    upload: true,
    output: FileInfo.extend({ directoriesCreated: z.array(z.string()) }),
    errors: [...fileErrors, 'no_space', 'checksum_mismatch'],
  }),
  writeFiles: define({
    summary: 'Write many small files in one request, each atomically',
    http: 'POST /v1/sandboxes/{id}/files/batch',
    scope: 'exec',
    params: byId,
    body: z.strictObject({
      files: z
        .array(
          z.strictObject({
            path: Fields.filePath,
            content: z.string(),
            encoding: z.enum(['utf8', 'base64']).default('utf8'),
            mode: z.int().min(0).max(0o7777).optional(),
          }),
        )
        .min(1)
        .max(10_000),
      user: Fields.userName.optional(),
    }),
    output: z.object({ files: z.int(), bytes: z.int(), directoriesCreated: z.array(z.string()) }),
    errors: [...fileErrors, 'no_space'],
  }),
  putUpload: define({
    summary: 'Send a part of a resumable upload; with its last byte the file takes its place',
    http: 'PUT /v1/sandboxes/{id}/files/uploads/{upload}',
    scope: 'exec',
    params: byUpload,
    query: z.strictObject({
      ...filesQuery,
      offset: count(0, Number.MAX_SAFE_INTEGER).meta({ description: 'Of the first byte sent.' }),
      size: z.coerce.number().int().min(0).meta({ description: 'Bytes of the whole file.' }),
      mode: permissions,
      parents: flag.default(true),
      sha256,
    }),
    upload: true,
    output: z.object({
      offset: z.int().meta({ description: 'Bytes that are kept.' }),
      complete: z.boolean(),
      file: FileInfo.nullable(),
      directoriesCreated: z.array(z.string()),
    }),
    errors: [...fileErrors, 'no_space', 'checksum_mismatch', 'upload_offset'],
  }),
  getUpload: define({
    summary: 'How much of a resumable upload is kept',
    http: 'GET /v1/sandboxes/{id}/files/uploads/{upload}',
    scope: 'exec',
    params: byUpload,
    query: z.strictObject({ ...filesQuery }),
    output: z.object({ offset: z.int() }),
    errors: fileErrors,
  }),
  deleteUpload: define({
    summary: 'Give up a resumable upload; the file stays as it was',
    http: 'DELETE /v1/sandboxes/{id}/files/uploads/{upload}',
    scope: 'exec',
    params: byUpload,
    query: z.strictObject({ ...filesQuery }),
    status: 204,
    errors: fileErrors,
  }),
  checksumFile: define({
    summary: 'Digest of a file',
    http: 'GET /v1/sandboxes/{id}/files/checksum',
    scope: 'exec',
    params: byId,
    query: z.strictObject({
      ...filesQuery,
      algorithm: z.enum(['sha256', 'sha512', 'sha1', 'md5']).default('sha256'),
    }),
    output: z.object({ algorithm: z.string(), digest: z.string(), size: z.int() }),
    errors: fileErrors,
  }),
  downloadArchive: define({
    summary: 'A directory or file as an archive, made while it is sent; links stay links',
    http: 'GET /v1/sandboxes/{id}/files/archive',
    scope: 'exec',
    params: byId,
    query: z.strictObject({
      path: Fields.filePath.default('.'),
      user: Fields.userName.optional(),
      format: z.enum(['tar.gz', 'tar', 'zip']).default('tar.gz'),
    }),
    streams: 'body',
    type: 'application/octet-stream',
    errors: fileErrors,
  }),
  uploadArchive: define({
    summary: 'Unpack an archive below a directory; nothing of it gets out of that directory',
    http: 'POST /v1/sandboxes/{id}/files/archive',
    scope: 'exec',
    params: byId,
    query: z.strictObject({
      path: Fields.filePath.default('.').meta({ description: 'The directory, made when it is missing.' }),
      user: Fields.userName.optional(),
      format: z
        .enum(['auto', 'tar.gz', 'tar', 'zip'])
        .default('auto')
        .meta({ description: 'auto: by the first bytes.' }),
    }),
    upload: true,
    output: z.object({
      files: z.int(),
      directories: z.int(),
      links: z.int(),
      bytes: z.int(),
    }),
    errors: [...fileErrors, 'no_space', 'archive_refused'],
  }),
  watchFiles: define({
    summary: 'Changes below a directory, one JSON object a line, from a first `{"type":"ready"}` on',
    http: 'GET /v1/sandboxes/{id}/files/watch',
    scope: 'exec',
    params: byId,
    query: z.strictObject({ ...filesQuery, recursive: flag.default(false) }),
    streams: 'body',
    type: 'application/x-ndjson',
    errors: fileErrors,
  }),
  signFile: define({
    summary: 'A link that lets whoever has it read or write one file until it expires',
    http: 'POST /v1/sandboxes/{id}/files/sign',
    scope: 'exec',
    params: byId,
    body: z.strictObject({
      ...filesQuery,
      operation: z.enum(['read', 'write']),
      ttl: Fields.duration.optional().meta({ description: 'Default 1h, at most 7d.' }),
    }),
    output: z.object({
      path: z.string().meta({ description: 'To append to the address of this server.' }),
      url: z.string().nullable().meta({ description: 'null: the server does not listen on TCP.' }),
      expiresAt: z.iso.datetime(),
    }),
    errors: ['sandbox_not_found', 'sandbox_ended'],
  }),
  readSigned: define({
    summary: 'Read the file of a signed link',
    http: 'GET /v1/signed/{token}',
    scope: 'signature',
    params: z.object({ token: z.string().max(8192) }),
    streams: 'bytes',
    errors: ['signature_invalid', ...fileErrors],
  }),
  writeSigned: define({
    summary: 'Write the file of a signed link, atomically',
    http: 'PUT /v1/signed/{token}',
    scope: 'signature',
    params: z.object({ token: z.string().max(8192) }),
    upload: true,
    output: z.object({ bytes: z.int() }),
    errors: ['signature_invalid', ...fileErrors, 'no_space'],
  }),
  statFile: define({
    summary: 'Describe a file, directory or link',
    http: 'GET /v1/sandboxes/{id}/files/stat',
    scope: 'exec',
    params: byId,
    query: z.strictObject({ ...filesQuery, follow: flag.default(false), attributes: withAttributes }),
    output: FileInfo,
    errors: fileErrors,
  }),
  listFiles: define({
    summary: 'List a directory, sorted by name',
    http: 'GET /v1/sandboxes/{id}/files',
    scope: 'exec',
    params: byId,
    query: z.strictObject({
      path: Fields.filePath.default('.'),
      user: Fields.userName.optional(),
      depth: z.coerce
        .number()
        .int()
        .min(1)
        .max(100)
        .default(1)
        .meta({ description: 'How deep: 1 is the directory alone.' }),
      attributes: withAttributes,
    }),
    output: z.object({ files: z.array(FileInfo) }),
    errors: fileErrors,
  }),
  makeDirectory: define({
    summary: 'Make a directory',
    http: 'POST /v1/sandboxes/{id}/files/mkdir',
    scope: 'exec',
    params: byId,
    body: z.strictObject({
      ...filesQuery,
      mode: z.int().min(0).max(0o7777).optional(),
      parents: z.boolean().default(false),
    }),
    output: z.object({ directoriesCreated: z.array(z.string()) }),
    errors: [...fileErrors, 'file_exists', 'no_space'],
  }),
  renameFile: define({
    summary: 'Move a file or directory',
    http: 'POST /v1/sandboxes/{id}/files/rename',
    scope: 'exec',
    params: byId,
    body: z.strictObject({ ...filesQuery, target: Fields.filePath }),
    status: 204,
    errors: [...fileErrors, 'file_exists', 'directory_not_empty', 'no_space'],
  }),
  removeFile: define({
    summary: 'Remove a file, or a directory with `recursive`; links are never followed',
    http: 'DELETE /v1/sandboxes/{id}/files',
    scope: 'exec',
    params: byId,
    query: z.strictObject({ ...filesQuery, recursive: flag.default(false) }),
    status: 204,
    errors: [...fileErrors, 'directory_not_empty'],
  }),
  changeMode: define({
    summary: 'Change permission bits',
    http: 'POST /v1/sandboxes/{id}/files/chmod',
    scope: 'exec',
    params: byId,
    body: z.strictObject({ ...filesQuery, mode: z.int().min(0).max(0o7777) }),
    status: 204,
    errors: fileErrors,
  }),
  setAttributes: define({
    summary: 'Set and remove extended attributes "user.…" of a file or directory',
    http: 'POST /v1/sandboxes/{id}/files/attributes',
    scope: 'exec',
    params: byId,
    body: z.strictObject({
      ...filesQuery,
      attributes: z
        .record(z.string().regex(/^[!-~]{1,250}$/), z.string().max(16_384).nullable())
        .meta({ description: 'Names without "user."; null removes.' }),
    }),
    status: 204,
    errors: [...fileErrors, 'no_space', 'not_supported'],
  }),
  changeOwner: define({
    summary: 'Change owner and group by number',
    http: 'POST /v1/sandboxes/{id}/files/chown',
    scope: 'exec',
    params: byId,
    body: z.strictObject({ ...filesQuery, uid: z.int().min(0).max(65_535), gid: z.int().min(0).max(65_535) }),
    status: 204,
    errors: fileErrors,
  }),
} as const satisfies Record<string, Operation>
