import { SandboxError } from '@caisson/protocol/errors'
import { StreamKind, WEBSOCKET_PROTOCOL } from '@caisson/protocol/stream'
import { Queue } from '../queue.ts'
import {
  type Channel,
  gather,
  nameOf,
  refuseRedirect,
  type Transport,
  type TransportRequest,
  type TransportResponse,
} from './transport.ts'

/** A browser's WebSocket cannot be paused: beyond this it is closed, and the reader continues from its offset. */
const HIGH_WATER = 8 * 1_048_576

/** `fetch` and the global WebSocket, for browsers and other places without Node's modules. */
export function createFetchTransport(url: string, fetchImpl: typeof fetch = fetch): Transport {
  const base = url.replace(/\/$/, '')
  const request = async (asked: TransportRequest, signal?: AbortSignal): Promise<TransportResponse> => {
    const body =
      asked.body === undefined || typeof asked.body === 'string' || asked.body instanceof Uint8Array
        ? asked.body
        : await gather(asked.body)
    const options: RequestInit = { method: asked.method, headers: asked.headers, redirect: 'manual' }
    if (body !== undefined) options.body = body as BodyInit
    if (signal) options.signal = signal
    const what = nameOf(asked)
    const response = await fetchImpl(base + asked.path, options).catch((error: unknown) => {
      throw translate(error, url, what, signal)
    })
    // A browser hides the status of a redirect that was not followed.
    refuseRedirect(response.type === 'opaqueredirect' ? 302 : response.status, url)
    return {
      status: response.status,
      header: (name) => response.headers.get(name) ?? undefined,
      body: read(response.body, what, signal),
    }
  }
  return {
    url,
    streamsUploads: false,
    request,
    connect: (path, key) => connect(base + path, key),
    close() {},
  }
}

async function* read(
  stream: ReadableStream<Uint8Array> | null,
  what: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  if (!stream) return
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } catch (cause) {
    if (signal?.aborted) throw new SandboxError('aborted', { what }, { cause })
    throw new SandboxError('connection_lost', { what }, { cause })
  } finally {
    await reader.cancel().catch(() => {})
  }
}

/** `fetch` does not tell a refused connection from a broken one, so the safe reading is that something was sent. */
function translate(error: unknown, url: string, what: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return new SandboxError('aborted', { what }, { cause: error })
  const reason = error instanceof Error ? error.message : String(error)
  const code = (error as { cause?: { code?: string } }).cause?.code
  if (code === 'ECONNREFUSED' || code === 'ENOTFOUND')
    return new SandboxError('server_unreachable', { url, reason }, { cause: error })
  return new SandboxError('connection_lost', { what: `${what} (${reason})` }, { cause: error })
}

/** Browsers cannot set headers on a WebSocket: the key travels as a subprotocol. */
function connect(url: string, apiKey: string | undefined): Promise<Channel> {
  const protocols = [WEBSOCKET_PROTOCOL, ...(apiKey === undefined ? [] : [`caisson.key.${apiKey}`])]
  const socket = new WebSocket(url.replace(/^http/, 'ws'), protocols)
  socket.binaryType = 'arraybuffer'
  const queue = new Queue<Uint8Array>((bytes) => {
    if (bytes > HIGH_WATER) socket.close()
  })
  socket.onmessage = ({ data }) => queue.push(new Uint8Array(data as ArrayBuffer))
  // Pings are answered out of sight; while the browser holds the connection open, it counts as alive.
  const alive = setInterval(() => queue.push(Uint8Array.of(StreamKind.PING)), 20_000)
  socket.onclose = () => {
    clearInterval(alive)
    queue.end()
  }
  const channel: Channel = {
    [Symbol.asyncIterator]: () => queue[Symbol.asyncIterator](),
    send: async (data) => socket.send(data as Uint8Array<ArrayBuffer>),
    close: () => {
      queue.end()
      socket.close()
    },
  }
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(channel)
    socket.onerror = () => {
      const error = new SandboxError('connection_lost', { what: 'connecting a WebSocket' })
      queue.fail(error)
      reject(error)
    }
  })
}
