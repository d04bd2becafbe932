import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile, readlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseAddress, toBytes } from '../../packages/server/src/core/network/address.ts'
import type { AddressRange, PacketRules } from '../../packages/server/src/core/network/types.ts'
import { Namespace, removeLeftovers } from '../network/namespaces.ts'
import { cannotRun, until, World } from './fixture.ts'

const node = resolve(import.meta.dirname, '../../node_modules/.bin/node')

export const cannotNetwork =
  cannotRun ??
  (['ip', 'nft', 'tc'].every((name) => existsSync(`/usr/sbin/${name}`) || existsSync(`/sbin/${name}`))
    ? null
    : 'ip, nft and tc are needed')
if (cannotNetwork) console.warn(`skipped: ${cannotNetwork}`)

/** Where the echo server is. */
export const INTERNET = { v4: '5.5.5.1', v6: '2a00:5::1', port: 7 }
export const NO_LIMITS = { uploadBytesPerSecond: null, downloadBytesPerSecond: null, connections: null }
const NOTHING: PacketRules = { allow4: [], allow6: [], named4: [], named6: [], byName: false }

/** Rules that allow these addresses. */
export function allow(...addresses: string[]): PacketRules {
  const ranges = addresses.map(rangeOf).toSorted((a, b) => Buffer.compare(a.first, b.first))
  const ofSize = (size: number) => ranges.filter(({ first }) => first.length === size)
  return { ...NOTHING, allow4: ofSize(4), allow6: ofSize(16) }
}

function rangeOf(address: string): AddressRange {
  const { family, value } = parseAddress(address)!
  return toBytes({ family, first: value, last: value })
}

/** A host and an internet behind it, which are namespaces; the internet's only server is echo-server.ts. */
export class Internet implements AsyncDisposable {
  readonly host: Namespace
  readonly #echo: ChildProcess
  readonly #undo: AsyncDisposableStack

  private constructor(host: Namespace, echo: ChildProcess, undo: AsyncDisposableStack) {
    this.host = host
    this.#echo = echo
    this.#undo = undo
  }

  /** @param v6 whether the host forwards IPv6 */
  static async make(v6 = true): Promise<Internet> {
    await removeLeftovers()
    await using undo = new AsyncDisposableStack()
    const host = await Namespace.make('host')
    undo.defer(() => host.remove())
    const internet = await Namespace.make('internet')
    undo.defer(() => internet.remove())
    await wire(host, internet)
    if (v6) await host.exec('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1')
    return new Internet(host, await startEcho(internet, undo), undo.move())
  }

  /** What the connections that sandboxes hold say when the internet writes to them. */
  async poke(): Promise<string[]> {
    const answer = once(this.#echo, 'message')
    this.#echo.send('poke')
    return (await answer)[0] as string[]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo.disposeAsync()
  }
}

/** A launcher on the host of an internet. */
export class NetworkWorld implements AsyncDisposable {
  readonly internet: Internet
  readonly world: World

  private constructor(internet: Internet, world: World) {
    this.internet = internet
    this.world = world
  }

  static async make(v6 = true): Promise<NetworkWorld> {
    await using undo = new AsyncDisposableStack()
    const internet = undo.use(await Internet.make(v6))
    const world = await World.make({ netns: internet.host.name })
    undo.move()
    return new NetworkWorld(internet, world)
  }

  get host(): Namespace {
    return this.internet.host
  }

  /** Makes the router, or finds it. */
  async open(): Promise<void> {
    await this.world.launcher.network({ permit: [], host: ['5.5.5.2'] })
  }

  /** A sandbox with an interface. */
  async plugged(): Promise<{ id: string; address4: string; address6: string | null }> {
    const { id } = await this.world.start()
    return { id, ...(await this.world.launcher.plug(id, NO_LIMITS)) }
  }

  connect(id: string, address = INTERNET.v4, port = INTERNET.port): Promise<string> {
    return this.world.ask(id, `connect ${address} ${port}`)
  }

  /** Process id of what holds the router. */
  async holder(): Promise<number> {
    return Number((await readFile(this.file, 'utf8')).split(' ')[0])
  }

  get file(): string {
    return join(this.world.dataDir, 'run/router')
  }

  /** Runs a command in the router. */
  async inRouter(...argv: string[]): Promise<string> {
    return await this.host.exec('nsenter', `--net=/proc/${await this.holder()}/ns/net`, '--', ...argv)
  }

  /** What a router leaves on its host. */
  async traces(): Promise<string[]> {
    const links = (await this.host.exec('ip', '-o', 'link')).match(/csn[0-9a-f]{8}/g) ?? []
    const tables = (await this.host.exec('nft', 'list', 'tables')).split('\n').filter(Boolean)
    const routes = (await this.host.exec('ip', 'route')).split('\n').filter((line) => line.includes('198.1'))
    return [...new Set(links), ...tables, ...routes, ...(existsSync(this.file) ? ['run/router'] : [])]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const holder = await this.holder().catch(() => null)
    await this.world[Symbol.asyncDispose]()
    await this.internet[Symbol.asyncDispose]()
    // One that has ended and was not waited for has no namespace any more.
    if (holder !== null)
      await until(() =>
        readlink(`/proc/${holder}/ns/net`).then(
          () => false,
          () => true,
        ),
      )
  }
}

async function wire(host: Namespace, internet: Namespace): Promise<void> {
  // Else no neighbour is asked for before the link-local addresses are sure to be unique, which takes a second.
  for (const namespace of [host, internet])
    for (const scope of ['all', 'default'])
      await namespace.exec('sysctl', '-qw', `net.ipv6.conf.${scope}.accept_dad=0`)
  await host.ip([
    `link add wan type veth peer name lan netns ${internet.name}`,
    'addr add 5.5.5.2/24 dev wan',
    'addr add 2a00:5::2/64 dev wan nodad',
    'link set wan up',
  ])
  await internet.ip([
    `addr add ${INTERNET.v4}/24 dev lan`,
    `addr add ${INTERNET.v6}/64 dev lan nodad`,
    'link set lan up',
  ])
  await host.ip([`route add default via ${INTERNET.v4}`, `route add default via ${INTERNET.v6}`])
  // Without a link-local address no neighbour is asked for, and it comes when the kernel has seen both ends up.
  for (const namespace of [host, internet])
    await until(async () => (await namespace.exec('ip', '-o', 'addr')).includes(' fe80::'))
}

async function startEcho(internet: Namespace, undo: AsyncDisposableStack): Promise<ChildProcess> {
  const [file, args] = internet.command([node, join(import.meta.dirname, 'echo-server.ts')])
  const echo = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const gone = once(echo, 'exit')
  undo.defer(async () => {
    echo.kill()
    await gone
  })
  await once(echo, 'message')
  return echo
}
