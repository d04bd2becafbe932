import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { answerInstead, endWith, rawAnswer } from './answer.ts'
import { HIGH_WATER_MARK } from './dial.ts'
import { exchange } from './exchange.ts'
import { HttpConnection } from './http-connection.ts'
import type { Target } from './reach.ts'
import { Refusal, Unreachable } from './refusal.ts'
import { IDLE_MS } from './splice.ts'
import type { DoorParts } from './tls.ts'
import { mayUpgrade, upgrade } from './upgrade.ts'

const HTTP = 80
const SETTINGS = {
  highWaterMark: HIGH_WATER_MARK,
  noDelay: true,
  /** What two readers could understand differently is refused by the parser. */
  httpValidation: 'strict',
  /** Bytes. */
  maxHeaderSize: 32 * 1024,
  /** A body may take as long as it likes; a connection on which nothing moves does not. */
  requestTimeout: 0,
  keepAliveTimeout: 75_000,
  /** The answer of this proxy says more than Node's. */
  requireHostHeader: false,
  shouldUpgradeCallback: mayUpgrade,
} as const

/**
 * What sandboxes send to port 80 arrives here. Every request is judged by its own Host header and goes on to that name's own
 * addresses; one that is refused is answered with the reason.
 */
export function createHttpDoor(parts: DoorParts): Server {
  const { flows, helloMs } = parts
  const connections = new WeakMap<Duplex, HttpConnection>()
  const server = createServer({
    ...SETTINGS,
    headersTimeout: helloMs,
    connectionsCheckingInterval: helloMs / 5,
  })
  // Node drops headers beyond a number, after its parser has acted on them; what is judged must be all there is.
  server.maxHeadersCount = 0
  server.timeout = IDLE_MS
  server.on('connection', (socket) => {
    const client = flows.admit(socket, 'http', HTTP)
    if (client) connections.set(socket, new HttpConnection(client, parts))
  })
  const enqueue = (socket: Duplex, work: (connection: HttpConnection) => Promise<void>) => {
    const connection = connections.get(socket)
    connection?.enqueue(() => work(connection))
  }
  const pass = (req: IncomingMessage, res: ServerResponse) =>
    enqueue(req.socket, (connection) => handle(parts, connection, req, res, exchange))
  server.on('request', pass)
  server.on('checkContinue', pass)
  server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on('error', () => {})
    enqueue(socket, (connection) =>
      handle(parts, connection, req, responseOn(req, socket), (...all) => upgrade(...all, head)),
    )
  })
  server.on('connect', (_, socket) => enqueue(socket, refuseTunnel))
  server.on('clientError', (error, socket) => refuseBytes(error, socket, connections.get(socket)))
  return server
}

/** Never rejects. */
async function handle(
  { log }: DoorParts,
  connection: HttpConnection,
  req: IncomingMessage,
  res: ServerResponse,
  work: typeof exchange,
): Promise<void> {
  const { client } = connection
  connection.present = { target: null, res }
  // A write that meets a closed connection is an event, and one that nobody hears ends the process.
  for (const stream of [req, res]) stream.on('error', () => {})
  try {
    await work(connection, req, res)
  } catch (error) {
    if (connection.over) return
    connection.end()
    await refuse(connection.present, error).catch((err) => {
      log.warn({ err }, 'an HTTP request of a sandbox failed')
      client.reset()
    })
  }

  async function refuse({ target }: { target: Target | null }, error: unknown): Promise<void> {
    if (!(error instanceof Refusal) && !(error instanceof Unreachable)) throw error
    await client.tell(error, target)
    await answerInstead(req, res, error)
  }
}

async function refuseTunnel({ client }: HttpConnection): Promise<void> {
  const refusal = new Refusal(
    'no proxy',
    'CONNECT is refused: this is no proxy. Connect to the host itself; HTTPS to names that the rules allow passes.',
  )
  await client.tell(refusal, null)
  const { message, rule } = refusal
  const text = rawAnswer('405 Method Not Allowed', message, { 'caisson-refused': rule })
  endWith(client.socket, text)
}

/** Node answers upgrades with a bare socket. */
function responseOn(req: IncomingMessage, socket: Socket): ServerResponse {
  const res = new ServerResponse(req)
  res.shouldKeepAlive = false
  res.assignSocket(socket)
  res.once('finish', () => {
    res.detachSocket(socket)
    socket.destroySoon()
  })
  return res
}

const STATUSES: Record<string, string> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/** What the parser does not take. Nothing of the request has gone on, unless its head was well-formed and its body is not. */
function refuseBytes(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  connection: HttpConnection | undefined,
): void {
  const code = error.code ?? ''
  if (!connection || connection.over) return
  connection.end()
  if (code.startsWith('HPE_')) void connection.client.tell(malformed(code), null)
  const answerable = code.startsWith('HPE_') || code in STATUSES
  if (!answerable || !socket.writable || connection.answering) {
    connection.client.reset()
    return
  }
  endWith(socket, rawAnswer(STATUSES[code] ?? '400 Bad Request', malformed(code).message))
}

function malformed(code: string): Refusal {
  return new Refusal('malformed request', `The HTTP request is malformed (${code}) and goes nowhere.`, {
    malformed: true,
  })
}
