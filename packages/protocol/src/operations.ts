import { z } from 'zod'
import type { ErrorCode } from './errors.ts'
import {
  ApiKey,
  CreateSandbox,
  Destination,
  DoctorReport,
  Event,
  Execution,
  ExposedPort,
  Fields,
  FileInfo,
  Job,
  NetworkAsked,
  NetworkExplanation,
  NetworkLogEntry,
  NetworkState,
  PortAccess,
  Runtime,
  Sandbox,
  Scope,
  ServerInfo,
  SshKey,
  StartExecution,
  Stats,
  Status,
  Usage,
} from './resources.ts'

/**
 * Operations are declared once; the server's routes, OpenAPI, the SDK's routes, the CLI's reference and the
 * authorisation tests are projections of this table.
 */
export interface Operation {
  summary: string
  /** `METHOD /path`; `{name}` is a path parameter, taken from the input. */
  http: `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /v1/${string}`
  /** The scope that a key needs; `signature`: no key, the path itself is signed. */
  scope: Scope | 'signature'
  /** Path parameters. */
  params?: z.ZodObject
  query?: z.ZodObject
  /** JSON body. */
  body?: z.ZodObject
  /** Raw bytes in the request's body instead of JSON. */
  upload?: true
  /** JSON answer; absent: 204. */
  output?: z.ZodType
  /** Instead of a JSON answer: the execution stream (see stream.ts), a file's bytes, a body of the media type `type`, or a WebSocket of execution messages. */
  streams?: 'execution' | 'bytes' | 'body' | 'websocket'
  /** Media type of a streamed body. */
  type?: string
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
const environment = z.object({ env: z.record(z.string(), z.string()) })
const byJob = z.object({ id: reference.meta({ description: 'Id or name.' }), job: reference })
const byUpload = z.object({
  id: reference.meta({ description: 'Id or name.' }),
  upload: reference.meta({ description: 'A name for this upload, chosen by the client.' }),
})
const byPort = z.object({
  id: reference.meta({ description: 'Id or name.' }),
  port: z.coerce.number().int().min(1024).max(65_535),
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
const tail = z.coerce
  .number()
  .int()
  .min(0)
  .max(Number.MAX_SAFE_INTEGER)
  .optional()
  .meta({ description: 'Begin so many bytes before the end; in place of `offset`.' })
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
  getNetwork: define({
    summary: 'What a sandbox may reach, and how much it has sent and received',
    http: 'GET /v1/sandboxes/{id}/network',
    scope: 'read',
    params: byId,
    output: NetworkState,
    errors: ['sandbox_not_found'],
  }),
  setNetwork: define({
    summary: 'Replace the rules of a running sandbox; open connections are judged anew at their next packet',
    http: 'PUT /v1/sandboxes/{id}/network',
    scope: 'exec',
    params: byId,
    body: z.strictObject({ network: NetworkAsked }),
    output: NetworkState,
    errors: [
      'sandbox_not_found',
      'sandbox_ended',
      'invalid_transition',
      'not_supported',
      'conflict',
      'host_not_ready',
    ],
  }),
  readNetworkLog: define({
    summary: 'What the network rules refused, oldest first',
    http: 'GET /v1/sandboxes/{id}/network/log',
    scope: 'read',
    params: byId,
    query: z.strictObject({ ...page, reverse: flag.optional().meta({ description: 'Newest first.' }) }),
    output: z.object({ entries: z.array(NetworkLogEntry), total: z.int() }),
    errors: ['sandbox_not_found'],
  }),
  listDestinations: define({
    summary: 'What a sandbox has connected to, most recent first',
    http: 'GET /v1/sandboxes/{id}/network/destinations',
    scope: 'read',
    params: byId,
    query: z.strictObject({ ...page }),
    output: z.object({ destinations: z.array(Destination), total: z.int() }),
    errors: ['sandbox_not_found'],
  }),
  explainNetwork: define({
    summary: 'Whether a sandbox may reach a host, and why',
    http: 'GET /v1/sandboxes/{id}/network/explain',
    scope: 'read',
    params: byId,
    query: z.strictObject({
      destination: z
        .string()
        .min(1)
        .max(300)
        .meta({ description: 'A name or an address, and ":port" if one is meant.' }),
    }),
    output: NetworkExplanation,
    errors: ['sandbox_not_found', 'sandbox_ended'],
  }),
  listPorts: define({
    summary: 'The exposed ports of a sandbox',
    http: 'GET /v1/sandboxes/{id}/ports',
    scope: 'read',
    params: byId,
    output: z.object({ ports: z.array(ExposedPort) }),
    errors: ['sandbox_not_found'],
  }),
  exposePort: define({
    summary: 'Expose a port of a sandbox, or change who may reach it',
    http: 'PUT /v1/sandboxes/{id}/ports/{port}',
    scope: 'exec',
    params: byPort,
    body: z.strictObject({ access: PortAccess.default('private') }),
    output: ExposedPort,
    errors: ['sandbox_not_found', 'sandbox_ended', 'too_many', 'conflict'],
  }),
  unexposePort: define({
    summary: 'Expose a port no longer; open connections to it are cut',
    http: 'DELETE /v1/sandboxes/{id}/ports/{port}',
    scope: 'exec',
    params: byPort,
    errors: ['sandbox_not_found', 'sandbox_ended', 'port_not_exposed', 'conflict'],
  }),
  linkPort: define({
    summary: 'Make a link and a token that open a private port for some time',
    http: 'POST /v1/sandboxes/{id}/ports/{port}/links',
    scope: 'exec',
    params: byPort,
    body: z.strictObject({
      ttl: Fields.duration.default('24h').meta({ description: 'At most 30 days.' }),
    }),
    output: z.object({
      url: z
        .string()
        .nullable()
        .meta({ description: 'Opens the port in a browser and keeps the token as a cookie.' }),
      token: z.string().meta({ description: 'For the header caisson-port-token.' }),
      expiresAt: z.iso.datetime(),
    }),
    errors: ['sandbox_not_found', 'sandbox_ended', 'port_not_exposed'],
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
    query: z.strictObject({ ...filesQuery, follow: flag.default(false) }),
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
  addSshKey: define({
    summary: 'Let the owner of a public key in by SSH; one that is known already is given back',
    http: 'POST /v1/ssh-keys',
    scope: 'admin',
    body: z.strictObject({
      publicKey: z
        .string()
        .max(16_384)
        .meta({ description: 'A line of a .pub file: type, base64, comment.' }),
      name: z.string().min(1).max(128).optional().meta({ description: 'Default: the comment.' }),
    }),
    output: SshKey,
    status: 201,
    errors: [],
  }),
  listSshKeys: define({
    summary: 'List SSH keys',
    http: 'GET /v1/ssh-keys',
    scope: 'admin',
    output: z.object({ keys: z.array(SshKey) }),
    errors: [],
  }),
  deleteSshKey: define({
    summary: 'Remove an SSH key; sessions that it opened go on',
    http: 'DELETE /v1/ssh-keys/{key}',
    scope: 'admin',
    params: z.object({ key: z.string().max(128).meta({ description: 'Id or fingerprint.' }) }),
    status: 204,
    errors: ['ssh_key_not_found'],
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
