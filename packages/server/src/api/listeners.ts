import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import type { FastifyInstance } from 'fastify'
import { parseAddress } from '../address.ts'
import { requestCame } from '../give-way.ts'
import type { Access } from './access.ts'
import type { Certificate } from './certificate.ts'
import { invalid } from './errors.ts'
import { answerRaw } from './raw-answer.ts'
import { bindUnix } from './unix-socket.ts'
import type { ExecutionSockets } from './v1/websocket.ts'

/** Milliseconds that requests have to finish when the server stops. */
const GRACE = 1000

/** Connections over TCP at once; those beyond are closed, so that strangers leave descriptors to the server itself. */
const MAX_CONNECTIONS = 8192
/** Milliseconds of silence after which the kernel asks whether a client is still there. */
const PROBE_AFTER = 60_000

const OPTIONS: ServerOptions = {
  insecureHTTPParser: false,
  // A request without Host is refused by the door, with a body that says so.
  requireHostHeader: false,
  headersTimeout: 10_000,
  // Uploads and long commands take as long as they take.
  requestTimeout: 0,
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 10_000,
  highWaterMark: 256 * 1024,
  // Only WebSockets leave HTTP; other offers (such as h2c) are answered as ordinary requests.
  shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
}

/** What is served beside the API on the same TCP port; a request is the one's or the other's, never both's. */
export interface Beside {
  /** Whether a request is not for the API. */
  takes(request: IncomingMessage): boolean
  request(request: IncomingMessage, response: ServerResponse): void
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  close(): void
}

/** The sockets on which the API is reached. */
export class Listeners {
  readonly #app: FastifyInstance
  readonly #sockets: ExecutionSockets
  readonly #access: Access
  readonly #beside: readonly Beside[]
  readonly #servers: Server[] = []
  readonly #undo: (() => void)[] = []

  /** @param beside asked in this order */
  constructor(
    app: FastifyInstance,
    sockets: ExecutionSockets,
    access: Access,
    beside: readonly Beside[] = [],
  ) {
    this.#app = app
    this.#sockets = sockets
    this.#access = access
    this.#beside = beside
  }

  /**
   * Listens on a unix socket that only its owner can open; who connects may do everything.
   * @throws SandboxError `host_not_ready` when another server answers there, or the path can not be used
   */
  async listenUnix(path: string): Promise<void> {
    const server = this.#serve(createServer(OPTIONS))
    server.prependListener('connection', (socket: Socket) => this.#access.trust(socket))
    await bindUnix(server, path)
    this.#servers.push(server)
  }

  /**
   * Listens on TCP; every request to the API needs a key.
   * @param address `host:port`, `[ipv6]:port`, or a port of 127.0.0.1; port 0 takes a free one.
   * @param certificate with which to speak TLS; without, plain HTTP
   * @throws SandboxError `host_not_ready` when the address is taken or not of this host
   */
  async listenTcp(address: string, certificate?: Certificate): Promise<{ host: string; port: number }> {
    const { host, port } = parseAddress(address)
    const options = { ...OPTIONS, keepAlive: true, keepAliveInitialDelay: PROBE_AFTER }
    const bare = certificate ? createTlsServer({ ...options, ...certificate.pair }) : createServer(options)
    const server = this.#serve(bare, this.#beside)
    server.maxConnections = MAX_CONNECTIONS
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host, port }, resolve)
      })
    } catch (cause) {
      throw notListening(address, cause)
    }
    this.#servers.push(server)
    if (certificate !== undefined) this.#undo.push(certificate.renew(bare as TlsServer))
    this.#access.listensOn(host)
    return { host, port: (server.address() as AddressInfo).port }
  }

  async close(): Promise<void> {
    for (const undo of this.#undo.splice(0)) undo()
    this.#sockets.close()
    for (const other of this.#beside) other.close()
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)))
    const timer = setTimeout(() => {
      for (const server of this.#servers) server.closeAllConnections()
    }, GRACE)
    await Promise.all(closed)
    clearTimeout(timer)
  }

  #serve(server: Server, beside: readonly Beside[] = []): Server {
    const takerOf = (request: IncomingMessage) => beside.find((other) => other.takes(request))
    const answer: RequestListener = (request, response) => {
      const taker = takerOf(request)
      if (taker !== undefined) taker.request(request, response)
      else this.#app.routing(request, response)
    }
    server.on('request', requestCame).on('request', answer)
    server.on('checkContinue', answer)
    server.on('upgrade', (request, socket, head) => {
      const taker = takerOf(request)
      if (taker !== undefined) taker.upgrade(request, socket, head)
      else void this.#sockets.upgrade(request, socket, head)
    })
    // This is no proxy to anywhere else.
    server.on('connect', (_request, socket) => {
      socket.on('error', () => socket.destroy())
      answerRaw(socket, invalid('', 'CONNECT is not served'))
    })
    server.on('clientError', refuseBytes)
    return server
  }
}

/** Bytes that are not a request: answered unless an answer is already on its way over this connection. */
function refuseBytes(
  error: NodeJS.ErrnoException,
  socket: Socket & { _httpMessage?: ServerResponse | null },
): void {
  const silent = error.code === 'ECONNRESET' || !socket.writable || socket._httpMessage?.headersSent
  if (silent) socket.destroy()
  else
    answerRaw(
      socket,
      invalid('', `the bytes received are not an HTTP request (${error.code ?? error.message})`),
    )
}

function notListening(address: string, cause: unknown): SandboxError {
  const { code, message } = cause as NodeJS.ErrnoException
  const taken = code === 'EADDRINUSE'
  return new SandboxError(
    'host_not_ready',
    {
      what: taken
        ? `the address ${address} is taken by another program`
        : `cannot listen on ${address}: ${message}`,
      fix: 'Choose another with --listen host:port, or end what holds it.',
    },
    { cause },
  )
}
