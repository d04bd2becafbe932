import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { passAnswer, unreachable } from './exchange.ts'
import { endToEnd, valuesOf } from './headers.ts'
import type { HttpConnection } from './http-connection.ts'
import { parseRequestTarget } from './request-target.ts'
import { splice } from './splice.ts'

/**
 * Whether this request, or its answer, may turn a connection into something else. WebSocket only: after h2c, requests for other hosts
 * could follow unseen. Others are passed on without the wish, which a server may ignore as well.
 */
export function mayUpgrade({ rawHeaders }: IncomingMessage): boolean {
  const wishes = valuesOf(rawHeaders, 'upgrade')
  return wishes.length === 1 && wishes[0]!.toLowerCase() === 'websocket'
}

/**
 * Judges a WebSocket's request, passes it on, and joins both connections when the server agrees.
 * @param head what followed the request already
 * @throws Refusal or Unreachable while nothing has been answered
 */
export async function upgrade(
  connection: HttpConnection,
  req: IncomingMessage,
  res: ServerResponse,
  head: Buffer,
): Promise<void> {
  const { client } = connection
  const { target, path } = parseRequestTarget(req)
  connection.present = { target, res }
  const upstream = await connection.upstreamFor(target)
  const headers = [...endToEnd(req.rawHeaders), 'Connection', 'Upgrade', 'Upgrade', 'websocket']
  const outgoing = upstream.request(req.method!, path, headers)
  const onGone = () => outgoing.destroy()
  client.gone.addEventListener('abort', onGone)
  await new Promise<void>((resolve, reject) => {
    outgoing.on('error', (cause) =>
      res.headersSent ? resolve() : reject(unreachable(target, upstream, cause)),
    )
    outgoing.on('close', () => {
      if (!res.headersSent) reject(unreachable(target, upstream, new Error('it closed the connection')))
    })
    outgoing.on('response', (incoming) => {
      res.once('close', resolve)
      const cause = passAnswer(incoming, res, () => client.reset())
      if (cause === null) return
      outgoing.destroy()
      reject(unreachable(target, upstream, cause))
    })
    outgoing.on('upgrade', (incoming, socket: Socket, first: Buffer) => {
      if (!mayUpgrade(incoming)) {
        socket.destroy()
        return reject(
          unreachable(target, upstream, new Error('it agrees to something else than a WebSocket')),
        )
      }
      connection.release()
      res.detachSocket(client.socket)
      client.socket.write(headOf(incoming), 'latin1')
      if (first.length > 0) client.socket.write(first)
      if (head.length > 0) socket.write(head)
      splice(client.socket, socket)
      resolve()
    })
    outgoing.end()
  }).finally(() => client.gone.removeEventListener('abort', onGone))
}

function headOf(incoming: IncomingMessage): string {
  const headers = [...endToEnd(incoming.rawHeaders), 'Connection', 'Upgrade', 'Upgrade', 'websocket']
  const lines = headers.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`))
  return `HTTP/1.1 101 ${incoming.statusMessage}\r\n${lines.join('')}\r\n`
}
