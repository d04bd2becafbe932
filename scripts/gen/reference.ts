import { ERRORS, type ErrorCode } from '../../packages/protocol/src/errors.ts'
import { COMMON_ERRORS, operations } from '../../packages/protocol/src/operations.ts'
import { openapiDocument } from './openapi.ts'

interface Schema {
  $ref?: string
  type?: string | string[]
  format?: string
  description?: string
  default?: unknown
  const?: unknown
  enum?: string[]
  items?: Schema
  anyOf?: Schema[]
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: Schema | boolean
}

interface Parameter {
  name: string
  in: string
  required?: boolean
  description?: string
  schema: Schema
  example?: unknown
}

interface Content {
  schema: Schema
  example?: unknown
}

interface Described {
  operationId: keyof typeof operations
  summary: string
  'x-scope': string
  parameters: Parameter[]
  requestBody?: { content: Record<string, Content> }
}

interface Document {
  paths: Record<string, Record<string, Described>>
  components: { schemas: Record<string, Schema> }
}

const NOTICE = '<!-- Generated from the operations table by "npm run gen". Do not edit. -->'
const BASE = 'http://127.0.0.1:7330'

/** docs/reference/api.md */
export function apiReference(): string {
  const document = JSON.parse(openapiDocument()) as Document
  const sections = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) =>
      operationSection(method.toUpperCase(), path, operation, document),
    ),
  )
  const schemas = Object.entries(document.components.schemas).map(([name, schema]) =>
    schemaSection(name, schema),
  )
  return [INTRODUCTION, ...sections, '## Schemas', ...schemas].join('\n\n').concat('\n')
}

const INTRODUCTION = `${NOTICE}
# HTTP API

The API answers on a unix socket (\`<data>/run/api.sock\`), which only its owner can open and which needs no key, and,
if configured, on TCP, where every request names an API key: \`Authorization: Bearer csk_…\`. The examples use TCP; over
the socket write \`curl --unix-socket <data>/run/api.sock http://localhost/v1/…\`.

Scopes: \`read\` looks, \`exec\` also creates, runs, writes and deletes, \`admin\` also manages keys and the server.
A field or parameter that an operation does not know is refused. Errors are described in [errors.md](errors.md); beside
those that an operation lists, each may answer with ${COMMON_ERRORS.map((code) => `\`${code}\``).join(', ')}.
The same as OpenAPI 3.1: [openapi.json](openapi.json), served at \`/v1/openapi.json\`.

Operations marked as idempotent take an \`Idempotency-Key\` header (1 to 255 visible ASCII characters): a repeat with the
same key and the same request returns the first result.

Beside the operations: \`GET /healthz\` (the process lives; needs no key), \`GET /readyz\` (sandboxes were found again and
the driver is open; scope \`read\`), \`GET /metrics\` (Prometheus; scope \`read\`).

## The execution stream

\`run\`, \`exec\` and \`attachExecution\` answer with JSON lines, one record a line, as they happen:
\`{"type":"started","execution":…,"offset":n}\`, then \`{"type":"stdout","offset":n,"data":"…"}\` or \`"stderr"\` (with
\`"encoding":"base64"\` where the bytes are not UTF-8), and at last \`{"type":"ended","execution":…}\` or
\`{"type":"error","error":…}\`; \`{"type":"ping"}\` after 15 quiet seconds. With
\`Accept: application/vnd.caisson.stream\` the same comes as records of u8 kind, u32 little-endian length and payload.
An offset counts the output bytes before a record, stdout and stderr together; after a broken connection
\`attachExecution\` goes on from the last one.`

function operationSection(method: string, path: string, operation: Described, document: Document): string {
  const row = operations[operation.operationId]
  const fields = [...operation.parameters.map(parameterRow), ...bodyRows(operation, document)]
  const table = [
    '| Field | In | Type | |',
    '| --- | --- | --- | --- |',
    ...fields.map((f) => `| ${f.join(' | ')} |`),
  ]
  const errors = row.errors.map((code) => `[\`${code}\`](errors.md#${code})`).join(', ')
  return [
    `## ${operation.operationId}`,
    `${operation.summary}.`,
    `\`${method} ${path}\` · scope \`${operation['x-scope']}\`${'idempotent' in row ? ' · idempotent' : ''}`,
    ...(fields.length > 0 ? [table.join('\n')] : []),
    ...(errors ? [`Errors: ${errors}.`] : []),
    'streams' in row && row.streams === 'websocket'
      ? WEBSOCKET
      : ['```sh', curl(method, path, operation), '```'].join('\n'),
  ].join('\n\n')
}

const WEBSOCKET = `Connect with a WebSocket client and the subprotocol \`caisson.v1\`; a browser, which can not set headers, names its
key in a second one, \`caisson.key.<key>\`. Messages are binary: a byte that names the kind, and the payload. The server
sends 0 ping, 1 stdout, 2 stderr, 3 started, 4 ended and 5 error, as in the execution stream; the client sends 16 bytes
for stdin, 17 end of stdin, 18 \`{"cols":80,"rows":24}\` and 19 \`{"signal":"SIGINT","scope":"group"}\`. While the program
does not read its stdin the server stops reading the socket: send a signal that must get through with killExecution.`

