import { z } from 'zod'
import {
  Checkpoint,
  CreateCheckpoint,
  CreateSnapshot,
  Fields,
  Lineage,
  Sandbox,
  Snapshot,
  snapshotTag,
} from '../resources.ts'
import { byId, define, flag, live, type Operation, page, reference } from './operation.ts'

const snapshotReference = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._:-]{0,255}$/)
  .meta({ description: 'An id, "name:tag", a name (its tag "latest"), or a tag that only one snapshot has.' })
const bySnapshot = z.object({ snapshot: snapshotReference })
const byCheckpoint = byId.extend({ checkpoint: reference.meta({ description: 'Id or name.' }) })
const unknown = ['snapshot_not_found', 'snapshot_ambiguous'] as const

/** Saved files: checkpoints of one sandbox, snapshots for new ones. */
export const snapshots = {
  createCheckpoint: define({
    summary: 'Save the files of a sandbox, which goes on; constant in their size',
    http: 'POST /v1/sandboxes/{id}/checkpoints',
    scope: 'exec',
    params: byId,
    body: CreateCheckpoint,
    output: Checkpoint,
    status: 201,
    errors: [...live, 'not_supported', 'checkpoint_exists', 'too_many', 'save_failed'],
  }),
  listCheckpoints: define({
    summary: 'List the checkpoints of a sandbox',
    http: 'GET /v1/sandboxes/{id}/checkpoints',
    scope: 'read',
    params: byId,
    query: z.strictObject({ ...page, direction: z.enum(['asc', 'desc']).default('asc') }),
    output: z.object({ checkpoints: z.array(Checkpoint), total: z.int() }),
    errors: ['sandbox_not_found'],
  }),
  restoreCheckpoint: define({
    summary: 'Put the files of a sandbox back to a checkpoint; its processes end',
    http: 'POST /v1/sandboxes/{id}/checkpoints/{checkpoint}/restore',
    scope: 'exec',
    params: byCheckpoint,
    output: Sandbox,
    errors: [
      'sandbox_not_found',
      'sandbox_ended',
      'invalid_transition',
      'checkpoint_not_found',
      'not_supported',
      'pause_failed',
      'resume_failed',
    ],
  }),
  deleteCheckpoint: define({
    summary: 'Delete a checkpoint',
    http: 'DELETE /v1/sandboxes/{id}/checkpoints/{checkpoint}',
    scope: 'exec',
    params: byCheckpoint,
    status: 204,
    errors: ['sandbox_not_found', 'checkpoint_not_found'],
  }),
  createSnapshot: define({
    summary: 'Save the files of a sandbox for new sandboxes; it goes on',
    http: 'POST /v1/sandboxes/{id}/snapshots',
    scope: 'exec',
    params: byId,
    body: CreateSnapshot,
    output: Snapshot,
    status: 201,
    errors: [...live, 'not_supported', 'snapshot_unsafe', 'save_failed', 'conflict'],
  }),
  listSnapshots: define({
    summary: 'List snapshots',
    http: 'GET /v1/snapshots',
    scope: 'read',
    query: z.strictObject({
      ...page,
      sandbox: z.string().optional().meta({ description: 'Made from this sandbox.' }),
      name: z.string().optional(),
      tag: z.string().optional(),
      public: flag.optional(),
      contentHash: z.string().optional(),
      sort: z.enum(['name', 'created', 'size', 'files']).default('created'),
      direction: z.enum(['asc', 'desc']).default('desc'),
    }),
    output: z.object({ snapshots: z.array(Snapshot), total: z.int() }),
    errors: [],
  }),
  getSnapshot: define({
    summary: 'Get a snapshot',
    http: 'GET /v1/snapshots/{snapshot}',
    scope: 'read',
    params: bySnapshot,
    output: Snapshot,
    errors: unknown,
  }),
  getLineage: define({
    summary: 'What a snapshot was made from, and what was made from it',
    http: 'GET /v1/snapshots/{snapshot}/lineage',
    scope: 'read',
    params: bySnapshot,
    output: Lineage,
    errors: unknown,
  }),
  tagSnapshot: define({
    summary: 'Give a snapshot a tag, taking it from another of the same name; null clears',
    http: 'PUT /v1/snapshots/{snapshot}/tag',
    scope: 'exec',
    params: bySnapshot,
    body: z.strictObject({ tag: snapshotTag.nullable() }),
    output: Snapshot,
    errors: unknown,
  }),
  deleteSnapshot: define({
    summary: 'Delete a snapshot; what was made from it stays whole',
    http: 'DELETE /v1/snapshots/{snapshot}',
    scope: 'exec',
    params: bySnapshot,
    status: 204,
    errors: unknown,
  }),
  exportSnapshot: define({
    summary: 'Download a snapshot as a file: tar, zstd, with a manifest and digests',
    http: 'GET /v1/snapshots/{snapshot}/archive',
    scope: 'read',
    params: bySnapshot,
    streams: 'body',
    type: 'application/zstd',
    errors: [...unknown, 'not_supported', 'too_many', 'create_failed'],
  }),
  exportPublicSnapshot: define({
    summary: 'Download a public snapshot; one that is not public looks as if it did not exist',
    http: 'GET /v1/public/snapshots/{snapshot}/archive',
    scope: 'public',
    params: bySnapshot,
    streams: 'body',
    type: 'application/zstd',
    errors: ['snapshot_not_found', 'not_supported', 'too_many', 'create_failed'],
  }),
  importSnapshot: define({
    summary: 'Make a snapshot from an exported file; one that was changed or cut is refused',
    http: 'POST /v1/snapshots/import',
    scope: 'exec',
    query: z.strictObject({
      name: Fields.name.optional().meta({ description: 'Instead of the one in the file.' }),
      tag: snapshotTag.optional().meta({ description: 'Instead of the one in the file.' }),
    }),
    upload: true,
    output: Snapshot,
    status: 201,
    errors: ['archive_invalid', 'not_supported', 'too_many', 'create_failed', 'save_failed', 'shutting_down'],
  }),
} as const satisfies Record<string, Operation>
