/**
 * A made-up internet for the router's table, all of it in network namespaces of its own:
 *
 *     box0, box1 ── router ── host ── net
 *
 * `net` has every address that a test needs, private and metadata ones too; `host` stands for the machine, with the
 * doors at the uplink; `router` has the table, by nettest/driver.c.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { ROUTER_PORTS } from '../../packages/server/src/core/network/types.ts'
import type { Answered, Asked } from './peer.ts'

const native = resolve(import.meta.dirname, '../../native')
const sources = [
  'nettest/driver',
  'net_elements',
  'net_ranges',
  'net_rules',
  'net_table',
  'net_packets',
  'net_nft',
]

export const HOST4 = '198.18.15.254'
export const SELF4 = '198.18.15.255'
export const HOST6 = 'fdca:1550:0:ffff::1'
export const SELF6 = 'fdca:1550:0:ffff::2'
export const GATEWAY4 = '198.19.255.254'
/** Of the host towards the internet. */
export const WAN4 = '9.9.0.1'
export const WAN6 = '2a00:1::1'
/** What `net` has: public hosts, then what must never be reached. */
export const PUBLIC4 = ['5.5.5.1', '5.5.5.2', '5.5.5.3', '5.5.5.4']
export const PUBLIC6 = ['2a00:5::1', '2a00:5::2', '2a00:5::3', '2a00:5::4']
export const NEVER4 = [
  '10.1.2.3',
  '100.64.0.9',
  '100.100.100.200',
  '168.63.129.16',
  '169.254.169.254',
  '172.16.5.5',
  '192.0.2.9',
  '192.168.7.7',
  '198.18.200.1',
  '198.51.100.9',
  '203.0.113.9',
]
export const NEVER6 = [
  'fd00:ec2::254',
  'fd12::5',
  '64:ff9b::505:501',
  '2002:505:501::1',
  '2001:db8::5',
  '2001::5',
]

/** What is served in `net` at every address. */
export const PORTS = [22, 80, 443, 853, 8080]

export const box4 = (slot: number): string => `198.18.0.${16 + slot}`
export const box6 = (slot: number): string => `fdca:1550::${(16 + slot).toString(16)}`

export const cannotRun =
  process.getuid?.() === 0 && hasProgram('nft') && hasProgram('ip') && hasProgram('cc')
    ? ''
    : 'needs root, nft, ip and cc'

export const cannotPing = hasProgram('ping') ? false : 'ping is not installed'

