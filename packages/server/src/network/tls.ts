import { createServer, type Server } from 'node:net'
import type { Log } from '../log.ts'
import { HIGH_WATER_MARK } from './dial.ts'
import type { Client, Flows } from './flows.ts'
import { collectHello } from './hello.ts'
import { reach, type Target, type Ways } from './reach.ts'
import { Refusal, Unreachable } from './refusal.ts'
import { splice } from './splice.ts'

const HTTPS = 443

export interface DoorParts extends Ways {
  flows: Flows
  log: Log
  /** Milliseconds in which a client must have said whom it wants. */
  helloMs: number
}

/**
 * What sandboxes send to port 443 arrives here. The name in the ClientHello is judged, and the connection goes on to that
 * name's own addresses, encrypted as it is: this end has no key and sees nothing of what is inside.
 */
export function createTlsDoor(parts: DoorParts): Server {
  return createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: HIGH_WATER_MARK }, (socket) => {
    const client = parts.flows.admit(socket, 'tls', HTTPS)
    if (client) void serve(client, parts)
  })
}

async function serve(client: Client, parts: DoorParts): Promise<void> {
  let target: Target | null = null
  try {
    const hello = await collectHello(client.socket, parts.helloMs)
    if (hello === null) return client.reset()
    target = { name: hello.name, address: null }
    const reached = await reach(client.subject, target, HTTPS, parts, client.gone)
    client.begin(reached)
    reached.socket.write(hello.bytes)
    splice(client.socket, reached.socket)
  } catch (error) {
    if (error instanceof Refusal || error instanceof Unreachable) return await client.fail(error, target)
    if (!client.gone.aborted) parts.log.warn({ err: error }, 'a TLS connection of a sandbox failed')
    client.reset()
  }
}
