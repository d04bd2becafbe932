import { z } from 'zod'
import type { ErrorCode } from './errors.ts'
import {
  ApiKey,
  CreateSandbox,
  DoctorReport,
  Execution,
  Fields,
  FileInfo,
  Runtime,
  Sandbox,
  Scope,
  ServerInfo,
  StartExecution,
  Status,
} from './resources.ts'

/**
 * Operations are declared once; the server's routes, OpenAPI, the SDK's routes, the CLI's reference and the
 * authorisation tests are projections of this table.
 */
export interface Operation {
  summary: string
  /** `METHOD /path`; `{name}` is a path parameter, taken from the input. */
  http: `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /v1/${string}`
  /** The scope that a key needs. */
  scope: Scope
  /** Path parameters. */
  params?: z.ZodObject
  query?: z.ZodObject
  /** JSON body. */
  body?: z.ZodObject
  /** Raw bytes in the request's body instead of JSON. */
  upload?: true
  /** JSON answer; absent: 204. */
  output?: z.ZodType
  /** Instead of a JSON answer: the execution stream (see stream.ts), raw bytes, or a WebSocket of execution messages. */
  streams?: 'execution' | 'bytes' | 'websocket'
  status?: 200 | 201 | 204
  /** The operation takes an `Idempotency-Key` header: a repeat returns the first result. */
  idempotent?: true
  errors: readonly ErrorCode[]
}

const define = <const O extends Operation>(operation: O): O => operation

const reference = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/)
const byId = z.object({ id: reference.meta({ description: 'Id or name.' }) })
const byExecution = z.object({ execution: reference })
const flag = z.enum(['true', 'false']).transform((v) => v === 'true')
const count = (fallback: number, max: number) => z.coerce.number().int().min(0).max(max).default(fallback)
const filesQuery = { path: Fields.filePath, user: Fields.userName.optional() }
const page = {
  limit: z.coerce.number().int().min(1).max(100).default(50),
  offset: count(0, Number.MAX_SAFE_INTEGER),
}
const live = ['sandbox_not_found', 'sandbox_ended', 'invalid_transition', 'agent_lost'] as const
const fileErrors = [...live, 'file_not_found', 'file_denied', 'file_wrong_type', 'file_failed'] as const

export const operations = {
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
      status: Status.optional(),
      name: z.string().optional(),
      mode: z.enum(['oneshot', 'interactive']).optional(),
      projectId: z.string().optional(),
      orgId: z.string().optional(),
      metadata: z.string().optional().meta({ description: 'A JSON object; every pair must match.' }),
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
      'not_supported',
      'too_many',
      'create_failed',
      'command_not_found',
      'cannot_start',
      'shutting_down',
    ],
  }),
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
    query: z.strictObject({ ...page, direction: z.enum(['asc', 'desc']).default('desc') }),
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
    query: z.strictObject({ offset: count(0, Number.MAX_SAFE_INTEGER), follow: flag.default(true) }),
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
    query: z.strictObject({ offset: count(0, Number.MAX_SAFE_INTEGER) }),
    streams: 'websocket',
    errors: ['execution_not_found'],
  }),
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
      mode: z.coerce
        .number()
        .int()
        .min(0)
        .max(0o7777)
        .optional()
        .meta({ description: 'Permission bits, as a decimal number.' }),
      parents: flag.default(true).meta({ description: 'Make missing parent directories.' }),
    }),
    upload: true,
    output: FileInfo.extend({ directoriesCreated: z.array(z.string()) }),
    errors: [...fileErrors, 'no_space'],
  }),
  statFile: define({
    summary: 'Describe a file, directory or link',
    http: 'GET /v1/sandboxes/{id}/files/stat',
    scope: 'exec',
    params: byId,
    query: z.strictObject({ ...filesQuery, follow: flag.default(false) }),
    output: FileInfo,
    errors: fileErrors,
  }),
  listFiles: define({
    summary: 'List a directory, sorted by name',
    http: 'GET /v1/sandboxes/{id}/files',
    scope: 'exec',
    params: byId,
    query: z.strictObject({ path: Fields.filePath.default('.'), user: Fields.userName.optional() }),
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
  changeOwner: define({
    summary: 'Change owner and group by number',
    http: 'POST /v1/sandboxes/{id}/files/chown',
    scope: 'exec',
    params: byId,
    body: z.strictObject({ ...filesQuery, uid: z.int().min(0).max(65_535), gid: z.int().min(0).max(65_535) }),
    status: 204,
    errors: fileErrors,
  }),
  listRuntimes: define({
    summary: 'List runtimes',
    http: 'GET /v1/runtimes',
    scope: 'read',
    output: z.object({ runtimes: z.array(Runtime) }),
    errors: [],
  }),
  getServer: define({
    summary: 'What this server is and which isolation is active',
    http: 'GET /v1/server',
    scope: 'read',
    output: ServerInfo,
    errors: [],
  }),
  doctor: define({
    summary: 'Check, ability by ability, what this host can do and how to mend what is missing',
    http: 'GET /v1/doctor',
    scope: 'read',
    output: DoctorReport,
    errors: [],
  }),
  stopServer: define({
    summary: 'Stop the server; sandboxes go on running and the next server finds them',
    http: 'POST /v1/server/stop',
    scope: 'admin',
    status: 204,
    errors: [],
  }),
  createKey: define({
    summary: 'Make an API key; it is shown once',
    http: 'POST /v1/keys',
    scope: 'admin',
    body: z.strictObject({
      name: z.string().min(1).max(128),
      scopes: z.array(Scope).min(1),
      ttl: Fields.duration.optional(),
    }),
    output: ApiKey.extend({ key: z.string() }),
    status: 201,
    errors: [],
  }),
  listKeys: define({
    summary: 'List API keys, without their secrets',
    http: 'GET /v1/keys',
    scope: 'admin',
    output: z.object({ keys: z.array(ApiKey) }),
    errors: [],
  }),
  deleteKey: define({
    summary: 'Revoke an API key',
    http: 'DELETE /v1/keys/{key}',
    scope: 'admin',
    params: z.object({ key: reference }),
    status: 204,
    errors: ['key_not_found'],
  }),
} as const satisfies Record<string, Operation>

export type OperationName = keyof typeof operations

/** Errors that any operation may answer with, beside its own. */
export const COMMON_ERRORS = [
  'invalid_request',
  'unauthenticated',
  'forbidden',
  'payload_too_large',
  'host_not_ready',
  'internal',
] as const satisfies readonly ErrorCode[]
