import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ROUTER_PORTS } from '../../packages/server/src/core/network/types.ts'
import { PacketKind } from '../../packages/server/src/launcher/protocol.ts'
import {
  box4,
  box6,
  cannotPing,
  cannotRun,
  GATEWAY4,
  HOST4,
  HOST6,
  NEVER4,
  NEVER6,
  type Peer,
  PUBLIC4,
  PUBLIC6,
  SELF4,
  SELF6,
  TableWorld,
  WAN4,
  WAN6,
} from './table-world.ts'

const [one4 = '', two4 = '', three4 = '', four4 = ''] = PUBLIC4
const [one6 = '', two6 = '', three6 = '', four6 = ''] = PUBLIC6
const EVERYTHING = ['allow4=0.0.0.0-255.255.255.255', 'allow6=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']
const REFUSED = 'ECONNREFUSED'
const FILTERED = 'EHOSTUNREACH'
const FILTERED6 = 'EACCES'

describe.skipIf(cannotRun)('the table of the router', () => {
  let world: TableWorld
  let box: Peer
  let other: Peer
  const rules = (...words: string[]) => world.tell('rules', 0, ...words)

  beforeAll(async () => {
    world = await TableWorld.make()
    expect(await world.tell('load', HOST4, SELF4, HOST6, SELF6)).toBe('fresh')
    const [first, second] = world.boxes
    if (!first || !second) throw new Error('no boxes')
    box = first
    other = second
  }, 60_000)
  afterAll(() => world?.[Symbol.asyncDispose]())
  beforeEach(async () => {
    await world.tell('settings')
    for (const slot of [0, 1]) {
      await world.tell('close', slot, box4(slot), box6(slot))
      await world.tell('open', slot, box4(slot), box6(slot), 0)
    }
    world.run('router', 'nft', 'flush', 'set', 'inet', 'caisson', 'told')
    world.run('router', 'nft', 'flush', 'set', 'inet', 'caisson', 'told_new')
    await world.packets()
  })

  test('is loaded once, whoever asks', async () => {
    expect(await world.tell('load', HOST4, SELF4, HOST6, SELF6)).toBe('there')
    expect(await world.tell('blocks')).toBe('1')
  })

  test('a slot without rules refuses everything at once', async () => {
    expect(await box.reach(one4, 22)).toBe(REFUSED)
    expect(await box.reach(one4, 443)).toBe(REFUSED)
    expect(await box.reach(one6, 80)).toBe(REFUSED)
    expect(await box.datagram(one4, 22)).toBe(FILTERED)
    expect(await box.datagram(one6, 22)).toBe(FILTERED6)
    expect(await box.reach(GATEWAY4, 53)).toBe(REFUSED)
    expect(await box.datagram(GATEWAY4, 53)).toBe(FILTERED)
  })

  test('a slot that is closed lets nothing in', async () => {
    await rules(...EVERYTHING)
    await world.tell('close', 0, box4(0), box6(0))
    await world.tell('close', 0, box4(0), box6(0))
    expect(await box.reach(one4, 22, { patience: 300 })).toBe('silence')
    expect(await world.packets()).toEqual([])
  })

  test('a refused packet is told of, and a flood of them a bounded number of times', async () => {
    await box.datagram(two4, 22)
    const [told, ...more] = await world.packets()
    expect(more).toEqual([])
    expect(told).toMatchObject({ slot: 0, kind: PacketKind.REFUSED })
    expect(told?.data.readUInt8(0)).toBe(0x45)
    expect(told?.data.subarray(12, 20).join('.')).toBe(`${box4(0)}.${two4}`)
    for (let i = 0; i < 300; i++) await box.reach(two4, 22)
    const flood = await world.packets()
    expect(flood.length).toBeGreaterThanOrEqual(39)
    expect(flood.length).toBeLessThan(200)
  })

  test('the first packet of an allowed connection is told of', async () => {
    await rules(...EVERYTHING)
    const stream = await box.connect(one4, 22)
    await box.say(stream, 'more')
    await box.datagram(one6, 22)
    const told = await world.packets()
    expect(told.map(({ slot, kind, data }) => [slot, kind, data[0]])).toEqual([
      [0, PacketKind.NEW, 0x45],
      [0, PacketKind.NEW, 0x60],
    ])
    await box.close(stream)
  })

  test('ranges allow exactly what is in them', async () => {
    await rules(`allow4=${two4}-${three4}`, `allow6=${two6}-${three6}`)
    for (const [before, first, last, after, from] of [
      [one4, two4, three4, four4, SELF4],
      [one6, two6, three6, four6, SELF6],
    ] as const) {
      expect(await box.reach(before, 22)).toBe(REFUSED)
      expect(await box.reach(first, 22)).toMatch(from)
      expect(await box.reach(last, 443)).toMatch(from)
      expect(await box.datagram(last, 8080)).toMatch(/hello/)
      expect(await box.reach(after, 22)).toBe(REFUSED)
    }
    await rules('allow4=0.0.0.0-5.5.5.0,5.5.5.2-255.255.255.255')
    expect(await box.reach(one4, 22)).toBe(REFUSED)
    expect(await box.reach(two4, 22)).toMatch(SELF4)
    await rules(`allow4=${one4},${two4},${four4}`)
    expect(await box.reach(two4, 22)).toMatch(SELF4)
    expect(await box.reach(three4, 22)).toBe(REFUSED)
    await rules()
    expect(await box.reach(two4, 22)).toBe(REFUSED)
  })

  test('new rules cut an open connection that they do not allow, and leave the others alone', async () => {
    await rules(...EVERYTHING)
    const [stays, goes, goes6] = [
      await box.connect(one4, 22),
      await box.connect(two4, 22),
      await box.connect(two6, 22),
    ]
    const handle = Number(await box.ask({ does: 'datagrams', address: two4, port: 22 }))
    expect(await box.ask({ does: 'ask', handle, text: 'a' })).toMatch(/a$/)
    await rules(`allow4=${one4}`)
    expect(await box.say(stays, 'still here')).toBe('still here')
    expect(await box.say(goes, 'gone')).toBe('ECONNRESET')
    expect(await box.say(goes6, 'gone')).toBe('ECONNRESET')
    expect(await box.ask({ does: 'ask', handle, text: 'b' })).toBe(FILTERED)
    for (let i = 0; i < 3; i++) {
      await rules(`allow4=${one4}`)
      expect(await box.say(stays, `again ${i}`)).toBe(`again ${i}`)
    }
    await box.close(stays)
    await box.close(handle)
  })

  test('rules of one sandbox do not touch another', async () => {
    await rules(...EVERYTHING)
    await world.tell('rules', 1, ...EVERYTHING)
    const stream = await other.connect(one4, 22)
    await rules()
    expect(await other.say(stream, 'mine')).toBe('mine')
    expect(await box.reach(one4, 22)).toBe(REFUSED)
    await other.close(stream)
  })

  test('a pin opens one port of one address until its time is over; what is open stays', async () => {
    await rules()
    await world.tell('pin', 0, `${one4}@22@2`, `${one6}@22@2`)
    expect(await box.reach(one4, 8080)).toBe(REFUSED)
    expect(await box.reach(two4, 22)).toBe(REFUSED)
    expect(await box.datagram(one4, 22)).toMatch(/hello/)
    const streams = [await box.connect(one4, 22), await box.connect(one6, 22)]
    await expect.poll(() => box.reach(one4, 22), { timeout: 10_000 }).toBe(REFUSED)
    for (const stream of streams) expect(await box.say(stream, 'after')).toBe('after')
    await rules()
    for (const stream of streams) expect(await box.say(stream, 'after')).toBe('ECONNRESET')
  })

  test('a pin is given more time and never less', async () => {
    await rules()
    await world.tell('pin', 0, `${one4}@22@1`)
    await world.tell('pin', 0, `${one4}@22@500`, `${two4}@22@500`)
    await world.tell('pin', 0, `${one4}@22@100`)
    const left = world
      .run('router', 'nft', 'list', 'set', 'inet', 'caisson', 'p0')
      .matchAll(/expires (\d+)m/g)
    expect([...left].map(([, minutes]) => minutes)).toEqual(['8', '8'])
  })

  test('pins that come with rules keep their connections', async () => {
    await rules(`pin=${one4}@22@60`)
    const stream = await box.connect(one4, 22)
    await rules(`pin=${one4}@22@60`)
    expect(await box.say(stream, 'kept')).toBe('kept')
    await rules()
    expect(await box.say(stream, 'cut')).toBe('ECONNRESET')
  })

  test('DNS goes to the resolver, wherever it was sent, and says whose it is', async () => {
    await rules()
    for (const server of [GATEWAY4, one4, '10.1.2.3', '169.254.169.254']) {
      expect(await box.reach(server, 53)).toBe(`from ::ffff:${box4(0)}`)
      expect(await box.datagram(server, 53)).toContain(box4(0))
    }
    expect(await box.reach(one6, 53)).toBe(`from ${box6(0)}`)
    expect(await box.datagram(one6, 53)).toContain(box6(0))
    expect(await world.packets()).toEqual([])
  })

  test('where names decide, HTTP and TLS go to the doors, but not for ranges that are named', async () => {
    await rules(...EVERYTHING, 'by-name', `named4=${two4}`, `named6=${two6}`)
    for (const port of [80, 443]) {
      expect(await box.reach(one4, port)).toBe(`from ::ffff:${box4(0)}`)
      expect(await box.reach(one6, port)).toBe(`from ${box6(0)}`)
      expect(await box.reach(two4, port)).toMatch(SELF4)
      expect(await box.reach(two6, port)).toMatch(SELF6)
    }
    expect(await box.reach(one4, 22)).toMatch(SELF4)
    await rules('by-name')
    expect(await box.reach(one4, 443)).toBe(`from ::ffff:${box4(0)}`)
    expect(await box.reach(one4, 22)).toBe(REFUSED)
    expect(await box.reach('10.1.2.3', 443)).toBe(REFUSED)
    expect(await box.reach('169.254.169.254', 80)).toBe(REFUSED)
  })

  test('where names decide, QUIC and DNS over TLS are refused', async () => {
    await rules(...EVERYTHING, 'by-name', `named4=${two4}`)
    expect(await box.datagram(one4, 443)).toBe(FILTERED)
    expect(await box.datagram(one6, 443)).toBe(FILTERED6)
    expect(await box.datagram(one4, 853)).toBe(FILTERED)
    expect(await box.reach(one4, 853)).toBe(REFUSED)
    const told = await world.packets()
    expect(new Set(told.map(({ kind }) => kind))).toEqual(new Set([PacketKind.BY_NAME]))
    expect(await box.datagram(one4, 8080)).toMatch(/hello/)
    expect(await box.datagram(two4, 443)).toMatch(/hello/)
  })

  test('a connection that went past the doors is cut once names decide', async () => {
    await rules(...EVERYTHING)
    const stream = await box.connect(one4, 443)
    const ssh = await box.connect(one4, 22)
    await rules(...EVERYTHING, 'by-name')
    expect(await box.say(stream, 'cut')).toBe('ECONNRESET')
    expect(await box.say(ssh, 'kept')).toBe('kept')
    await box.close(ssh)
  })

  test('the doors are closed to who knocks there directly, and the host altogether', async () => {
    await rules(...EVERYTHING)
    await world.tell(
      'settings',
      `host=${WAN4}`,
      `host=${WAN6}`,
      'permit=198.18.0.0/15',
      'permit=fdca:1550::/48',
    )
    for (const port of [...Object.values(ROUTER_PORTS), 8080]) {
      await world.tell('settings', `host=${WAN4}`, `host=${WAN6}`)
      expect(await box.reach(HOST4, port)).toBe(REFUSED)
      expect(await box.reach(HOST6, port)).toBe(REFUSED)
      expect(await box.reach(WAN4, port)).toBe(REFUSED)
      expect(await box.reach(WAN6, port)).toBe(REFUSED)
      expect(await box.reach(SELF4, port)).toBe(REFUSED)
      expect(await box.reach(GATEWAY4, port)).toBe(REFUSED)
    }
    await world.tell('settings')
    expect(await box.reach(WAN4, 8080)).toMatch(SELF4)
  })

  test.each([...NEVER4, ...NEVER6])('%s is refused whatever the rules', async (address) => {
    await rules(...EVERYTHING)
    expect(await box.reach(address, 22)).toBe(REFUSED)
    expect(await box.datagram(address, 22)).toMatch(/EHOSTUNREACH|EACCES/)
    const told = await world.packets()
    expect(told.map(({ kind }) => kind)).toEqual([PacketKind.REFUSED, PacketKind.REFUSED])
  })

  test('an address of IPv4 in the clothes of IPv6 leads nowhere', async () => {
    await rules(...EVERYTHING)
    expect(await box.reach('::ffff:10.1.2.3', 22)).toBe(REFUSED)
    expect(await box.reach('::ffff:169.254.169.254', 80)).toBe(REFUSED)
  })

  test('what the operator permits can be opened; a metadata service only by its own address', async () => {
    await rules(...EVERYTHING)
    await world.tell(
      'settings',
      'permit=10.1.0.0/16',
      'permit=10.0.0.0/8',
      'permit=100.64.0.0/10',
      'permit=fd00::/8',
    )
    expect(await box.reach('10.1.2.3', 22)).toMatch(SELF4)
    expect(await box.reach('fd12::5', 22)).toMatch(SELF6)
    expect(await box.reach('100.100.100.200', 22)).toBe(REFUSED)
    expect(await box.reach('fd00:ec2::254', 22)).toBe(REFUSED)
    expect(await box.reach('192.168.7.7', 22)).toBe(REFUSED)
    await rules('allow4=10.1.2.4-10.1.2.9')
    expect(await box.reach('10.1.2.3', 22)).toBe(REFUSED)
    await rules(...EVERYTHING)
    await world.tell('settings', 'permit=100.100.100.200/32')
    expect(await box.reach('100.100.100.200', 22)).toMatch(SELF4)
  })

  test('sandboxes do not reach one another, not even where their addresses are permitted', async () => {
    await rules(...EVERYTHING)
    await world.tell('rules', 1, ...EVERYTHING)
    await other.ask({ does: 'serve', address: '::', port: 7000 })
    for (const permit of [[], ['permit=198.18.0.0/15', 'permit=fdca:1550::/32']]) {
      await world.tell('settings', ...permit)
      expect(await box.reach(box4(1), 7000)).toBe(REFUSED)
      expect(await box.reach(box6(1), 7000)).toBe(REFUSED)
      expect(await box.datagram(box4(1), 7000)).toBe(FILTERED)
    }
  })

  test('a forged source is dropped unseen', async () => {
    await rules(...EVERYTHING)
    await world.tell('rules', 1, ...EVERYTHING)
    world.run('box0', 'ip', 'addr', 'add', `${box4(1)}/32`, 'dev', 'eth0')
    world.run('box0', 'ip', 'addr', 'add', `${box6(1)}/128`, 'dev', 'eth0', 'nodad')
    try {
      expect(await box.reach(one4, 22, { from: box4(1), patience: 300 })).toBe('silence')
      expect(await box.datagram(GATEWAY4, 53, { from: box4(1), patience: 300 })).toBe('silence')
      expect(await box.reach(one6, 22, { from: box6(1), patience: 300 })).toBe('silence')
      expect(await box.reach(one4, 22)).toMatch(SELF4)
    } finally {
      world.run('box0', 'ip', 'addr', 'del', `${box4(1)}/32`, 'dev', 'eth0')
      world.run('box0', 'ip', 'addr', 'del', `${box6(1)}/128`, 'dev', 'eth0')
    }
    expect((await world.packets()).map(({ kind }) => kind)).toEqual([PacketKind.NEW])
  })

  test('datagrams in fragments are judged as a whole', async () => {
    await rules(`allow4=${one4}`, `allow6=${one6}`)
    const text = 'x'.repeat(9000)
    expect(await box.datagram(one4, 8080, { text })).toContain(text)
    expect(await box.datagram(one6, 8080, { text })).toContain(text)
    expect(await box.datagram(two4, 8080, { text })).toBe(FILTERED)
  })

  test('a smaller MTU on the way is heard of', async () => {
    await rules(`allow4=${one4}`, `allow6=${one6}`)
    world.run('host', 'ip', 'link', 'set', 'wan', 'mtu', '1300')
    try {
      for (const address of [one4, one6]) {
        const stream = await box.connect(address, 22)
        expect(await box.say(stream, 'y'.repeat(5000))).toMatch(/^y+$/)
        await box.close(stream)
      }
    } finally {
      world.run('host', 'ip', 'link', 'set', 'wan', 'mtu', '1500')
    }
  })

  test.skipIf(cannotPing)(
    `a ping is judged by its address${cannotPing ? ` (${cannotPing})` : ''}`,
    async () => {
      await rules(`allow4=${one4}`, `allow6=${one6}`, `pin=${three4}@22@60`)
      const ping = (address: string) => world.run('box0', 'ping', '-c', '1', '-W', '2', address)
      expect(ping(one4)).toMatch(/1 received/)
      expect(ping(one6)).toMatch(/1 received/)
      for (const address of [two4, two6, three4, GATEWAY4, '10.1.2.3', box4(1)])
        expect(() => ping(address)).toThrow()
    },
  )

  test('nobody outside opens a connection inwards', async () => {
    await rules(...EVERYTHING)
    await box.ask({ does: 'serve', address: '::', port: 7001 })
    expect(await world.host.reach(box4(0), 7001, { patience: 300 })).toBe('silence')
    expect(await world.host.reach(box6(0), 7001, { patience: 300 })).toBe('silence')
    expect(await world.host.reach(SELF4, 7001, { patience: 300 })).toBe('silence')
  })

  test('only so many connections are open at once, those to the doors included', async () => {
    await world.tell('limit', 0, 3)
    await rules(...EVERYTHING, 'by-name')
    const streams = [await box.connect(one4, 22), await box.connect(one6, 22), await box.connect(one4, 443)]
    await world.packets()
    expect(await box.reach(one4, 8080)).toBe(REFUSED)
    expect(await box.reach(one4, 443)).toBe(REFUSED)
    expect(new Set((await world.packets()).map(({ kind }) => kind))).toEqual(
      new Set([PacketKind.CONNECTIONS]),
    )
    for (const stream of streams) expect(await box.say(stream, 'open')).toBe('open')
    await rules(...EVERYTHING, 'by-name')
    for (const stream of streams) expect(await box.say(stream, 'judged anew')).toBe('judged anew')
    await world.tell('limit', 0, 0)
    expect(await box.reach(one4, 8080)).toMatch(SELF4)
    for (const stream of streams) await box.close(stream)
  })

  test('a later sandbox of a slot gets nothing of the one before', async () => {
    await rules(...EVERYTHING)
    const stream = await box.connect(one4, 22)
    await world.tell('close', 0, box4(0), box6(0))
    await world.tell('open', 0, box4(0), box6(0), 0)
    await rules(`allow4=${two4}`)
    expect(await box.say(stream, 'anybody?')).toBe('ECONNRESET')
    expect(await box.reach(two4, 22)).toMatch(SELF4)
  })

  test('a firewall of the host that is flushed opens nothing', async () => {
    await rules(`allow4=${one4}`)
    world.run('host', 'nft', 'flush', 'ruleset')
    expect(await box.reach(two4, 22)).toBe(REFUSED)
    expect(await box.reach(one4, 22)).toMatch(SELF4)
  })

  test('the largest rules are taken, and larger ones refused', async () => {
    const ranges = (count: number) =>
      Array.from(
        { length: count },
        (_, i) => `20.${i >> 7}.${(i & 127) * 2}.0-20.${i >> 7}.${(i & 127) * 2}.9`,
      ).join()
    const ranges6 = Array.from({ length: 4096 }, (_, i) => `2a01:${(i * 2).toString(16)}::`).join()
    await rules(
      `allow4=${ranges(4096)}`,
      `allow6=${ranges6}`,
      'by-name',
      `named4=${ranges(4096)}`,
      `named6=${ranges6}`,
    )
    expect(
      world.run('router', 'nft', '-j', 'list', 'set', 'inet', 'caisson', 'a0').match(/"range"/g),
    ).toHaveLength(4096)
    await expect(rules(`allow4=${ranges(4097)}`)).rejects.toThrow('error 22')
    await rules()
  })

  test.each([
    ['ranges that overlap', 'allow4=5.5.5.1-5.5.5.3,5.5.5.3-5.5.5.4'],
    ['ranges in no order', 'allow4=5.5.5.3,5.5.5.1'],
    ['a range from its end', 'allow6=2a00:5::2-2a00:5::1'],
    ['a pin without a port', 'pin=5.5.5.1@0@60'],
    ['a pin without time', 'pin=5.5.5.1@22@0'],
    ['a pin for ever', 'pin=5.5.5.1@22@4000000000'],
  ])('%s are refused, and change nothing', async (_, words) => {
    await rules(`allow4=${one4}`)
    await expect(rules(words)).rejects.toThrow('error 22')
    expect(await box.reach(one4, 22)).toMatch(SELF4)
  })

  test.each([
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '10.0.0',
    '::/129',
    'x',
    '10.0.0.0/8/8',
    '1.2.3.4/ 8',
  ])('a permit that is none is refused: %s', async (permit) => {
    await expect(world.tell('settings', `permit=${permit.replace(' ', '+')}`)).rejects.toThrow('error 22')
  })

  test('more slots are added while all goes on', async () => {
    await rules(`allow4=${one4}`)
    const stream = await box.connect(one4, 22)
    for (const block of [1, 1, 2, 3]) await world.tell('block', block)
    expect(await world.tell('blocks')).toBe('4')
    expect(await box.say(stream, 'on')).toBe('on')
    for (let slot = 2; slot < 256; slot++) await world.tell('open', slot, box4(slot), box6(slot), 1000)
    await world.tell('measure', 256, 100, 256)
    expect(await box.say(stream, 'cut by its new rules')).toBe('ECONNRESET')
    for (let slot = 2; slot < 256; slot++) await world.tell('close', slot, box4(slot), box6(slot))
  })

  test('another plan replaces the table, which then refuses until slots are opened again', async () => {
    await rules(...EVERYTHING)
    const stream = await box.connect(one4, 22)
    expect(await world.tell('load', HOST4, SELF4)).toBe('fresh')
    expect(await box.reach(one4, 22, { patience: 300 })).toBe('silence')
    await world.tell('open', 0, box4(0), '-', 0)
    await rules(...EVERYTHING)
    expect(await box.say(stream, 'on')).toBe('on')
    expect(await world.tell('load', HOST4, SELF4, HOST6, SELF6)).toBe('fresh')
    await box.close(stream)
  })
})
