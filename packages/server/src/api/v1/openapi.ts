import { ERRORS, type ErrorCode } from '@caisson/protocol/errors'
import { COMMON_ERRORS, type Operation, type OperationName, operations } from '@caisson/protocol/operations'
import { NDJSON_TYPE, STREAM_TYPE } from '@caisson/protocol/stream'
import { z } from 'zod'
import { examples } from './examples.ts'

type Json = Record<string, unknown>
interface Example {
  params?: Json
  query?: Json
  body?: Json
  output?: unknown
  upload?: string
}

const REF = '#/components/schemas/'

/** The API as an OpenAPI 3.1 document, projected from the operations table. */
export function buildOpenApi(version: string): Json {
  const schemas: Record<string, Json> = { Error: ERROR_SCHEMA }
  const paths: Record<string, Json> = {}
  for (const [name, operation] of Object.entries(operations) as [OperationName, Operation][]) {
    const [method, path] = operation.http.split(' ') as [string, string]
    paths[path] = { ...paths[path], [method.toLowerCase()]: toOperation(name, operation, schemas) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Caisson',
      version,
      summary: 'Self-hosted sandboxes for AI agents',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:7330' }],
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'An API key. The unix socket needs none.' },
      },
      schemas: Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1))),
    },
  }
}

const ERROR_SCHEMA: Json = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'retry', 'details'],
      properties: {
        code: { type: 'string', examples: ['sandbox_not_found'] },
        message: { type: 'string', description: 'What happened, to what, and what to do now.' },
        retry: { type: 'boolean', description: 'Whether the same request may succeed later.' },
        details: { type: 'object' },
      },
    },
  },
}

/** Operations without a key. */
const ADMISSION: Partial<Record<Operation['scope'], string>> = {
  signature: 'Needs no key: the link itself is signed.',
  public: 'Needs no key.',
}

function toOperation(name: OperationName, operation: Operation, schemas: Record<string, Json>): Json {
  const example = examples[name] as Example
  const body = requestBody(operation, example, schemas)
  return {
    operationId: name,
    summary: operation.summary,
    description: ADMISSION[operation.scope] ?? `Needs the scope \`${operation.scope}\`.`,
    ...(ADMISSION[operation.scope] !== undefined && { security: [] }),
    'x-scope': operation.scope,
    parameters: [
      ...parameters('path', operation.params, example.params, schemas),
      ...parameters('query', operation.query, example.query, schemas),
      ...(operation.idempotent ? [IDEMPOTENCY_KEY] : []),
    ],
    ...(body && { requestBody: body }),
    responses: { ...success(operation, example, schemas), ...failures(operation) },
  }
}

const IDEMPOTENCY_KEY: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'A repeat with the same key and the same request returns the first result.',
  schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]+$' },
}

function parameters(
  place: 'path' | 'query',
  schema: z.ZodObject | undefined,
  example: Json = {},
  schemas: Record<string, Json>,
): Json[] {
  if (schema === undefined) return []
  const { properties = {}, required = [] } = toSchema(schema, 'input', schemas) as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description !== undefined && { description }),
    schema: rest,
    ...(example[name] !== undefined && { example: example[name] }),
  }))
}

function requestBody(
  operation: Operation,
  example: Example,
  schemas: Record<string, Json>,
): Json | undefined {
  if (operation.upload) {
    const content = { schema: { type: 'string', format: 'binary' }, example: example.upload }
    return { required: true, content: { 'application/octet-stream': content } }
  }
  if (operation.body === undefined) return undefined
  const schema = toSchema(operation.body, 'input', schemas)
  return { required: true, content: { 'application/json': { schema, example: example.body } } }
}

function success(operation: Operation, example: Example, schemas: Record<string, Json>): Json {
  if (operation.streams === 'websocket') {
    return { 101: { description: 'A WebSocket of execution messages, subprotocol `caisson.v1`.' } }
  }
  if (operation.streams === 'execution') {
    const lines = { schema: { type: 'string' }, example: STREAM_EXAMPLE }
    const records = { schema: { type: 'string', format: 'binary' } }
    const content = { [NDJSON_TYPE]: lines, [STREAM_TYPE]: records }
    return { 200: { description: 'The execution stream, chosen by Accept.', content } }
  }
  if (operation.streams === 'bytes') return { 200: FILE_ANSWER }
  if (operation.streams === 'body') {
    const content = { [operation.type ?? 'application/octet-stream']: { schema: { type: 'string' } } }
    return { 200: { description: 'The body, as it is made.', content } }
  }
  if (operation.output === undefined) return { 204: { description: 'Done.' } }
  const schema = toSchema(operation.output, 'output', schemas)
  const content = { 'application/json': { schema, example: example.output } }
  return { [operation.status ?? 200]: { description: 'Done.', content } }
}

const FILE_ANSWER: Json = {
  description: 'The bytes.',
  headers: {
    'x-caisson-file': { description: 'The FileInfo as ASCII JSON.', schema: { type: 'string' } },
  },
  content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
}

const STREAM_EXAMPLE = [
  { type: 'started', execution: { id: 'exe_9w4n6rj0b2t5ys7p' }, offset: 0 },
  { type: 'stdout', offset: 0, data: '42\n' },
  { type: 'ended', execution: { id: 'exe_9w4n6rj0b2t5ys7p', ending: 'exited', exitCode: 0 } },
]
  .map((record) => `${JSON.stringify(record)}\n`)
  .join('')

/** One answer a status, which names its codes. */
function failures(operation: Operation): Json {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of new Set([...operation.errors, ...COMMON_ERRORS])) {
    const { status } = ERRORS[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  const content = { 'application/json': { schema: { $ref: `${REF}Error` } } }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      { description: codes.map((code) => `\`${code}\``).join(', '), 'x-codes': codes, content },
    ]),
  )
}

/** A JSON Schema whose named parts go to `schemas`. Answers may hold more than they say; requests may not. */
function toSchema(schema: z.ZodType, io: 'input' | 'output', schemas: Record<string, Json>): Json {
  const made = z.toJSONSchema(schema, { io, override: simplify }) as Json
  const { $schema: _, $defs = {}, id, ...rest } = relocate(made) as Json & { $defs?: Record<string, Json> }
  for (const [name, definition] of Object.entries($defs)) schemas[name] = withoutId(definition)
  if (typeof id !== 'string') return rest
  schemas[id] = rest
  return { $ref: REF + id }
}

function simplify({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodTypes; jsonSchema: Json }): void {
  // A format says it; the pattern behind it is 400 characters long.
  if (jsonSchema.format === 'date-time') delete jsonSchema.pattern
  // That a number is an exact one needs no saying either.
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
  const def = zodSchema._zod.def
  if (def.type === 'object' && def.catchall === undefined) delete jsonSchema.additionalProperties
}

function withoutId({ id: _, ...rest }: Json): Json {
  return rest
}

/** Points references to the document's components. */
function relocate(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(relocate)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) =>
      key === '$ref' && typeof inner === 'string'
        ? [key, inner.replace('#/$defs/', REF)]
        : [key, relocate(inner)],
    ),
  )
}
