import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Operation, type OperationName, operations } from '@caisson/protocol/operations'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Stage } from '../../core/plan.ts'
import type { Log } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { type Noted, noting } from '../../sandboxes/pausing/noted.ts'
import type { Output } from '../../sandboxes/use-cases.ts'
import type { Access } from '../access.ts'
import { invalid } from '../errors.ts'
import { FILES_LIMIT, JSON_LIMIT, parse, parseIdempotencyKey, parseJson, parseQuery } from '../input.ts'
import { piecesOf } from '../pieces.ts'
import { type BodyAnswer, sendBody } from './body-stream.ts'
import type { Call, Handlers, RequestName } from './call.ts'
import { sendExecution } from './execution-stream.ts'
import { type FileAnswer, sendFile } from './file-stream.ts'
import { toServerTiming } from './map.ts'
import { createEncoder } from './records.ts'

export interface RouteOptions {
  handlers: Handlers
  access: Access
  metrics: Metrics
  log: Log
  /** Check answers against their schemas too: for tests and development. */
  checkAnswers: boolean
}

/** The handlers of all operations seen alike; what each takes and gives was checked where it is declared. */
type AnyHandler = (call: Call<RequestName>) => Promise<AnyAnswer>
type AnyAnswer =
  | { json: unknown; stages?: Stage[] }
  | { output: Output; stages?: Stage[] }
  | FileAnswer
  | BodyAnswer
  | undefined

/** Operations whose requests may carry files. */
const CARRIES_FILES = new Set<OperationName>(['createSandbox', 'run', 'writeFiles'])

/** A route for every row of the operations table. */
export async function registerOperations(app: FastifyInstance, options: RouteOptions): Promise<void> {
  const rows = Object.entries(operations) as [OperationName, Operation][]
  await app.register(async (scope) => {
    parseBodiesAsJson(scope)
    scope.addHook('preParsing', async ({ raw }, reply) => sendContinue(raw, reply.raw))
    for (const row of rows) if (!row[1].upload) addRoute(scope, row, options)
  })
  await app.register(async (scope) => {
    leaveBodiesAlone(scope)
    for (const row of rows) if (row[1].upload) addRoute(scope, row, options)
  })
}

function addRoute(
  app: FastifyInstance,
  [name, operation]: [OperationName, Operation],
  options: RouteOptions,
): void {
  const [method, path] = operation.http.split(' ') as [string, string]
  app.route({
    method,
    url: path.replaceAll(/\{(\w+)\}/g, ':$1'),
    bodyLimit: CARRIES_FILES.has(name) ? FILES_LIMIT : JSON_LIMIT,
    config: { name },
    // Who may use a signed path is told by its signature, and what is public by its record: the use case checks.
    onRequest: async ({ raw }) => {
      const { scope } = operation
      if (scope !== 'signature' && scope !== 'public') await options.access.authorise(raw, scope)
    },
    handler: (request, reply) => answer(name, operation, options, request, reply),
  })
}

async function answer(
  name: OperationName,
  operation: Operation,
  options: RouteOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (operation.streams === 'websocket') {
    throw invalid('Upgrade', 'this route is a WebSocket; connect with a WebSocket client')
  }
  const handler = options.handlers[name as RequestName] as unknown as AnyHandler
  const call = {
    ...readInput(operation, request),
    upload: bodyOf(request.raw, reply.raw),
    headers: request.headers,
    signal: leaving(reply),
  }
  const began = performance.now()
  const result = await tellResumed(reply, () => handler(call as Call<RequestName>))
  observe(name, options.metrics, (performance.now() - began) / 1000)
  return send(operation, options, result, request, reply, call.signal)
}

/** Whatever becomes of a request that has resumed a sandbox, its answer says so. */
async function tellResumed<T>(reply: FastifyReply, work: () => Promise<T>): Promise<T> {
  const noted: Noted = { resumed: false }
  try {
    return await noting(noted, work)
  } finally {
    if (noted.resumed) reply.header('caisson-auto-resumed', 'true')
  }
}

