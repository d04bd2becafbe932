import { once } from 'node:events'
import type { Server } from 'node:net'
import { ROUTER_PORTS, type RouterFacts } from '../core/network/types.ts'
import type { Log } from '../log.ts'
import { Undo } from '../undo.ts'
import { type Dial, dial } from './dial.ts'
import { Flows } from './flows.ts'
import { createHttpDoor } from './http.ts'
import { type Limits, limitsOfProcess } from './limits.ts'
import type { NameResolver } from './reach.ts'
import type { FindSubject } from './subject.ts'
import { createTlsDoor } from './tls.ts'

export type { NameResolver } from './reach.ts'

const HELLO_MS = 10_000

export interface EgressOptions {
  facts: RouterFacts
  resolver: NameResolver
  find: FindSubject
  log: Log
  /** Default: where the router sends what sandboxes mean for ports 80 and 443. */
  ports?: { http: number; tls: number }
  limits?: Limits
  /** Milliseconds in which a client must have said whom it wants. */
  helloMs?: number
  /** How addresses are connected to. */
  dial?: Dial
}

/** The proxies through which a sandbox speaks HTTP and TLS while names decide. */
export interface Egress {
  /** Connections of sandboxes that are open. */
  readonly size: number
  /** Where it listens. */
  readonly listeners: readonly { protocol: 'http' | 'tls'; address: string; port: number }[]
  /** To be called after the rules of a sandbox changed, or after it ended: resets what is allowed no more. */
  cut(id: string): void
  /** Ends everything at once. */
  close(): Promise<void>
}

/** Listens at the server's end of the router. While nobody does, names are refused: the router knows no other way for them. */
export async function openEgress(options: EgressOptions): Promise<Egress> {
  const { facts, ports = ROUTER_PORTS, limits = limitsOfProcess() } = options
  const flows = new Flows(options.find, limits)
  const parts = { dial, helloMs: HELLO_MS, ...options, flows }
  await using undo = new Undo()
  const listeners: Egress['listeners'][number][] = []
  for (const address of [facts.address4, facts.address6]) {
    if (address === null) continue
    for (const protocol of ['tls', 'http'] as const) {
      const server = protocol === 'tls' ? createTlsDoor(parts) : createHttpDoor(parts)
      undo.add(() => stop(server))
      listeners.push({ protocol, address, port: await listen(server, address, ports[protocol]) })
      // As when there are no descriptors left: this connection is lost, the next may not be.
      server.on('error', (err) =>
        options.log.warn({ err, protocol }, 'a connection of a sandbox could not be accepted'),
      )
    }
  }
  undo.add(() => flows.close())
  const closing = undo.move()
  return {
    listeners,
    get size() {
      return flows.size
    },
    cut: (id) => flows.cut(id),
    close: () => closing[Symbol.asyncDispose](),
  }
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  server.listen({ host, port, backlog: 1024 })
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

async function stop(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  await closed
}
