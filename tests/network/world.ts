import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DRIVER, type ServerOptions, TestServer } from '../test-server.ts'
import { type Certificates, makeCertificates } from './certificates.ts'
import { Namespace, removeLeftovers } from './namespaces.ts'
import { type DnsRecord, HOST, PRIVATE, PRIVATE6, PUBLIC, type Seen, ZONE } from './places.ts'
import type { Order } from './servers.ts'

export { HOST, PORTS, PRIVATE, PRIVATE6, PUBLIC, type Seen } from './places.ts'

const node = join(resolve(import.meta.dirname, '../..'), 'node_modules/.bin/node')
const onPath = (name: string) =>
  ['/usr/sbin', '/sbin', '/usr/bin', '/bin'].some((d) => existsSync(join(d, name)))

/** Why a network cannot be tested here; null when it can. */
export const cannotNetwork = ((): string | null => {
  if (DRIVER !== 'oci') return `sandboxes of the driver "${DRIVER}" have no network`
  if (process.getuid?.() !== 0) return 'network namespaces are made as root'
  const absent = ['ip', 'nft', 'openssl', 'nsenter'].filter((name) => !onPath(name))
  return absent.length > 0 ? `not installed: ${absent.join(', ')}` : null
})()
if (cannotNetwork) console.warn(`skipped: ${cannotNetwork}`)

/** One network's servers, in a process inside of its namespace. */
class Servers {
  readonly #child: ChildProcess
  #last: Promise<unknown> = Promise.resolve()

  constructor(namespace: Namespace) {
    const [file, args] = namespace.command([node, join(import.meta.dirname, 'servers.ts')])
    this.#child = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  }

  /** Orders are obeyed one after the other. */
  ask<T>(order: Order): Promise<T> {
    const answer = this.#last.then(async () => {
      const reply = once(this.#child, 'message', { signal: AbortSignal.timeout(30_000) })
      this.#child.send(order)
      return ((await reply)[0] as { result: T }).result
    })
    this.#last = answer.catch(() => {})
    return answer
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, 'exit')
    if (this.#child.exitCode === null && this.#child.kill()) await gone
  }
}

/**
 * A host to run a server on, an internet, and a network of the host's own, which sandboxes must not see. All of it is
 * in namespaces, so nothing of this machine's own network is touched, and nothing leaves.
 */
export class World implements AsyncDisposable {
  /** Where the Caisson server runs: `TestServer.start({ netns: world.host.name, config: world.config() })`. */
  readonly host: Namespace
  readonly #internet: Namespace
  readonly #lan: Namespace
  #certificates!: Certificates
  #out!: Servers
  #in!: Servers
  #own!: Servers

  private constructor(host: Namespace, internet: Namespace, lan: Namespace) {
    this.host = host
    this.#internet = internet
    this.#lan = lan
  }

  /** @param options.ipv6 whether the host forwards IPv6; default: it does */
  static async create(options: { ipv6?: boolean } = {}): Promise<World> {
    await removeLeftovers()
    const made: Namespace[] = []
    try {
      for (const role of ['host', 'internet', 'lan']) made.push(await Namespace.make(role))
      const world = new World(made[0]!, made[1]!, made[2]!)
      await world.#wire(options.ipv6 ?? true)
      await world.#populate()
      return world
    } catch (error) {
      for (const namespace of made) await namespace.remove()
      throw error
    }
  }

  /** Of the private authority that signed for every name and address of the public internet. */
  get ca(): string {
    return this.#certificates.ca
  }

  /** For `caisson.json` of a server in this world. @param permit private ranges that rules may open */
  config(network: { permit?: string[]; connections?: number } = {}): Record<string, unknown> {
    return { network: { permit: [], connections: 4096, dns: [PUBLIC.upstream.v4], ...network } }
  }

  /** A server on the host of this world. */
  server(options: ServerOptions & { permit?: string[]; connections?: number } = {}): Promise<TestServer> {
    const { permit = [], connections = 4096, config, ...rest } = options
    return TestServer.start({
      ...rest,
      netns: this.host.name,
      config: { ...this.config({ permit, connections }), ...config },
    })
  }

  /** Runs a command on a machine of the host's own network. @returns what it printed */
  onLan(...argv: string[]): Promise<string> {
    return this.#lan.exec(...argv)
  }

