import { z } from 'zod'
import { Collected, DiskUsage, Runtime } from '../resources.ts'
import { define, flag, type Operation, page } from './operation.ts'

const runtimeReference = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,127}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$/)
const byRuntime = z.object({
  runtime: runtimeReference.meta({ description: '"name:tag", or a name for its tag "latest".' }),
})

/** Runtimes, and the disk that all of it takes. */
export const runtimes = {
  listRuntimes: define({
    summary: 'List runtimes',
    http: 'GET /v1/runtimes',
    scope: 'read',
    query: z.strictObject({
      ...page,
      sort: z.enum(['name', 'created']).default('name'),
      direction: z.enum(['asc', 'desc']).default('asc'),
    }),
    output: z.object({ runtimes: z.array(Runtime), total: z.int() }),
    errors: [],
  }),
  getRuntime: define({
    summary: 'Get a runtime',
    http: 'GET /v1/runtimes/{runtime}',
    scope: 'read',
    params: byRuntime,
    output: Runtime,
    errors: ['runtime_not_found'],
  }),
  buildRuntime: define({
    summary: 'Build a runtime ahead of its first use; tells its steps, a JSON object a line',
    http: 'POST /v1/runtimes/{runtime}/build',
    scope: 'admin',
    params: byRuntime,
    query: z.strictObject({ force: flag.optional().meta({ description: 'Build it anew.' }) }),
    streams: 'body',
    type: 'application/x-ndjson',
    errors: ['runtime_not_found', 'not_supported', 'build_failed'],
  }),
  importRuntime: define({
    summary:
      'Make a runtime from an OCI image, in the body as an archive or in a registry; tells its steps, a JSON object a line',
    http: 'POST /v1/runtimes/import',
    scope: 'admin',
    query: z.strictObject({
      name: runtimeReference.meta({ description: 'What the runtime is called, "name:tag".' }),
      reference: z.string().max(512).optional().meta({
        description: 'In a registry: "docker.io/library/alpine:3". Without it the body is an archive.',
      }),
      insecure: flag
        .optional()
        .meta({ description: 'The registry speaks plain HTTP or has an unknown certificate.' }),
    }),
    upload: true,
    streams: 'body',
    type: 'application/x-ndjson',
    errors: [
      'image_invalid',
      'build_failed',
      'not_supported',
      'runtime_exists',
      'too_many',
      'create_failed',
      'shutting_down',
    ],
  }),
  deleteRuntime: define({
    summary: 'Delete an imported runtime; sandboxes and snapshots made from it stay whole',
    http: 'DELETE /v1/runtimes/{runtime}',
    scope: 'admin',
    params: byRuntime,
    status: 204,
    errors: ['runtime_not_found', 'not_supported'],
  }),
  getDiskUsage: define({
    summary: 'What takes how much disk',
    http: 'GET /v1/storage',
    scope: 'read',
    output: DiskUsage,
    errors: [],
  }),
  collectGarbage: define({
    summary: 'Remove what nothing needs any more; safe at any time',
    http: 'POST /v1/storage/gc',
    scope: 'admin',
    body: z.strictObject({
      dryRun: z.boolean().default(false).meta({ description: 'Only tell what would be removed.' }),
    }),
    output: Collected,
    errors: [],
  }),
} as const satisfies Record<string, Operation>
