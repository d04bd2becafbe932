import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { SandboxError } from '@caisson/protocol/errors'
import { dropRest } from './answer.ts'
import {
  answerHeaders,
  bodyHeaders,
  hasBody,
  type Passing,
  requestHeaders,
  trailerHeaders,
} from './headers.ts'
import type { PortPool } from './pool.ts'
import { withoutToken } from './token.ts'

/** Requests that may be sent twice without harm. */
const REPEATABLE = ['GET', 'HEAD', 'OPTIONS']

/** A request that was let in, on its way to the program. */
export interface Exchange extends Passing {
  response: ServerResponse
  pool: PortPool
}

/**
 * Passes a request to the program and its answer back, as they come. The request is written anew from its parts, so what
 * reaches the program is one complete request that was judged.
 * @returns when the answer has been sent or the client has gone
 * @throws SandboxError `port_closed` and others when there is no answer, with nothing sent to the client
 */
export async function forward(exchange: Exchange): Promise<void> {
  try {
    await attempt(exchange)
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw error
    exchange.pool.dropIdle()
    await attempt(exchange)
  }
}

/** The program had closed the connection that was kept for the next request. */
class StaleConnection extends Error {}

function attempt(exchange: Exchange): Promise<void> {
  const { request, response, route, pool } = exchange
  const outgoing = httpRequest({
    agent: pool,
    method: request.method ?? 'GET',
    path: withoutToken(route.target),
    headers: [...requestHeaders(exchange), ...bodyHeaders(request)],
  })
  const done = Promise.withResolvers<void>()
  const fail = (cause: Error) => {
    if (response.headersSent) return
    done.reject(isStale(outgoing, request) ? new StaleConnection() : noAnswer(pool, cause))
  }
  outgoing.once('response', (answer) => respond(exchange, outgoing, answer))
  // Without a listener Node would leave the connection to the program.
  outgoing.once('upgrade', (_answer, socket) => {
    socket.destroy()
    fail(new Error('it changed the protocol unasked'))
  })
  outgoing.on('error', fail)
  const forget = whenGone(exchange, () => {
    done.resolve()
    outgoing.destroy()
  })
  send(exchange, outgoing)
  return done.promise.finally(forget)
}

/** Calls back once the answer has been sent or the client has gone. @returns the undo. */
function whenGone({ request: { socket }, response }: Exchange, then: () => void): () => void {
  response.once('close', then)
  // An answer whose turn has not come is not told. Many may wait for theirs.
  socket.setMaxListeners(0)
  socket.once('close', then)
  if (socket.destroyed) then()
  return () => {
    response.off('close', then)
    socket.off('close', then)
  }
}

function send({ request, response }: Exchange, outgoing: ClientRequest): void {
  if (!hasBody(request)) {
    outgoing.end()
    return
  }
  // The program is there: the client may begin. To wait for its word would hang with those that never say it.
  if (request.headers.expect !== undefined) outgoing.once('socket', () => response.writeContinue())
  request.once('end', () => outgoing.addTrailers(trailerHeaders(request.rawTrailers)))
  request.once('error', () => outgoing.destroy())
  request.pipe(outgoing)
}

/** Passes on an answer. A body that breaks off is broken off, so that nobody takes it for whole. */
export function respond(
  { request, response, route }: Pick<Exchange, 'request' | 'response' | 'route'>,
  outgoing: ClientRequest,
  answer: IncomingMessage,
): void {
  answer.on('error', () => response.destroy())
  response.sendDate = false
  try {
    if (answer.statusCode === 101) throw new Error('it changed the protocol unasked')
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, answerHeaders(answer, route))
  } catch (error) {
    // The parser takes what may not be passed on, such as a status of 099.
    outgoing.destroy(error as Error)
    return
  }
  answer.once('end', () => {
    response.addTrailers(trailerHeaders(answer.rawTrailers))
    if (request.complete) return
    outgoing.destroy()
    dropRest(request)
  })
  // Together with the first bytes, if these are there already; events that come later are not waited for.
  setImmediate(() => {
    if (!response.writableEnded) response.flushHeaders()
  })
  answer.pipe(response)
}

function isStale(outgoing: ClientRequest, request: IncomingMessage): boolean {
  return outgoing.reusedSocket && !hasBody(request) && REPEATABLE.includes(request.method ?? '')
}

/** Why there is no answer. */
export function noAnswer(pool: PortPool, cause: Error): SandboxError {
  if (cause instanceof SandboxError) return cause
  const { code = '' } = cause as NodeJS.ErrnoException
  const reason = code.startsWith('HPE_')
    ? 'what it answered is not HTTP'
    : 'the program closed the connection without an answer'
  const { port, reached } = pool
  return (
    pool.withdrawn() ?? new SandboxError('port_closed', { sandbox: reached.sandbox, port, reason }, { cause })
  )
}
