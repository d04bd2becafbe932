import { z } from 'zod'
import {
  CreateSandbox,
  Event,
  Fields,
  Sandbox,
  STATUSES,
  StartExecution,
  Stats,
  type Status,
  Usage,
  UsageSample,
} from '../resources.ts'
import { byId, define, flag, live, type Operation, page } from './operation.ts'

const environment = z.object({ env: z.record(z.string(), z.string()) })

/** Sandboxes: their life, their environment, and what is told of them. */
export const sandboxes = {
  createSandbox: define({
    summary: 'Create a sandbox and wait until it runs',
    http: 'POST /v1/sandboxes',
    scope: 'exec',
    body: CreateSandbox,
    output: Sandbox,
    status: 201,
    idempotent: true,
    errors: [
      'name_taken',
      'runtime_not_found',
      'runtime_not_built',
      'snapshot_not_found',
      'snapshot_ambiguous',
      'template_not_found',
      'volume_not_found',
      'build_failed',
      'not_supported',
      'too_many',
      'create_failed',
      'idempotency_conflict',
      'shutting_down',
    ],
  }),
  listSandboxes: define({
    summary: 'List sandboxes; without `status` or `all`, those that have not ended',
    http: 'GET /v1/sandboxes',
    scope: 'read',
    query: z.strictObject({
      ...page,
      status: z
        .string()
        .regex(new RegExp(`^(${STATUSES.join('|')})(,(${STATUSES.join('|')}))*$`))
        .transform((text) => text.split(',') as Status[])
        .optional()
        .meta({ description: 'One status, or several with commas between.' }),
      name: z.string().optional(),
      mode: z.enum(['oneshot', 'interactive']).optional(),
      projectId: z.string().optional(),
      orgId: z.string().optional(),
      metadata: z.string().optional().meta({ description: 'A JSON object; every pair must match.' }),
      template: z
        .string()
        .max(256)
        .optional()
        .meta({ description: 'The id of its template or snapshot, or its runtime.' }),
      createdAfter: z.iso
        .datetime({ offset: true })
        .optional()
        .meta({ description: 'At that time or later.' }),
      all: flag.optional().meta({ description: 'Ended ones too.' }),
      sort: z.enum(['name', 'created', 'updated', 'status', 'mode', 'execution_count']).default('created'),
      direction: z.enum(['asc', 'desc']).default('desc'),
    }),
    output: z.object({ sandboxes: z.array(Sandbox), total: z.int() }),
    errors: [],
  }),
  getSandbox: define({
    summary: 'Get a sandbox by id or name',
    http: 'GET /v1/sandboxes/{id}',
    scope: 'read',
    params: byId,
    output: Sandbox,
    errors: ['sandbox_not_found'],
  }),
  updateSandbox: define({
    summary: 'Change a sandbox: description, metadata, idle timeout; extend or cut its life',
    http: 'PATCH /v1/sandboxes/{id}',
    scope: 'exec',
    params: byId,
    body: z.strictObject({
      description: z.string().max(4096).nullable().optional(),
      metadata: z.record(z.string().min(1).max(256), z.string().max(65_536)).optional(),
      idleTimeout: Fields.duration.optional().meta({ description: '0: never.' }),
      ttl: Fields.duration.optional().meta({ description: 'Life from now on; 0: without end.' }),
    }),
    output: Sandbox,
    errors: ['sandbox_not_found', 'sandbox_ended', 'conflict'],
  }),
  deleteSandbox: define({
    summary: 'End a sandbox and everything in it; deleting an ended one changes nothing',
    http: 'DELETE /v1/sandboxes/{id}',
    scope: 'exec',
    params: byId,
    output: Sandbox,
    errors: ['sandbox_not_found'],
  }),
  run: define({
    summary: 'Create a sandbox, run one command, stream its output, delete the sandbox; leaving ends it',
    http: 'POST /v1/run',
    scope: 'exec',
    body: z.strictObject({ sandbox: CreateSandbox.optional(), execution: StartExecution }),
    streams: 'execution',
    errors: [
      'runtime_not_found',
      'runtime_not_built',
      'snapshot_not_found',
      'snapshot_ambiguous',
      'template_not_found',
      'volume_not_found',
      'build_failed',
      'not_supported',
      'too_many',
      'create_failed',
      'command_not_found',
      'cannot_start',
      'shutting_down',
    ],
  }),
  getEnvironment: define({
    summary: 'The environment that the next command gets from its sandbox',
    http: 'GET /v1/sandboxes/{id}/env',
    scope: 'exec',
    params: byId,
    output: environment,
    errors: ['sandbox_not_found'],
  }),
  updateEnvironment: define({
    summary: 'Set and delete variables: later commands see it, running ones do not',
    http: 'PATCH /v1/sandboxes/{id}/env',
    scope: 'exec',
    params: byId,
    body: z.strictObject({
      env: z
        .record(z.string().min(1).max(256), z.string().max(131_072).nullable())
        .meta({ description: 'null deletes.' }),
    }),
    output: environment,
    errors: ['sandbox_not_found', 'sandbox_ended', 'conflict'],
  }),
  listEvents: define({
    summary: 'List what happened to a sandbox, oldest first',
    http: 'GET /v1/sandboxes/{id}/events',
    scope: 'read',
    params: byId,
    query: z.strictObject({
      ...page,
      direction: z.enum(['asc', 'desc']).default('asc'),
      type: z.string().max(64).optional(),
    }),
    output: z.object({ events: z.array(Event), total: z.int() }),
    errors: ['sandbox_not_found'],
  }),
  listUsage: define({
    summary: 'What a sandbox used in the last hours, sampled about every minute, and now',
    http: 'GET /v1/sandboxes/{id}/metrics',
    scope: 'read',
    params: byId,
    query: z.strictObject({
      start: z.iso.datetime({ offset: true }).optional(),
      end: z.iso.datetime({ offset: true }).optional(),
    }),
    output: z.object({ samples: z.array(UsageSample) }),
    errors: ['sandbox_not_found', 'not_supported'],
  }),
  getUsage: define({
    summary: 'What a sandbox uses now',
    http: 'GET /v1/sandboxes/{id}/usage',
    scope: 'read',
    params: byId,
    output: Usage,
    errors: [...live, 'not_supported'],
  }),
  getStats: define({
    summary: 'Sandboxes now, and what they used between two dates',
    http: 'GET /v1/stats',
    scope: 'read',
    query: z.strictObject({
      start: z.iso.datetime().optional().meta({ description: 'Default: a day before `end`.' }),
      end: z.iso.datetime().optional().meta({ description: 'Default: now.' }),
      projectId: z.string().optional(),
      orgId: z.string().optional(),
    }),
    output: Stats,
    errors: [],
  }),
} as const satisfies Record<string, Operation>
