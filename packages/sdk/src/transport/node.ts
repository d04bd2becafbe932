import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import { Queue } from '../queue.ts'
import {
  nameOf,
  refuseRedirect,
  type Transport,
  type TransportRequest,
  type TransportResponse,
} from './transport.ts'

/** Failures in which no byte of the request has reached a server. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EACCES',
])

/** Bytes of a body that are on their way before its source waits: a wait for each piece would halve the rate. */
const UNDER_WAY = 1_048_576

/** Bytes that a connection gives at once. */
const READ_SIZE = 262_144

/** Bytes held for a slow reader before the connection is paused, and how far they fall before it goes on. */
const HIGH_WATER = 524_288
const LOW_WATER = 131_072

/** Node's own HTTP client, over TCP, TLS or a unix socket; connections are kept and used again. */
export function createNodeTransport(url: string): Transport {
  const socketPath = url.startsWith('unix:') ? decodeURIComponent(new URL(url).pathname) : undefined
  const base = new URL(socketPath === undefined ? url : 'http://localhost')
  const client = base.protocol === 'https:' ? https : http
  // The most recent connection first, so that idle ones can age out.
  const agent = new client.Agent({ keepAlive: true, scheduling: 'lifo', maxFreeSockets: 64 })
  readLargePieces(agent)
  const prefix = base.pathname.replace(/\/$/, '')
  const target: http.RequestOptions =
    socketPath === undefined
      ? { hostname: base.hostname.replace(/^\[|\]$/g, ''), port: base.port }
      : { socketPath, host: 'localhost' }

  const request = (asked: TransportRequest, signal?: AbortSignal): Promise<TransportResponse> =>
    new Promise((resolve, reject) => {
      const fail = (error: unknown) => reject(translate(error, url, nameOf(asked), signal))
      const outgoing = client.request({
        ...target,
        agent,
        method: asked.method,
        path: prefix + asked.path,
        headers:
          asked.length === undefined ? asked.headers : { ...asked.headers, 'content-length': asked.length },
        ...(signal && { signal }),
      })
      outgoing.on('error', fail)
      outgoing.on('response', (incoming) => {
        const status = incoming.statusCode ?? 0
        try {
          refuseRedirect(status, url)
        } catch (error) {
          outgoing.destroy()
          return reject(error)
        }
        // An answer that comes before the body is sent, and all of it: that connection can carry nothing else.
        incoming.once('end', () => {
          if (!outgoing.writableEnded) outgoing.destroy()
        })
        resolve({
          status,
          header: (name) => {
            const value = incoming.headers[name]
            return Array.isArray(value) ? value[0] : value
          },
          trailer: (name) => incoming.trailers[name],
          body: read(incoming, (error) => translate(error, url, nameOf(asked), signal)),
        })
      })
      send(outgoing, asked).catch((error) => {
        fail(error)
        outgoing.destroy()
      })
    })

  return {
    url,
    streamsUploads: true,
    request,
    connect: async (path, apiKey, signal) => {
      const { openChannel } = await import('./ws.ts')
      return openChannel({ base, prefix, socketPath, path, apiKey }, (error) =>
        translate(error, url, 'connecting', signal),
      )
    },
    close: () => agent.destroy(),
  }
}

/**
 * Every connection's bytes arrive here: the parser takes a copy of what belongs to a body before the next read. Node's
 * own buffer for each read is smaller, so that a fast answer comes in more pieces, and is garbage at once.
 */
let arriving: Buffer | undefined

function readLargePieces(agent: http.Agent): void {
  const connect = agent.createConnection.bind(agent)
  agent.createConnection = (options, done) => {
    arriving ??= Buffer.allocUnsafeSlow(READ_SIZE)
    const buffer = arriving
    const callback = (bytes: number) => socket.emit('data', buffer.subarray(0, bytes))
    const socket = connect({ ...options, onread: { buffer, callback } } as typeof options, done) as Duplex
    return socket
  }
}

async function send(outgoing: http.ClientRequest, { body, length }: TransportRequest): Promise<void> {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    outgoing.end(body)
    return
  }
  // An answer, or an error, may come before the body is finished: waiting for room must then end.
  const over = new AbortController()
  for (const event of ['close', 'response', 'error']) outgoing.once(event, () => over.abort())
  for await (const part of body) {
    if (over.signal.aborted) break
    if (!outgoing.write(part) && outgoing.writableLength > UNDER_WAY)
      await once(outgoing, 'drain', { signal: over.signal }).catch(() => {})
  }
  // Less than was announced has no end: the connection is closed after the answer.
  if (!over.signal.aborted || length === undefined) outgoing.end()
}

/**
 * The pieces of an answer as they came. Node's own iteration joins pieces that wait, which copies most of a fast
 * transfer.
 */
async function* read(
  incoming: http.IncomingMessage,
  fail: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array> {
  const queue = new Queue<Uint8Array>((bytes) => {
    if (bytes > HIGH_WATER) incoming.pause()
    else if (bytes <= LOW_WATER && incoming.isPaused()) incoming.resume()
  })
  incoming.on('end', () => queue.end())
  incoming.on('error', (error) => queue.fail(fail(error)))
  incoming.on('close', () => {
    if (!incoming.readableEnded) queue.fail(fail(brokenOff()))
  })
  // It may have broken before anybody read, and says nothing more then.
  if (incoming.destroyed) throw fail(brokenOff())
  // A parser that copies nothing would give what the next read writes over.
  incoming.on('data', (piece: Buffer) =>
    queue.push(piece.buffer === arriving?.buffer ? Buffer.from(piece) : piece),
  )
  try {
    yield* queue
  } finally {
    // A reader that leaves early closes the connection; after the end there is nothing to close.
    if (!incoming.readableEnded) incoming.destroy()
  }
}

const brokenOff = () => Object.assign(new Error('the answer broke off'), { code: 'ECONNRESET' })

function translate(error: unknown, url: string, what: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return new SandboxError('aborted', { what }, { cause: signal.reason })
  if (error instanceof SandboxError) return error
  // A body that the caller produces may throw anything; only the connection's own errors have a code.
  const { code, message } = error as NodeJS.ErrnoException
  if (code === undefined) return error
  if (NEVER_SENT.has(code))
    return new SandboxError('server_unreachable', { url, reason: message || code }, { cause: error })
  return new SandboxError('connection_lost', { what }, { cause: error })
}
