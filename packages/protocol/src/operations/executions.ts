import { z } from 'zod'
import { Execution, Job, StartExecution } from '../resources.ts'
import { byId, count, define, flag, live, type Operation, page, reference } from './operation.ts'

const byExecution = z.object({ execution: reference })
const byJob = z.object({ id: reference.meta({ description: 'Id or name.' }), job: reference })
const tail = z.coerce
  .number()
  .int()
  .min(0)
  .max(Number.MAX_SAFE_INTEGER)
  .optional()
  .meta({ description: 'Begin so many bytes before the end; in place of `offset`.' })

/** Commands and jobs: start, follow, signal, read. */
export const executions = {
  exec: define({
    summary: 'Run a command and stream its output until it ends; leaving does not end it',
    http: 'POST /v1/sandboxes/{id}/exec',
    scope: 'exec',
    params: byId,
    body: StartExecution,
    streams: 'execution',
    idempotent: true,
    errors: [...live, 'command_not_found', 'cannot_start', 'too_many', 'idempotency_conflict'],
  }),
  startExecution: define({
    summary: 'Start a command and return at once',
    http: 'POST /v1/sandboxes/{id}/executions',
    scope: 'exec',
    params: byId,
    body: StartExecution,
    output: Execution,
    status: 201,
    idempotent: true,
    errors: [...live, 'command_not_found', 'cannot_start', 'too_many', 'idempotency_conflict'],
  }),
  listExecutions: define({
    summary: 'List the executions of a sandbox',
    http: 'GET /v1/sandboxes/{id}/executions',
    scope: 'read',
    params: byId,
    query: z.strictObject({
      ...page,
      direction: z.enum(['asc', 'desc']).default('desc'),
      state: z.enum(['pending', 'running', 'ended']).optional(),
      kind: z.enum(['command', 'job']).optional(),
      tag: z.string().optional(),
      since: z.iso.datetime().optional().meta({ description: 'Created at or after.' }),
    }),
    output: z.object({ executions: z.array(Execution), total: z.int() }),
    errors: ['sandbox_not_found'],
  }),
  getExecution: define({
    summary: 'Get an execution',
    http: 'GET /v1/executions/{execution}',
    scope: 'read',
    params: byExecution,
    output: Execution,
    errors: ['execution_not_found'],
  }),
  attachExecution: define({
    summary: 'Read output again from any offset, and follow it until the end',
    http: 'GET /v1/executions/{execution}/output',
    scope: 'read',
    params: byExecution,
    query: z.strictObject({
      offset: count(0, Number.MAX_SAFE_INTEGER),
      tail,
      follow: flag.default(true),
    }),
    streams: 'execution',
    errors: ['execution_not_found'],
  }),
  writeStdin: define({
    summary: 'Send bytes to stdin; answers when the program has taken them all',
    http: 'POST /v1/executions/{execution}/stdin',
    scope: 'exec',
    params: byExecution,
    query: z.strictObject({
      close: flag.default(false).meta({ description: 'Close stdin after these bytes.' }),
    }),
    upload: true,
    status: 204,
    errors: ['execution_not_found', 'execution_ended', 'agent_lost'],
  }),
  killExecution: define({
    summary: 'Signal an execution: its whole process tree, or the leader alone',
    http: 'POST /v1/executions/{execution}/kill',
    scope: 'exec',
    params: byExecution,
    body: z.strictObject({
      signal: z
        .string()
        .regex(/^SIG[A-Z0-9]+$/)
        .default('SIGKILL'),
      scope: z.enum(['leader', 'group', 'tree']).default('tree'),
    }),
    output: Execution,
    errors: ['execution_not_found', 'execution_ended', 'agent_lost', 'not_supported'],
  }),
  connectExecution: define({
    summary: 'A WebSocket to an execution: output, stdin, terminal size, signals',
    http: 'GET /v1/executions/{execution}/connect',
    scope: 'exec',
    params: byExecution,
    query: z.strictObject({ offset: count(0, Number.MAX_SAFE_INTEGER), tail }),
    streams: 'websocket',
    errors: ['execution_not_found'],
  }),
  resizeExecution: define({
    summary: 'Tell a terminal its size',
    http: 'POST /v1/executions/{execution}/resize',
    scope: 'exec',
    params: byExecution,
    body: z.strictObject({ cols: z.int().min(1).max(65_535), rows: z.int().min(1).max(65_535) }),
    status: 204,
    errors: ['execution_not_found', 'execution_ended', 'agent_lost', 'not_supported'],
  }),
  readLogs: define({
    summary: 'Output as plain text: one stream or both, the last lines, matching lines, with times',
    http: 'GET /v1/executions/{execution}/logs',
    scope: 'read',
    params: byExecution,
    query: z.strictObject({
      stream: z.enum(['all', 'stdout', 'stderr']).default('all'),
      follow: flag.default(false).meta({ description: 'Go on until the execution ends.' }),
      offset: count(0, Number.MAX_SAFE_INTEGER),
      tail: z.coerce
        .number()
        .int()
        .min(0)
        .max(1_000_000)
        .optional()
        .meta({ description: 'The last lines only.' }),
      grep: z
        .string()
        .min(1)
        .max(1024)
        .optional()
        .meta({ description: 'Lines that match this RE2 expression.' }),
      timestamps: flag
        .default(false)
        .meta({ description: 'Begin each line with the time it came, RFC 3339.' }),
    }),
    streams: 'body',
    type: 'text/plain; charset=utf-8',
    errors: ['execution_not_found'],
  }),
  createJob: define({
    summary: 'Start a job: a command in the background that outlives request, client and server',
    http: 'POST /v1/sandboxes/{id}/jobs',
    scope: 'exec',
    params: byId,
    body: StartExecution,
    output: Job,
    status: 201,
    idempotent: true,
    errors: [...live, 'command_not_found', 'cannot_start', 'too_many', 'idempotency_conflict'],
  }),
  listJobs: define({
    summary: 'List the jobs of a sandbox',
    http: 'GET /v1/sandboxes/{id}/jobs',
    scope: 'read',
    params: byId,
    query: z.strictObject({ ...page, direction: z.enum(['asc', 'desc']).default('desc') }),
    output: z.object({ jobs: z.array(Job), total: z.int() }),
    errors: ['sandbox_not_found'],
  }),
  getJob: define({
    summary: 'Get a job',
    http: 'GET /v1/sandboxes/{id}/jobs/{job}',
    scope: 'read',
    params: byJob,
    output: Job,
    errors: ['sandbox_not_found', 'execution_not_found'],
  }),
  stopJob: define({
    summary: 'Stop a job: SIGTERM, then SIGKILL; stopping an ended one changes nothing',
    http: 'DELETE /v1/sandboxes/{id}/jobs/{job}',
    scope: 'exec',
    params: byJob,
    query: z.strictObject({ force: flag.default(false).meta({ description: 'SIGKILL at once.' }) }),
    output: Job,
    errors: ['sandbox_not_found', 'execution_not_found', 'agent_lost'],
  }),
} as const satisfies Record<string, Operation>
