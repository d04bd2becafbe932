import type { IncomingMessage, ServerResponse } from 'node:http'
import type { z } from 'zod'
import { FILES_LIMIT, parse, parseJson } from '../input.ts'
import { ConnectError, toConnectError } from './connect-error.ts'
import { type ConnectStream, EnvelopeWriter, envelopes, Malformed } from './connect-stream.ts'
import { Refused, sendJson } from './errors.ts'
import { fromJson, readJson } from './input.ts'
import type { Call, Route } from './route.ts'

export { ConnectError } from './connect-error.ts'
export { bytes, enumeration, field, integer } from './connect-fields.ts'
export type { ConnectStream } from './connect-stream.ts'

/** Seconds of silence after which a keepalive is sent, unless the client says another number. */
const KEEPALIVE_SECONDS = 90
const MAX_KEEPALIVE_SECONDS = 3600
/** What a timer can wait, in milliseconds. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/**
 * A procedure with one message each way, in JSON over HTTP/1.1.
 * @param name such as `process.Process/List`
 */
export function unary<S extends z.ZodType>(
  name: string,
  schema: S,
  work: (input: z.output<S>, call: Call) => Promise<object>,
): Route {
  return procedure(name, 'application/json', async (call, response) => {
    const { signal, clear } = deadlineOf(call)
    try {
      const input = await readJson(schema, call.upload, FILES_LIMIT)
      sendJson(response, 200, await work(input, { ...call, signal }))
    } catch (error) {
      const failure = toConnectError(signal.aborted ? signal.reason : error)
      if (failure === null) throw error
      sendJson(response, failure.status, failure)
    } finally {
      clear()
    }
  })
}

/** A procedure that answers one message with many. @param options.keepalive what is sent in silence */
export function serverStream<S extends z.ZodType>(
  name: string,
  schema: S,
  work: (input: z.output<S>, call: Call, stream: ConnectStream) => Promise<void>,
  options: { keepalive?: object } = {},
): Route {
  const keepalive = options.keepalive ?? { event: { keepalive: {} } }
  return procedure(name, 'application/connect+json', (call, response) =>
    answerStream(call, response, keepalive, async (stream) => {
      const input = await readOnly(schema, call.upload)
      await work(input, { ...call, signal: stream.signal }, stream)
    }),
  )
}

/** A procedure that answers many messages with one. */
export function clientStream<S extends z.ZodType>(
  name: string,
  schema: S,
  work: (inputs: AsyncIterable<z.output<S>>, call: Call) => Promise<object>,
): Route {
  return procedure(name, 'application/connect+json', (call, response) =>
    answerStream(call, response, {}, async (stream) => {
      const inputs = readAll(schema, call.upload)
      await stream.send(await work(inputs, { ...call, signal: stream.signal }))
    }),
  )
}

function procedure(
  name: string,
  contentType: string,
  answer: (call: Call, response: ServerResponse) => Promise<void>,
): Route {
  return {
    name,
    method: 'POST',
    path: `/${name}`,
    auth: 'sandbox',
    upload: true,
    handle: async (call) => {
      if (mediaTypeOf(call.request) !== contentType)
        throw new Refused(415, `${name} takes ${contentType} alone: JSON by the Connect protocol`)
      return { stream: (response) => answer(call, response) }
    },
  }
}

/** A failure is told in the last envelope; a sandbox that has gone breaks the connection, which tells clients to ask for its health. */
async function answerStream(
  call: Call,
  response: ServerResponse,
  keepalive: object,
  work: (stream: ConnectStream) => Promise<void>,
): Promise<void> {
  const { signal, clear } = deadlineOf(call)
  const writer = new EnvelopeWriter(response, signal, keepalive, silenceOf(call.request))
  try {
    await work(writer)
    writer.end(null)
  } catch (error) {
    if (call.signal.aborted) return
    const failure = toConnectError(signal.aborted ? signal.reason : error)
    if (failure === null) throw error
    writer.end(failure)
  } finally {
    clear()
  }
}

async function readOnly<S extends z.ZodType>(
  schema: S,
  body: AsyncIterable<Uint8Array>,
): Promise<z.output<S>> {
  let only: { input: z.output<S> } | undefined
  for await (const input of readAll(schema, body)) {
    if (only !== undefined) throw new ConnectError('invalid_argument', 'there is more than one message')
    only = { input }
  }
  if (only === undefined) throw new ConnectError('invalid_argument', 'there is no message')
  return only.input
}

async function* readAll<S extends z.ZodType>(
  schema: S,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<z.output<S>> {
  try {
    for await (const message of envelopes(body, FILES_LIMIT))
      yield parse(schema, parseJson(message, fromJson))
  } catch (error) {
    if (error instanceof Malformed) throw new ConnectError('invalid_argument', error.message)
    throw error
  }
}

/** Aborts when the client has gone, or when the time is over that it gave. */
function deadlineOf(call: Call): { signal: AbortSignal; clear: () => void } {
  const timeoutMs = timeoutOf(call.request)
  if (timeoutMs === null) return { signal: call.signal, clear: () => {} }
  const controller = new AbortController()
  const timer = setTimeout(
    () => controller.abort(new ConnectError('deadline_exceeded', 'the deadline is over')),
    timeoutMs,
  )
  return { signal: AbortSignal.any([call.signal, controller.signal]), clear: () => clearTimeout(timer) }
}

/** Milliseconds that the client gives; null: as many as it takes. @throws Refused 400 */
export function timeoutOf({ headers }: IncomingMessage): number | null {
  const text = headers['connect-timeout-ms']
  if (text === undefined) return null
  if (typeof text !== 'string' || !/^\d{1,10}$/.test(text))
    throw new Refused(400, 'Connect-Timeout-Ms must be a number of at most 10 digits')
  const timeoutMs = Number(text)
  // Zero is sent by none: clients leave the header out for "no end".
  return timeoutMs > MAX_TIMEOUT_MS ? null : timeoutMs
}

function silenceOf({ headers }: IncomingMessage): number {
  const seconds = Number(headers['keepalive-ping-interval'] ?? KEEPALIVE_SECONDS)
  const isGiven = Number.isFinite(seconds) && seconds > 0
  return 1000 * (isGiven ? Math.min(Math.max(seconds, 1), MAX_KEEPALIVE_SECONDS) : KEEPALIVE_SECONDS)
}

/** Whoever a request acts as: the user of `Authorization: Basic`; undefined: the sandbox's own. */
export function userOf({ request }: Pick<Call, 'request'>): string | undefined {
  const [, encoded] = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(request.headers.authorization ?? '') ?? []
  if (encoded === undefined) return undefined
  const user = Buffer.from(encoded, 'base64').toString('utf8').replace(/:.*$/s, '')
  return user === '' ? undefined : user
}

function mediaTypeOf({ headers }: IncomingMessage): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}