/** Parses strictly: what an operation does not take is refused, never ignored. */
function readInput(operation: Operation, request: FastifyRequest): Record<string, unknown> {
  const query = parseQuery(request.raw.url ?? '')
  const body = operation.upload ? {} : (request.body ?? {})
  const unknown = operation.query === undefined ? Object.keys(query)[0] : undefined
  if (unknown !== undefined) throw invalid(unknown, 'this operation takes no query parameters')
  if (operation.body === undefined && Object.keys(body).length > 0) {
    throw invalid('', 'this operation takes no body')
  }
  const key = parseIdempotencyKey(request.headers['idempotency-key'])
  if (key !== undefined && !operation.idempotent)
    throw invalid('Idempotency-Key', 'not taken by this operation')
  return {
    params: operation.params && parse(operation.params, request.params),
    query: operation.query && parse(operation.query, query),
    body: operation.body && parse(operation.body, body),
    idempotencyKey: key,
  }
}

async function send(
  operation: Operation,
  options: RouteOptions,
  result: AnyAnswer,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<FastifyReply> {
  if (result === undefined) return reply.code(204).send()
  if ('json' in result) {
    if (options.checkAnswers && operation.output) operation.output.parse(result.json)
    if (result.stages) reply.header('server-timing', toServerTiming(result.stages))
    return reply.code(operation.status ?? 200).send(result.json)
  }
  const headers = reply.getHeaders() as Record<string, string>
  reply.hijack()
  try {
    if ('data' in result) await sendFile(reply.raw, result, headers, signal)
    else if ('body' in result)
      await sendBody(
        reply.raw,
        result,
        { 'content-type': result.type ?? operation.type ?? '', ...headers },
        signal,
      )
    else await sendOutput(options, result, headers, request, reply, signal)
  } catch (error) {
    options.log.error({ request: request.id, err: error }, 'a stream broke')
    reply.raw.destroy()
  }
  return reply
}

function sendOutput(
  { metrics }: RouteOptions,
  { output, stages }: { output: Output; stages?: Stage[] },
  headers: Record<string, string>,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<void> {
  const timing = stages && { 'server-timing': toServerTiming(stages) }
  const encoder = createEncoder(request.headers.accept)
  const options = { encoder, headers: { ...headers, ...timing }, sent: metrics.sent, request: request.id }
  return sendExecution(reply.raw, output, options, signal)
}

function observe(name: OperationName, metrics: Metrics, seconds: number): void {
  if (name === 'createSandbox') metrics.created(seconds)
  if (name === 'exec' || name === 'startExecution') metrics.started(seconds)
}

/** Aborts when the connection closes before the answer is complete. */
function leaving(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort()
  })
  return controller.signal
}

/**
 * The raw body. A client that waits for leave to send gets it with the first read, when nothing speaks against the
 * upload any more.
 */
function bodyOf(raw: IncomingMessage, response: ServerResponse): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => {
      sendContinue(raw, response)
      return piecesOf(raw)
    },
  }
}

function sendContinue(raw: IncomingMessage, response: ServerResponse): void {
  if (raw.headers.expect !== undefined) response.writeContinue()
}

function parseBodiesAsJson(app: FastifyInstance): void {
  const fromText = app.getDefaultJsonParser('error', 'error') as unknown as (
    request: null,
    text: string,
    done: (error: Error | null, value?: unknown) => void,
  ) => void
  const parseText = (text: string): unknown => {
    let result: unknown
    fromText(null, text, (error, value) => {
      if (error) throw error
      result = value
    })
    return result
  }
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_: FastifyRequest, body: Buffer) => parseJson(body, parseText),
  )
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (_: FastifyRequest, body: Buffer) => {
    if (body.length > 0) throw invalid('Content-Type', 'must be application/json')
    return {}
  })
}

function leaveBodiesAlone(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
}
