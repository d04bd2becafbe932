import { expect } from 'vitest'
import { parseAddress, toBytes } from '../core/network/address.ts'
import type { PacketRules } from '../core/network/types.ts'
import type { NetworkHand } from './driver.ts'

export const NETWORK_TESTS = [
  'a plugged sandbox has addresses of its own and reaches nothing',
  'rules say what can be reached, and pins what can besides',
  'an interface is taken away, or goes with its sandbox',
  'interfaces and rules outlive the server',
] as const
export type NetworkTest = (typeof NETWORK_TESTS)[number]

/** Skips for drivers without networks. */
export const NO_NETWORK = Object.fromEntries(
  NETWORK_TESTS.map((title) => [title, 'its sandboxes have no network']),
) as Record<NetworkTest, string>

/** Where a TCP server accepts connections that come from sandboxes: somewhere that is no real network. */
export interface Reachable {
  address: string
  port: number
}

/** What these tests need of the bench of the driver suite. */
export interface NetworkBench {
  readonly hand: NetworkHand
  readonly reachable: Reachable
  start(): Promise<string>
  /** The exit code of a program in the sandbox. */
  exec(id: string, argv: string[]): Promise<number | undefined>
  stop(id: string): Promise<void>
  restart(): Promise<void>
}

const NO_LIMITS = { uploadBytesPerSecond: null, downloadBytesPerSecond: null, connections: null }
const SETTINGS = { permit: [], host: [] }
const Outcome = { CONNECTED: 0, REFUSED: 1, UNREACHABLE: 2 } as const

/** Perl is in every Debian. */
const CONNECT = `use IO::Socket::INET; use Errno;
exit(IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 10) ? 0
  : $!{ECONNREFUSED} ? 1 : $!{ENETUNREACH} ? 2 : 3)`

function connect(bench: NetworkBench, id: string): Promise<number | undefined> {
  const { address, port } = bench.reachable
  return bench.exec(id, ['perl', '-e', CONNECT, address, String(port)])
}

function allow(...addresses: string[]): PacketRules {
  const allow4 = addresses.map((text) => {
    const { family, value } = parseAddress(text)!
    return toBytes({ family, first: value, last: value })
  })
  return { allow4, allow6: [], named4: [], named6: [], byName: false }
}

type It = (title: NetworkTest, run: (bench: NetworkBench) => Promise<void>) => void

/** The promises of `NetworkHand`. */
export function networkTests(it: It): void {
  it('a plugged sandbox has addresses of its own and reaches nothing', async (bench) => {
    const facts = await bench.hand.open(SETTINGS)
    expect(await bench.hand.open(SETTINGS)).toEqual(facts)
    const [one, other] = [await bench.start(), await bench.start()]
    expect(await connect(bench, one)).toBe(Outcome.UNREACHABLE)
    const plugged = await bench.hand.plug(one, NO_LIMITS)
    expect(await bench.hand.plug(one, NO_LIMITS)).toEqual(plugged)
    expect((await bench.hand.plug(other, NO_LIMITS)).address4).not.toBe(plugged.address4)
    expect(parseAddress(plugged.address4)).not.toBeNull()
    expect(await connect(bench, one)).toBe(Outcome.REFUSED)
    expect((await bench.hand.traffic()).get(one)).toMatchObject(plugged)
  })

  it('rules say what can be reached, and pins what can besides', async (bench) => {
    await bench.hand.open(SETTINGS)
    const id = await bench.start()
    await bench.hand.plug(id, NO_LIMITS)
    const { address, port } = bench.reachable
    await bench.hand.setRules(id, allow(address), [])
    expect(await connect(bench, id)).toBe(Outcome.CONNECTED)
    await bench.hand.setRules(id, allow(), [])
    expect(await connect(bench, id)).toBe(Outcome.REFUSED)
    await bench.hand.pin(id, [{ address, port, seconds: 60 }])
    expect(await connect(bench, id)).toBe(Outcome.CONNECTED)
    await bench.hand.setRules(id, allow(), [])
    expect(await connect(bench, id)).toBe(Outcome.REFUSED)
  })

  it('an interface is taken away, or goes with its sandbox', async (bench) => {
    await bench.hand.open(SETTINGS)
    const [one, other] = [await bench.start(), await bench.start()]
    for (const id of [one, other]) await bench.hand.plug(id, NO_LIMITS)
    await bench.hand.unplug(one)
    await bench.hand.unplug(one)
    expect(await connect(bench, one)).toBe(Outcome.UNREACHABLE)
    await bench.stop(other)
    expect([...(await bench.hand.traffic()).keys()]).toEqual([])
    await expect(bench.hand.plug(other, NO_LIMITS)).rejects.toThrow()
  })

  it('interfaces and rules outlive the server', async (bench) => {
    await bench.hand.open(SETTINGS)
    const id = await bench.start()
    const plugged = await bench.hand.plug(id, NO_LIMITS)
    await bench.hand.setRules(id, allow(bench.reachable.address), [])
    await bench.restart()
    expect(await connect(bench, id)).toBe(Outcome.CONNECTED)
    await bench.hand.open(SETTINGS)
    expect(await bench.hand.plug(id, NO_LIMITS)).toEqual(plugged)
    expect(await connect(bench, id)).toBe(Outcome.CONNECTED)
  })
}
