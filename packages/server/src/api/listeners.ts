import { createServer, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { SandboxError } from '@caisson/protocol/errors'
import type { FastifyInstance } from 'fastify'
import { parseAddress } from '../address.ts'
import type { Access } from './access.ts'
import { invalid } from './errors.ts'
import { answerRaw } from './raw-answer.ts'
import { bindUnix } from './unix-socket.ts'
import type { ExecutionSockets } from './v1/websocket.ts'

/** Milliseconds that requests have to finish when the server stops. */
const GRACE = 1000

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

/** The sockets on which the API is reached. */
export class Listeners {
  readonly #app: FastifyInstance
  readonly #sockets: ExecutionSockets
  readonly #access: Access
  readonly #servers: Server[] = []

  constructor(app: FastifyInstance, sockets: ExecutionSockets, access: Access) {
    this.#app = app
    this.#sockets = sockets
    this.#access = access
  }

  /**
   * Listens on a unix socket that only its owner can open; who connects may do everything.
   * @throws SandboxError `host_not_ready` when another server answers there, or the path can not be used
   */
  async listenUnix(path: string): Promise<void> {
    const server = this.#createServer()
    server.prependListener('connection', (socket: Socket) => this.#access.trust(socket))
    await bindUnix(server, path)
    this.#servers.push(server)
  }

  /**
   * Listens on TCP; every request needs an API key.
   * @param address `host:port`, `[ipv6]:port`, or a port of 127.0.0.1; port 0 takes a free one.
   * @throws SandboxError `host_not_ready` when the address is taken or not of this host
   */
  async listenTcp(address: string): Promise<{ host: string; port: number }> {
    const { host, port } = parseAddress(address)
    const server = this.#createServer()
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host, port }, resolve)
      })
    } catch (cause) {
      throw notListening(address, cause)
    }
    this.#servers.push(server)
    this.#access.listensOn(host)
    return { host, port: (server.address() as AddressInfo).port }
  }

  async close(): Promise<void> {
    this.#sockets.close()
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)))
    const timer = setTimeout(() => {
      for (const server of this.#servers) server.closeAllConnections()
    }, GRACE)
    await Promise.all(closed)
    clearTimeout(timer)
  }

  #createServer(): Server {
    const server = createServer(OPTIONS, this.#app.routing)
    server.on('checkContinue', this.#app.routing)
    server.on('upgrade', (request, socket, head) => void this.#sockets.upgrade(request, socket, head))
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
