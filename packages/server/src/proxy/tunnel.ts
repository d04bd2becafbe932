import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Exchange, noAnswer, respond } from './forward.ts'
import { answerHeaders, requestHeaders } from './headers.ts'
import { withoutToken } from './token.ts'

/** Milliseconds that one side has to end after the other has. */
const LINGER = 10_000

/** A request to become a WebSocket, on its socket alone. */
export interface Upgrade extends Exchange {
  socket: Duplex
  /** What the client has sent already; it is for the program if that agrees. */
  head: Buffer
}

/**
 * Asks the program for a WebSocket, and when it agrees passes bytes to and fro. Any other answer is passed on like one to
 * an ordinary request, and what the client has sent after its request goes nowhere.
 * @returns when it is over
 * @throws SandboxError `port_closed` and others, with nothing sent to the client
 */
export async function tunnel(upgrade: Upgrade): Promise<void> {
  const { response, route, pool, socket } = upgrade
  const gone = new AbortController()
  socket.once('close', () => gone.abort())
  const stream = await pool.connect(gone.signal)
  if (gone.signal.aborted) {
    stream.destroy()
    return
  }
  const outgoing = httpRequest({
    createConnection: () => stream,
    path: withoutToken(route.target),
    headers: [...requestHeaders(upgrade), 'Connection', 'Upgrade', 'Upgrade', 'websocket'],
  })
  const done = Promise.withResolvers<void>()
  socket.once('close', () => {
    done.resolve()
    stream.destroy()
  })
  outgoing.once('response', (answer) => respond(upgrade, outgoing, answer))
  outgoing.once('upgrade', (answer, upstream, first) => {
    response.detachSocket(socket as Socket)
    response.statusCode = 101
    begin(upgrade, answer, upstream, first)
  })
  outgoing.on('error', (cause) => {
    if (!response.headersSent) done.reject(noAnswer(pool, cause))
  })
  outgoing.end()
  return done.promise
}

function begin(
  { route, socket, head }: Upgrade,
  answer: IncomingMessage,
  upstream: Duplex,
  first: Buffer,
): void {
  socket.write(
    headOf(answer, [...answerHeaders(answer, route), 'Connection', 'Upgrade', 'Upgrade', 'websocket']),
  )
  if (first.length > 0) socket.write(first)
  if (head.length > 0) upstream.write(head)
  splice(socket, upstream)
}

/** Names and values have gone through the parser, which lets no line break pass. */
function headOf({ statusMessage }: IncomingMessage, headers: string[]): Buffer {
  let text = `HTTP/1.1 101 ${statusMessage || 'Switching Protocols'}\r\n`
  for (let at = 0; at < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`
  return Buffer.from(`${text}\r\n`, 'latin1')
}

/** Passes bytes both ways until one side breaks, or both have ended. */
function splice(client: Duplex, program: Duplex): void {
  const sides: [Duplex, Duplex][] = [
    [client, program],
    [program, client],
  ]
  for (const [from, to] of sides) {
    from.on('error', () => to.destroy())
    from.once('close', () => to.destroy())
    from.once('end', () => {
      const timer = setTimeout(() => to.destroy(), LINGER).unref()
      to.once('close', () => clearTimeout(timer))
    })
    from.pipe(to)
  }
}
