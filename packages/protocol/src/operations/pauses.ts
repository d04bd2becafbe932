import { z } from 'zod'
import { CreateSandbox, Fields, PauseDepth, Sandbox, Session } from '../resources.ts'
import { byId, define, flag, live, type Operation, page, reference } from './operation.ts'

const bySession = z.object({ session: reference.meta({ description: 'Id or name.' }) })

/** Pausing, resuming, forking; sessions, which do it by themselves. */
export const pauses = {
  pauseSandbox: define({
    summary: 'Pause a sandbox; pausing one that is paused as deep or deeper changes nothing',
    http: 'POST /v1/sandboxes/{id}/pause',
    scope: 'exec',
    params: byId,
    body: z.strictObject({
      depth: PauseDepth.optional().meta({ description: 'Default: the sandbox’s `pauseDepth`.' }),
    }),
    output: Sandbox,
    errors: ['sandbox_not_found', 'sandbox_ended', 'invalid_transition', 'not_supported', 'pause_failed'],
  }),
  resumeSandbox: define({
    summary: 'Resume a paused sandbox; resuming one that runs changes nothing',
    http: 'POST /v1/sandboxes/{id}/resume',
    scope: 'exec',
    params: byId,
    body: z.strictObject({
      ttl: Fields.duration.optional().meta({
        description: 'Time to live from now on; 0: without end. Default: what was left of it.',
      }),
    }),
    output: Sandbox,
    errors: ['sandbox_not_found', 'sandbox_ended', 'invalid_transition', 'resume_failed'],
  }),
  forkSandbox: define({
    summary: 'Make copies of a sandbox, which goes on; constant in the size of its files',
    http: 'POST /v1/sandboxes/{id}/fork',
    scope: 'exec',
    params: byId,
    body: z.strictObject({
      count: z.int().min(1).max(100).default(1),
      memory: z.boolean().default(false).meta({
        description: 'Processes are copied too. Default: the copies start with the files alone.',
      }),
      name: Fields.name
        .optional()
        .meta({ description: 'Of the copy; of several, with "-1", "-2", … added.' }),
      metadata: z
        .record(z.string().min(1).max(256), z.string().max(65_536))
        .optional()
        .meta({ description: 'Instead of the original’s.' }),
    }),
    output: z.object({ sandboxes: z.array(Sandbox) }),
    status: 201,
    idempotent: true,
    errors: [
      ...live,
      'not_supported',
      'name_taken',
      'too_many',
      'create_failed',
      'save_failed',
      'idempotency_conflict',
      'shutting_down',
    ],
  }),
  createSession: define({
    summary: 'Record a session and its sandbox; the first command starts it',
    http: 'POST /v1/sessions',
    scope: 'exec',
    body: z.strictObject({
      name: Fields.name.optional().meta({ description: 'Unique among sessions that are not deleted.' }),
      metadata: z.record(z.string().min(1).max(256), z.string().max(65_536)).optional(),
      projectId: z.string().max(4096).optional(),
      orgId: z.string().max(4096).optional(),
      pauseAfter: Fields.duration.optional().meta({
        description: 'Paused so long after each start, as soon as nothing runs. Default: 1 hour; 0: never.',
      }),
      sandbox: CreateSandbox.optional().meta({ description: 'How its sandbox is made.' }),
    }),
    output: Session,
    status: 201,
    idempotent: true,
    errors: [
      'name_taken',
      'runtime_not_found',
      'runtime_not_built',
      'snapshot_not_found',
      'snapshot_ambiguous',
      'build_failed',
      'not_supported',
      'too_many',
      'idempotency_conflict',
      'shutting_down',
    ],
  }),
  listSessions: define({
    summary: 'List sessions; without `all`, those that are not deleted',
    http: 'GET /v1/sessions',
    scope: 'read',
    query: z.strictObject({
      ...page,
      status: Session.shape.status.optional(),
      name: z.string().optional(),
      projectId: z.string().optional(),
      orgId: z.string().optional(),
      metadata: z.string().optional().meta({ description: 'A JSON object; every pair must match.' }),
      all: flag.optional().meta({ description: 'Deleted ones too.' }),
      sort: z.enum(['name', 'created', 'updated']).default('created'),
      direction: z.enum(['asc', 'desc']).default('desc'),
    }),
    output: z.object({ sessions: z.array(Session), total: z.int() }),
    errors: [],
  }),
  getSession: define({
    summary: 'Get a session by id or name',
    http: 'GET /v1/sessions/{session}',
    scope: 'read',
    params: bySession,
    output: Session,
    errors: ['session_not_found'],
  }),
  deleteSession: define({
    summary: 'Delete a session with its sandbox; deleting a deleted one changes nothing',
    http: 'DELETE /v1/sessions/{session}',
    scope: 'exec',
    params: bySession,
    output: Session,
    errors: ['session_not_found'],
  }),
} as const satisfies Record<string, Operation>