function parameterRow({ name, in: place, required, description, schema }: Parameter): string[] {
  return [required ? `**${name}**` : name, place, typeOf(schema), note(schema, description)]
}

function bodyRows(operation: Described, document: Document): string[][] {
  const content = operation.requestBody?.content
  if (content === undefined) return []
  const json = content['application/json']
  if (json === undefined) return [['', 'body', 'bytes', '']]
  const schema = resolve(json.schema, document)
  return Object.entries(schema.properties ?? {}).map(([name, field]) => [
    schema.required?.includes(name) ? `**${name}**` : name,
    'body',
    typeOf(field),
    note(field),
  ])
}

function schemaSection(name: string, schema: Schema): string {
  const rows = Object.entries(schema.properties ?? {}).map(
    ([field, inner]) => `| ${field} | ${typeOf(inner)} | ${note(inner)} |`,
  )
  return [
    `### ${name}`,
    ...(schema.description ? [schema.description] : []),
    ...(rows.length > 0
      ? [['| Field | Type | |', '| --- | --- | --- |', ...rows].join('\n')]
      : [typeOf(schema)]),
  ].join('\n\n')
}

function resolve(schema: Schema, document: Document): Schema {
  const name = schema.$ref?.split('/').at(-1)
  return name === undefined ? schema : document.components.schemas[name]!
}

function typeOf(schema: Schema): string {
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1)!
    return `[${name}](#${name.toLowerCase()})`
  }
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' or ')
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ')
  if (schema.const !== undefined) return `\`${schema.const}\``
  if (schema.type === 'array') return `array of ${typeOf(schema.items ?? {})}`
  if (schema.type === 'object') return objectType(schema)
  if (schema.format === 'date-time') return 'time (RFC 3339)'
  return Array.isArray(schema.type) ? schema.type.join(' or ') : (schema.type ?? 'any')
}

function objectType(schema: Schema): string {
  if (schema.properties) {
    const fields = Object.entries(schema.properties).map(([name, field]) => `${name}: ${typeOf(field)}`)
    return `{ ${fields.join('; ')} }`
  }
  return typeof schema.additionalProperties === 'object'
    ? `object of ${typeOf(schema.additionalProperties)}`
    : 'object'
}

function note(schema: Schema, description = schema.description): string {
  const fallback = schema.default === undefined ? '' : `Default \`${JSON.stringify(schema.default)}\`.`
  return [description, fallback].filter(Boolean).join(' ').replaceAll('|', '\\|')
}

function curl(method: string, path: string, operation: Described): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name) => String(exampleOf(operation, 'path', name)))
  const query = new URLSearchParams(
    operation.parameters.flatMap(({ name, in: place, example }) =>
      place === 'query' && example !== undefined ? [[name, String(example)]] : [],
    ),
  ).toString()
  const url = `${BASE}${filled}${query ? `?${query}` : ''}`
  const parts = [
    `curl${method === 'GET' ? '' : ` -X ${method}`} ${quote(url)}`,
    `-H "Authorization: Bearer $CAISSON_API_KEY"`,
    ...bodyArguments(operation),
  ]
  return parts.join(' \\\n  ')
}

function bodyArguments(operation: Described): string[] {
  const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? []
  if (type === undefined || content === undefined) return []
  if (type !== 'application/json') return [`--data-binary ${quote(String(content.example))}`]
  return [`--json ${quote(JSON.stringify(content.example))}`]
}

function exampleOf(operation: Described, place: string, name: string): unknown {
  return operation.parameters.find((p) => p.in === place && p.name === name)?.example
}

/** One word for a POSIX shell; a final newline is left out, since it would break the line. */
function quote(text: string): string {
  return `'${text.trimEnd().replaceAll("'", `'\\''`)}'`
}

/** docs/reference/errors.md */
export function errorReference(): string {
  const rows = (Object.keys(ERRORS) as ErrorCode[]).map((code) => {
    const { status, retry, message } = ERRORS[code]
    const text = (message as (details: unknown) => string)(PLACEHOLDERS)
      .replaceAll('|', '\\|')
      .replaceAll('<', '&lt;')
    return `| <a id="${code}"></a>\`${code}\` | ${status} | ${retry ? 'yes' : 'no'} | ${text} |`
  })
  return [
    NOTICE,
    '# Errors',
    '',
    'Every error has one shape: `{"error":{"code","message","retry","details"}}`. Compare `code`, which never changes its',
    'meaning; show `message`; read `details`, whose fields appear in the message as ‹field›. *Retry*: the same request may',
    'succeed later.',
    '',
    '| Code | Status | Retry | Message |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

/** Details that hold several. */
const LISTS = new Set(['has', 'available', 'matches', 'files', 'sandboxes'])

/** Stands for the details of any error: each field shows its own name. */
const PLACEHOLDERS = new Proxy(
  {},
  {
    get: (_, field) => {
      if (field === 'issues') return [{ path: '‹path›', message: '‹message›' }]
      if (LISTS.has(String(field))) return [`‹${String(field)}›`]
      return `‹${String(field)}›`
    },
  },
)
