import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { Judgement, Observation, Policy } from '../core/network/types.ts'
import { dial } from './dial.ts'
import { type EgressOptions, openEgress } from './index.ts'
import type { Subject } from './subject.ts'

/** Where sandboxes connect from in these tests; each address is one. */
export const SANDBOX = '127.0.0.2'
export const NEIGHBOUR = '127.0.0.3'

/** Names that are allowed, and addresses that are not. */
export interface FakeRules {
  names: string[]
  deny?: string[]
  addresses?: string[]
}

export class FakeSubject implements Subject {
  readonly id: string
  readonly seen: Observation[] = []
  policy: Policy

  constructor(id: string, rules: FakeRules) {
    this.id = id
    this.policy = fakePolicy(rules)
  }

  observe(what: Observation): void {
    this.seen.push(what)
  }

  async pin(): Promise<void> {}

  refusals(): string[] {
    return this.seen.filter(({ verdict }) => verdict === 'refused').map(({ rule }) => rule)
  }
}

export function fakePolicy({ names, deny = [], addresses = [] }: FakeRules): Policy {
  const judge = (allowed: boolean, rule: string): Judgement => ({
    allowed,
    rule,
    message: `${rule}, says the test.`,
  })
  return {
    packets: { allow4: [], allow6: [], named4: [], named6: [], byName: true },
    judgeName: (name) => (names.includes(name) ? judge(true, `allow ${name}`) : judge(false, 'default deny')),
    portsOf: () => [],
    judgeAddress: (address) =>
      addresses.includes(address) ? judge(true, `allow ${address}`) : judge(false, 'default deny'),
    judgePinned: (_, address) =>
      deny.includes(address) ? judge(false, 'private address') : judge(true, 'default allow'),
  }
}

/** Proxies with made-up sandboxes and a made-up name server, in front of servers on loopback. */
export class EgressWorld implements AsyncDisposable {
  readonly subjects = new Map<string, FakeSubject>()
  readonly names = new Map<string, string[]>()
  /** Where connections to a port of the internet go. */
  readonly upstreamPorts = new Map<number, number>()
  #egress: Awaited<ReturnType<typeof openEgress>> | null = null
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()

  static async open(options: Partial<EgressOptions> = {}): Promise<EgressWorld> {
    const world = new EgressWorld()
    world.#egress = await openEgress({
      facts: { address4: '127.0.0.1', address6: null },
      resolver: { resolve: async (_, name) => world.names.get(name) ?? [] },
      find: (address) => world.subjects.get(address) ?? null,
      log: pino({ level: 'warn' }),
      ports: { http: 0, tls: 0 },
      dial: (addresses, port, signal) => dial(addresses, world.upstreamPorts.get(port) ?? port, signal),
      ...options,
    })
    return world
  }

  get egress() {
    return this.#egress!
  }

  subject(rules: FakeRules, address = SANDBOX): FakeSubject {
    const subject = new FakeSubject(`sbx_${address}`, rules)
    this.subjects.set(address, subject)
    return subject
  }

  port(protocol: 'http' | 'tls'): number {
    return this.egress.listeners.find((listener) => listener.protocol === protocol)!.port
  }

  /** A server of the internet, reached at this port by every name. */
  async serve(port: number, server: Server, address = '127.0.0.1'): Promise<void> {
    this.#servers.push(server)
    server.on('connection', (socket: Socket) => this.#sockets.add(socket))
    server.listen(0, address)
    await once(server, 'listening')
    this.upstreamPorts.set(port, (server.address() as { port: number }).port)
  }

  /** A connection of a sandbox to a proxy. */
  async connect(protocol: 'http' | 'tls', from = SANDBOX): Promise<Socket> {
    const socket = connect({
      port: this.port(protocol),
      host: '127.0.0.1',
      localAddress: from,
      allowHalfOpen: true,
    })
    this.#sockets.add(socket)
    socket.on('error', () => {})
    // It may be reset before this end has seen that it was open.
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
    return socket
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#egress?.close()
    for (const socket of this.#sockets) socket.destroy()
    for (const server of this.#servers) await new Promise((resolve) => server.close(resolve))
  }
}

/** All that comes until the connection ends, and the error it ended with. */
export async function readAll(socket: Socket): Promise<{ text: string; error: string | null }> {
  let error: string | null = null
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.on('error', (cause: NodeJS.ErrnoException) => {
    error = cause.code ?? cause.message
  })
  socket.on('end', () => socket.end())
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
  return { text: Buffer.concat(chunks).toString('latin1'), error }
}

/** A plain echo server. */
export function echoServer(): Server {
  return createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket))
}

/** A key and a certificate of its own authority for these names. */
export function makeCertificate(names: string[]): { key: string; cert: string } {
  const dir = mkdtempSync(join(tmpdir(), 'caisson-egress-'))
  try {
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
    const san = `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`
    const made = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
    ]
    execFileSync('openssl', ['req', '-x509', ...made, '-subj', '/CN=test', '-addext', san], {
      stdio: 'ignore',
    })
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  } finally {
    rmSync(dir, { recursive: true })
  }
}
