import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { endToEnd, trailersOf, valuesOf } from './headers.ts'
import type { HttpConnection } from './http-connection.ts'
import { label, type Target } from './reach.ts'
import { Unreachable } from './refusal.ts'
import { parseRequestTarget } from './request-target.ts'
import type { Upstream } from './upstream.ts'

/** Methods for which Node sends no word on a body that is not there. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])
/** May be sent again when a connection turns out to have been closed. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Answers before the answer. They wait in memory for a client that does not read. */
const MAX_INFORMATION = 16

/**
 * Judges one request by its own Host header and passes it and its answer on, both as they come.
 * @throws Refusal or Unreachable while nothing has been answered
 */
export async function exchange(
  connection: HttpConnection,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const { target, path } = parseRequestTarget(req)
  connection.present = { target, res }
  const hasBody = bodyOf(req)
  const headers = endToEnd(req.rawHeaders)
  if (hasBody === 'chunked') headers.push('Transfer-Encoding', 'chunked')
  if (hasBody === null && !BODILESS.has(req.method!)) headers.push('Content-Length', '0')
  const send = (upstream: Upstream) => {
    const outgoing = upstream.request(req.method!, path, headers)
    if (hasBody === null) outgoing.end()
    return outgoing
  }
  for (;;) {
    const upstream = await connection.upstreamFor(target)
    const outcome = await passOn(connection, send(upstream), req, res, hasBody !== null)
    if (outcome === null) return
    const again = outcome.reused && hasBody === null && IDEMPOTENT.has(req.method!)
    if (!again) throw unreachable(target, upstream, outcome.cause)
  }
}

/** How the end of the body is told; null: there is none. */
function bodyOf(req: IncomingMessage): 'chunked' | 'counted' | null {
  if (valuesOf(req.rawHeaders, 'transfer-encoding').length > 0) return 'chunked'
  return valuesOf(req.rawHeaders, 'content-length').length > 0 ? 'counted' : null
}

export function unreachable(target: Target, upstream: Upstream, cause: NodeJS.ErrnoException): Unreachable {
  const { rule, address } = upstream.reached
  const why = cause.code ?? cause.message
  return new Unreachable(rule, address, `${label(target)} did not answer the request: ${why}.`, { cause })
}

/** @returns null when both sides are done with it; else why nothing was answered */
function passOn(
  { client }: HttpConnection,
  outgoing: ClientRequest,
  req: IncomingMessage,
  res: ServerResponse,
  hasBody: boolean,
): Promise<{ reused: boolean; cause: Error } | null> {
  return new Promise((resolve) => {
    let cause: Error | null = null
    const onGone = () => outgoing.destroy()
    client.gone.addEventListener('abort', onGone)
    const settle = () => {
      client.gone.removeEventListener('abort', onGone)
      cause ??= new Error('it closed the connection')
      resolve(res.headersSent ? null : { reused: outgoing.reusedSocket, cause })
    }
    outgoing.on('error', (error) => {
      cause = error
    })
    outgoing.on('close', () => {
      // A server that has answered and gone reads no more of the body.
      if (res.writableEnded && !req.complete) client.socket.destroySoon()
      if (client.gone.aborted || res.closed || !res.headersSent) settle()
      else res.once('close', settle)
    })
    let informed = 0
    outgoing.on('information', ({ statusCode, rawHeaders }) => {
      if (informed++ < MAX_INFORMATION) passInformation(req, res, statusCode, rawHeaders)
    })
    outgoing.on('response', (incoming) => {
      cause = passAnswer(incoming, res, () => client.reset())
      if (cause !== null) outgoing.destroy()
    })
    if (!hasBody) return
    req.on('end', () => {
      const trailers = trailersOf(req.rawTrailers)
      if (trailers.length > 0) outgoing.addTrailers(trailers)
    })
    outgoing.flushHeaders()
    req.pipe(outgoing)
  })
}

/** 100 only to those who wait for it, and nothing before an answer to those who know none (HTTP/1.0). */
function passInformation(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  headers: readonly string[],
): void {
  if (res.headersSent || req.httpVersion !== '1.1') return
  if (status === 100) {
    if (req.headers.expect !== undefined) res.writeContinue()
    return
  }
  try {
    res.writeInformation(status, endToEnd(headers))
  } catch {
    // Node writes no such head; the answer itself is still to come.
  }
}

/**
 * The head as it came, then what follows as it comes.
 * @param broken called when it stops in the middle
 * @returns why it cannot be passed on, with nothing done; else null
 */
export function passAnswer(incoming: IncomingMessage, res: ServerResponse, broken: () => void): Error | null {
  const codings = valuesOf(incoming.rawHeaders, 'transfer-encoding')
  if (codings.length > 1 || (codings[0] ?? 'chunked').toLowerCase() !== 'chunked') {
    return new Error('its answer has a transfer coding that cannot be passed on')
  }
  try {
    res.sendDate = false
    res.writeHead(incoming.statusCode!, incoming.statusMessage ?? '', endToEnd(incoming.rawHeaders))
  } catch (cause) {
    // Node reads more than it writes. What it has kept of this head must not be in the next.
    res.statusMessage = ''
    return new Error('its answer is malformed', { cause })
  }
  res.flushHeaders()
  incoming.on('error', broken)
  incoming.on('end', () => {
    const trailers = trailersOf(incoming.rawTrailers)
    if (trailers.length > 0) res.addTrailers(trailers)
  })
  incoming.pipe(res)
  return null
}