  /** What servers of the public internet have seen. */
  seen(): Promise<Seen[]> {
    return this.#out.ask({ op: 'seen' })
  }

  /** What no sandbox may ever reach has seen: the host's private network, its metadata servers, and the host itself. */
  async seenPrivate(): Promise<Seen[]> {
    const [lan, own] = [this.#in, this.#own].map((servers) => servers.ask<Seen[]>({ op: 'seen' }))
    return [...(await lan!), ...(await own!)]
  }

  /** The names that were asked of name servers, ours and others'. */
  async queries(): Promise<string[]> {
    return (await this.seen()).filter(({ kind }) => kind === 'dns').map(({ name }) => name ?? '')
  }

  async forget(): Promise<void> {
    for (const servers of [this.#out, this.#in, this.#own]) await servers.ask({ op: 'forget' })
  }

  /** What name servers say from now on. */
  async setZone(name: string, records: DnsRecord[] | { turns: DnsRecord[][] }): Promise<void> {
    await this.#out.ask({ op: 'zone', name, records })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const servers of [this.#out, this.#in, this.#own]) await servers?.stop()
    for (const namespace of [this.host, this.#internet, this.#lan]) await namespace.remove()
  }

  async #wire(ipv6: boolean): Promise<void> {
    const { host } = this
    await host.ip([
      `link add wan type veth peer name host netns ${this.#internet.name}`,
      `link add lan type veth peer name host netns ${this.#lan.name}`,
    ])
    const forward = ['net.ipv6.conf.all.forwarding=1', 'net.ipv4.ip_forward=1']
    if (ipv6) await host.exec('sysctl', '-qw', forward[0]!)
    await this.#internet.exec('sysctl', '-qw', ...forward)
    await host.ip([
      `addr add ${HOST.wan4}/30 dev wan`,
      `addr add ${HOST.wan6}/64 dev wan nodad`,
      `addr add ${HOST.lan4}/24 dev lan`,
      `addr add ${HOST.lan6}/64 dev lan nodad`,
      'link set wan up',
      'link set lan up',
      'route add default via 93.115.0.1',
      'route add default via 2a00:1450:1::1',
      ...Object.values(PRIVATE)
        .filter((address) => address !== PRIVATE.lan)
        .map((address) => `route add ${address}/32 via ${PRIVATE.lan}`),
      `route add ${PRIVATE6.metadata6}/128 via ${PRIVATE6.ula}`,
    ])
    await this.#internet.ip([
      'addr add 93.115.0.1/30 dev host',
      'addr add 2a00:1450:1::1/64 dev host nodad',
      'link set host up',
      ...Object.values(PUBLIC).flatMap(({ v4, v6 }) => [
        `addr add ${v4}/32 dev lo`,
        `addr add ${v6}/128 dev lo nodad`,
      ]),
    ])
    await this.#lan.ip([
      `addr add ${PRIVATE.lan}/24 dev host`,
      `addr add ${PRIVATE6.ula}/64 dev host nodad`,
      'link set host up',
      ...[...Object.values(PRIVATE), ...Object.values(PRIVATE6)]
        .filter((address) => address !== PRIVATE.lan && address !== PRIVATE6.ula)
        .map((address) => `addr add ${address}/${address.includes(':') ? '128' : '32'} dev lo nodad`),
      `route add default via ${HOST.lan4}`,
      `route add default via ${HOST.lan6}`,
    ])
  }

  async #populate(): Promise<void> {
    const publicly = Object.values(PUBLIC).flatMap(({ v4, v6 }) => [v4, v6])
    this.#certificates = await makeCertificates(
      [...Object.keys(ZONE), ...Object.keys(ZONE).map((name) => `*.${name}`)],
      publicly,
    )
    this.#out = new Servers(this.#internet)
    this.#in = new Servers(this.#lan)
    this.#own = new Servers(this.host)
    const inside = [...Object.values(PRIVATE), ...Object.values(PRIVATE6)]
    const { wan4, wan6, lan4, lan6 } = HOST
    const serve = (addresses: string[]): Order => ({
      op: 'serve',
      addresses,
      certificates: this.#certificates,
    })
    await Promise.all([
      this.#out.ask(serve(publicly)),
      this.#in.ask(serve(inside)),
      this.#own.ask(serve([wan4, wan6, lan4, lan6, '127.0.0.1', '::1'])),
    ])
  }
}
