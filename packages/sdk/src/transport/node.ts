import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import { SandboxError } from '@caisson/protocol/errors'
import {
  type Body,
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

/** Node's own HTTP client, over TCP, TLS or a unix socket; connections are kept and used again. */
export function createNodeTransport(url: string): Transport {
  const socketPath = url.startsWith('unix:') ? decodeURIComponent(new URL(url).pathname) : undefined
  const base = new URL(socketPath === undefined ? url : 'http://localhost')
  const client = base.protocol === 'https:' ? https : http
  // The most recent connection first, so that idle ones can age out.
  const agent = new client.Agent({ keepAlive: true, scheduling: 'lifo', maxFreeSockets: 64 })
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
        headers: asked.headers,
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
        resolve({
          status,
          header: (name) => {
            const value = incoming.headers[name]
            return Array.isArray(value) ? value[0] : value
          },
          body: translated(incoming, url, nameOf(asked), signal),
        })
      })
      send(outgoing, asked.body).catch((error) => {
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

async function send(outgoing: http.ClientRequest, body: Body | undefined): Promise<void> {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    outgoing.end(body)
    return
  }
  // An answer, or an error, may come before the body is finished: waiting for room must then end.
  const over = new AbortController()
  for (const event of ['close', 'response', 'error']) outgoing.once(event, () => over.abort())
  for await (const part of body) {
    if (over.signal.aborted) break
    if (!outgoing.write(part)) await once(outgoing, 'drain', { signal: over.signal }).catch(() => {})
  }
  outgoing.end()
}

async function* translated(
  incoming: http.IncomingMessage,
  url: string,
  what: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    yield* incoming
  } catch (error) {
    throw translate(error, url, what, signal)
  }
}

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