function hasProgram(name: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${name}`])
    return true
  } catch {
    return false
  }
}

/** Ends a child that ends with its input. */
async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.stdin?.end()
  await gone
}

/** The driver: one answer a line, in order. */
class Driver {
  readonly #child: ChildProcess
  readonly #waiting: ((line: string) => void)[] = []

  constructor(child: ChildProcess) {
    this.#child = child
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
    lines.on('line', (line) => this.#waiting.shift()?.(line))
    lines.on('close', () => {
      for (const resolve of this.#waiting.splice(0)) resolve('error: the driver has ended')
    })
  }

  ask(line: string): Promise<string> {
    const answer = new Promise<string>((resolve) => this.#waiting.push(resolve))
    this.#child.stdin?.write(`${line}\n`)
    return answer
  }

  end(): Promise<void> {
    return endOf(this.#child)
  }
}

/** A resident process in a namespace; see peer.ts. */
export class Peer {
  readonly #child: ChildProcess
  readonly #answers = new Map<number, (value: string | number) => void>()
  #ids = 0

  constructor(child: ChildProcess) {
    this.#child = child
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const { id, value } = JSON.parse(line) as Answered
      this.#answers.get(id)?.(value)
      this.#answers.delete(id)
    })
  }

  ask(asked: Omit<Asked, 'id'>): Promise<string | number> {
    const id = ++this.#ids
    const answer = new Promise<string | number>((resolve) => this.#answers.set(id, resolve))
    this.#child.stdin?.write(`${JSON.stringify({ id, ...asked })}\n`)
    return answer
  }

  /** `from <address>` when a stream could be opened, else the error's code or `silence`. */
  reach(address: string, port: number, more: Partial<Asked> = {}): Promise<string | number> {
    return this.ask({ does: 'connect', address, port, text: 'who', ...more })
  }

  /** A stream that stays open: say() uses it. */
  async connect(address: string, port: number): Promise<number> {
    const handle = await this.ask({ does: 'connect', address, port })
    if (typeof handle !== 'number') throw new Error(`connect to ${address}:${port}: ${handle}`)
    return handle
  }

  say(handle: number, text: string, patience = 5000): Promise<string | number> {
    return this.ask({ does: 'say', handle, text, patience })
  }

  close(handle: number): Promise<string | number> {
    return this.ask({ does: 'close', handle })
  }

  /** One datagram from a socket of its own. */
  async datagram(address: string, port: number, more: Partial<Asked> = {}): Promise<string | number> {
    const handle = Number(await this.ask({ does: 'datagrams', address, port, ...more }))
    const answer = await this.ask({ does: 'ask', handle, text: 'hello', ...more })
    await this.close(handle)
    return answer
  }

  end(): Promise<void> {
    return endOf(this.#child)
  }
}

export interface ToldPacket {
  slot: number
  kind: number
  data: Buffer
}

export class TableWorld {
  readonly #id = randomBytes(3).toString('hex')
  readonly #peers: Peer[] = []
  #directory = ''
  #driver!: Driver
  boxes: Peer[] = []
  host!: Peer

  static async make(): Promise<TableWorld> {
    const world = new TableWorld()
    try {
      await world.#build()
      return world
    } catch (error) {
      await world[Symbol.asyncDispose]()
      throw error
    }
  }

  name(what: string): string {
    return `ct-${this.#id}-${what}`
  }

  run(where: string, ...command: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name(where), ...command], { encoding: 'utf8' })
  }

  /** Carries out a command of the driver; throws what it answers when that is an error. */
  async tell(...words: (string | number)[]): Promise<string> {
    const answer = await this.#driver.ask(words.join(' '))
    if (!answer.startsWith('ok')) throw new Error(answer)
    return answer.slice(3)
  }

  /** What the table has told of since the last call, once it has had the time to. */
  async packets(): Promise<ToldPacket[]> {
    const told = (await this.tell('packets', 200)).split(' ').filter(Boolean)
    return told.map((text) => {
      const [index, kind, data] = text.split(':')
      return { slot: Number(index) - 1000, kind: Number(kind), data: Buffer.from(data ?? '', 'hex') }
    })
  }

  async #build(): Promise<void> {
    this.#directory = await mkdtemp(join(tmpdir(), 'caisson-table-'))
    for (const where of ['router', 'host', 'net', 'box0', 'box1']) {
      execFileSync('ip', ['netns', 'add', this.name(where)])
      this.run(where, 'ip', 'link', 'set', 'lo', 'up')
    }
    this.#joinHost()
    for (const slot of [0, 1]) this.#joinBox(slot)
    await this.#startDriver()
    const net = this.#start('net')
    this.host = this.#start('host')
    this.boxes = [this.#start('box0'), this.#start('box1')]
    for (const port of PORTS) await this.#serve(net, port, [...PUBLIC4, ...PUBLIC6])
    for (const port of [...Object.values(ROUTER_PORTS), 8080]) await this.#serve(this.host, port, ['::'])
  }

  /** Datagrams at addresses, each by itself: one socket for all would answer from another address. */
  async #serve(peer: Peer, port: number, addresses: string[]): Promise<void> {
    const said = [await peer.ask({ does: 'serve', address: '::', port })]
    for (const address of addresses) said.push(await peer.ask({ does: 'serve-datagrams', address, port }))
    if (said.some((word) => word !== 'ok')) throw new Error(`serve ${port}: ${said}`)
  }

  #joinHost(): void {
    const batch = (where: string, ...commands: string[]): void => {
      for (const command of commands) this.run(where, 'ip', ...command.split(' '))
    }
    const settings = [
      'net.ipv4.ip_forward=1',
      'net.ipv6.conf.all.forwarding=1',
      'net.ipv4.conf.all.rp_filter=0',
    ]
    this.run('router', 'sysctl', '-q', ...settings, 'net.ipv4.icmp_ratelimit=0', 'net.ipv6.icmp.ratelimit=0')
    this.run('host', 'sysctl', '-q', ...settings)
    batch('host', `link add csn type veth peer name up netns ${this.name('router')}`)
    batch('host', `link add wan type veth peer name wan netns ${this.name('net')}`)
    batch('host', 'link set csn up', 'link set wan up', `addr add ${HOST4}/31 dev csn`)
    batch('host', `addr add ${HOST6}/126 dev csn nodad`, `addr add ${WAN4}/24 dev wan`)
    batch('host', `addr add ${WAN6}/64 dev wan nodad`, `route add 198.18.0.0/20 via ${SELF4}`)
    batch('host', `route add fdca:1550::/64 via ${SELF6}`, 'route add default via 9.9.0.2')
    batch('host', 'route add default via 2a00:1::2')
    batch('router', 'link set dev up up', `addr add ${SELF4}/31 dev up`, `addr add ${SELF6}/126 dev up nodad`)
    batch('router', `route add default via ${HOST4}`, `route add default via ${HOST6}`)
    batch('net', 'link set wan up', 'addr add 9.9.0.2/24 dev wan', 'addr add 2a00:1::2/64 dev wan nodad')
    batch('net', `route add 198.18.0.0/20 via ${WAN4}`, `route add fdca:1550::/48 via ${WAN6}`)
    for (const address of [...PUBLIC4, ...NEVER4]) batch('net', `addr add ${address}/32 dev lo`)
    for (const address of [...PUBLIC6, ...NEVER6]) batch('net', `addr add ${address}/128 dev lo nodad`)
  }

  #joinBox(slot: number): void {
    const box = (command: string): void => {
      this.run(`box${slot}`, 'ip', ...command.split(' '))
    }
    const router = (command: string): void => {
      this.run('router', 'ip', ...command.split(' '))
    }
    router(`link add s${slot} index ${1000 + slot} type veth peer name eth0 netns ${this.name(`box${slot}`)}`)
    router(`link set s${slot} up`)
    router(`addr add ${GATEWAY4}/32 dev s${slot}`)
    router(`addr add fe80::1/64 dev s${slot} nodad`)
    router(`route add ${box4(slot)}/32 dev s${slot}`)
    router(`route add ${box6(slot)}/128 dev s${slot}`)
    box('link set eth0 addrgenmode none')
    box('link set eth0 up')
    box(`addr add ${box4(slot)}/32 dev eth0`)
    box(`addr add ${box6(slot)}/128 dev eth0 nodad`)
    box(`route add ${GATEWAY4} dev eth0 scope link`)
    box(`route add default via ${GATEWAY4}`)
    box('route add default via fe80::1 dev eth0')
  }

  async #startDriver(): Promise<void> {
    const program = join(this.#directory, 'driver')
    const files = [...sources, 'util'].map((name) => join(native, 'launcher', `${name}.c`))
    const shared = join(native, 'shared/frame.c')
    execFileSync('cc', ['-std=c11', '-D_GNU_SOURCE', '-O1', '-g', '-o', program, ...files, shared])
    this.#driver = new Driver(
      spawn('ip', ['netns', 'exec', this.name('router'), program], { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
  }

  #start(where: string): Peer {
    const program = join(import.meta.dirname, 'peer.ts')
    const child = spawn('ip', ['netns', 'exec', this.name(where), process.execPath, program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const peer = new Peer(child)
    this.#peers.push(peer)
    return peer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) await peer.end()
    await this.#driver?.end()
    for (const where of ['box0', 'box1', 'router', 'host', 'net'])
      try {
        execFileSync('ip', ['netns', 'del', this.name(where)], { stdio: 'ignore' })
      } catch {
        // Was not made.
      }
    await rm(this.#directory, { recursive: true, force: true })
  }
}
