import { readFile, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { fields } from '@caisson/protocol/frame-codec'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Packet } from '../../packages/server/src/core/network/types.ts'
import { LauncherConnection } from '../../packages/server/src/launcher/connection.ts'
import { Message, Tag } from '../../packages/server/src/launcher/protocol.ts'
import { until, World } from './fixture.ts'
import { allow, cannotNetwork, INTERNET, NetworkWorld, NO_LIMITS } from './network-world.ts'

const { EINVAL, ENOTCONN, ESRCH } = constants.errno
const CONNECTED = 'connect ok\n'
const REFUSED = 'connect ECONNREFUSED\n'

describe.skipIf(cannotNetwork)('networks of sandboxes', () => {
  let net: NetworkWorld
  beforeAll(async () => {
    net = await NetworkWorld.make()
    await net.open()
  })
  afterAll(() => net[Symbol.asyncDispose]())

  const { v4, v6 } = INTERNET
  const launcher = () => net.world.launcher

  test('an interface refuses at once until there are rules, and is gone when it is taken away', async () => {
    const { id, address4, address6 } = await net.plugged()
    expect(await net.world.ask(id, 'interfaces')).toBe(
      ['lo 127.0.0.1 up', `eth0 ${address4} up`, 'lo ::1 up', `eth0 ${address6} up`, ''].join('\n'),
    )
    expect(await net.connect(id)).toBe(REFUSED)
    await launcher().setRules(id, allow(v4), [])
    expect(await net.connect(id)).toBe(CONNECTED)
    expect(await net.world.ask(id, `as 1000 ping ${v4}`)).toContain('ping-answer ok')
    expect(await net.connect(id, v6)).toBe(REFUSED)
    await launcher().setRules(id, allow(v6), [])
    expect(await net.connect(id)).toBe(REFUSED)
    expect(await net.connect(id, v6)).toBe(CONNECTED)
    await launcher().unplug(id)
    await launcher().unplug(id)
    expect(await net.world.ask(id, 'interfaces')).toBe('lo 127.0.0.1 up\nlo ::1 up\n')
    expect(await net.connect(id)).toBe('connect ENETUNREACH\n')
    await launcher().delete(id)
  })

  test('without an interface nothing leads anywhere, at once', async () => {
    const { id } = await net.world.start()
    for (const address of [v4, v6, '198.19.255.254', '5.5.5.2'])
      expect(await net.connect(id, address)).toBe('connect ENETUNREACH\n')
    await launcher().delete(id)
  })

  test('plugging twice changes nothing but the limits', async () => {
    const { id, address4, address6 } = await net.plugged()
    await launcher().setRules(id, allow(v4), [])
    const limits = { uploadBytesPerSecond: 1_000_000, downloadBytesPerSecond: 2_000_000, connections: 5 }
    expect(await launcher().plug(id, limits)).toEqual({ address4, address6 })
    expect(await net.connect(id)).toBe(CONNECTED)
    expect(await net.inRouter('tc', 'qdisc', 'show')).toContain('rate 16Mbit')
    await launcher().plug(id, NO_LIMITS)
    expect(await net.inRouter('tc', 'qdisc', 'show')).not.toContain('tbf')
    expect(await net.connect(id)).toBe(CONNECTED)
    await launcher().delete(id)
  })

  test('sandboxes do not reach one another, the host or its doors', async () => {
    const one = await net.plugged()
    const other = await net.plugged()
    const host = (await net.host.exec('ip', '-o', '-4', 'addr')).match(/198\.18\.\d+\.\d+/)![0]
    const targets = [other.address4, other.address6!, host, '5.5.5.2']
    await launcher().setRules(one.id, allow(v4, ...targets), [])
    for (const target of targets)
      for (const port of [7, 10_080]) expect(await net.connect(one.id, target, port)).toBe(REFUSED)
    expect(await net.connect(one.id)).toBe(CONNECTED)
    for (const { id } of [one, other]) await launcher().delete(id)
  })

  test('a pin opens one address at one port', async () => {
    const { id } = await net.plugged()
    await launcher().setRules(id, allow(), [])
    await launcher().pin(id, [{ address: v4, port: 7, seconds: 60 }])
    expect(await net.connect(id)).toBe(CONNECTED)
    expect(await net.connect(id, v4, 8)).toBe(REFUSED)
    expect(await net.connect(id, v6)).toBe(REFUSED)
    await launcher().pin(id, [{ address: v6, port: 7, seconds: 60 }])
    expect(await net.connect(id, v6)).toBe(CONNECTED)
    await launcher().delete(id)
  })

  test('new rules with the pins that stay cut no connection over them; without them they do', async () => {
    const { id } = await net.plugged()
    const pins = [{ address: v4, port: 7, seconds: 60 }]
    await launcher().setRules(id, allow(), pins)
    await net.world.ask(id, `hold ${v4} 7`)
    await launcher().setRules(id, allow('5.6.7.8'), pins)
    expect(await net.internet.poke()).toEqual(['answers'])
    await launcher().setRules(id, allow('5.6.7.8'), [])
    expect(await net.internet.poke()).toEqual(['silent'])
    await launcher().delete(id)
  })

  test('nobody inside changes any of it, and low ports can be bound as before', async () => {
    const { id } = await net.plugged()
    expect((await net.world.ask(id, 'change-network')).split('\n')).toEqual([
      'link-down EPERM',
      'address EPERM',
      'route EPERM',
      'raw EAFNOSUPPORT',
      'transparent EPERM',
      'write EACCES',
      '',
    ])
    expect(await net.world.ask(id, 'bind 80')).toBe('bind ok\n')
    await launcher().delete(id)
  })

  test('traffic is counted, and refusals are told', async () => {
    const told: Packet[] = []
    const undo = launcher().onPacket((packet) => void told.push(packet))
    const { id, address4, address6 } = await net.plugged()
    await net.connect(id)
    await until(() => told.some(({ sandbox, kind }) => sandbox === id && kind === 'refused'))
    undo()
    const traffic = (await launcher().traffic()).get(id)!
    expect([...(await launcher().traffic(id)).keys()]).toEqual([id])
    expect((await launcher().traffic('sbx_nobody')).size).toBe(0)
    expect(traffic).toMatchObject({ address4, address6 })
    expect([traffic.up, traffic.down].every((bytes) => bytes > 0 && bytes < 10_000)).toBe(true)
    await launcher().delete(id)
    expect((await launcher().traffic()).has(id)).toBe(false)
  })

  test('a sandbox that ends by itself leaves its slot to others', async () => {
    const { id } = await net.plugged()
    const ended = new Promise<void>((resolve) => {
      launcher().onEnded((sandbox) => sandbox.id === id && resolve())
    })
    await net.world.ask(id, 'quit')
    await ended
    await launcher().delete(id)
    const next = await net.plugged()
    await launcher().setRules(next.id, allow(v4), [])
    expect(await net.connect(next.id)).toBe(CONNECTED)
    await launcher().delete(next.id)
    await until(async () => !/ s\d+@/.test(await net.inRouter('ip', '-o', 'link')))
  })

  test('more sandboxes than the first block of slots has', async () => {
    const ids = await Promise.all(Array.from({ length: 70 }, async () => (await net.plugged()).id))
    expect((await launcher().traffic()).size).toBe(70)
    const last = ids.at(-1)!
    await launcher().setRules(last, allow(v4), [])
    expect(await net.connect(last)).toBe(CONNECTED)
    await Promise.all(ids.map((id) => launcher().delete(id)))
  })

  describe('what it refuses', () => {
    const refused = (errno: number) => expect.objectContaining({ name: 'LauncherError', errno })
    const request = async (type: number, payload: Uint8Array) => {
      const connection = await LauncherConnection.open(net.world.program.socket, () => {})
      try {
        return await connection.request(type, payload)
      } finally {
        connection.close()
      }
    }
    const withId = () => fields().string(Tag.ID, 'x')

    test.each<[string, number, () => Uint8Array]>([
      ['a field that it does not know', Message.NETWORK, () => fields().string(Tag.PATH, '/').encode()],
      ['a range that is none', Message.NETWORK, () => fields().string(Tag.PERMIT, '10.0.0.0/33').encode()],
      ['an address that is none', Message.NETWORK, () => fields().string(Tag.HOST, 'x').encode()],
      ['a plug without an id', Message.PLUG, () => fields().u64(Tag.UPLOAD, 1).encode()],
      ['a plug with a path', Message.PLUG, () => withId().string(Tag.PATH, '/proc/1/ns/net').encode()],
      ['no bytes per second', Message.PLUG, () => withId().u64(Tag.UPLOAD, 0).encode()],
      ['an id that is a path', Message.UNPLUG, () => fields().string(Tag.ID, '../x').encode()],
      ['half a range', Message.RULES, () => withId().bytes(Tag.ALLOW4, new Uint8Array(7)).encode()],
      [
        'ranges that overlap',
        Message.RULES,
        () =>
          withId()
            .bytes(Tag.ALLOW4, Uint8Array.from([1, 1, 1, 1, 1, 1, 1, 9, 1, 1, 1, 9, 2, 1, 1, 1]))
            .encode(),
      ],
      [
        'rules that come twice',
        Message.RULES,
        () => withId().bytes(Tag.ALLOW4, new Uint8Array(8)).bytes(Tag.ALLOW4, new Uint8Array(8)).encode(),
      ],
      ['a flag that is neither', Message.RULES, () => withId().u64(Tag.BY_NAME, 2).encode()],
      ['no pins', Message.PIN, () => withId().encode()],
      ['a pin of no address', Message.PIN, () => withId().bytes(Tag.PIN, new Uint8Array(9)).encode()],
      [
        'a protocol that has no ports',
        Message.OWNER,
        () => withId().u64(Tag.PROTOCOL, 1).u64(Tag.PORT, 1).encode(),
      ],
    ])('%s', async (_, type, payload) => {
      await expect(request(type, payload())).rejects.toEqual(refused(EINVAL))
    })

    test('rules for a sandbox without an interface', async () => {
      const { id } = await net.world.start()
      await expect(launcher().setRules(id, allow(v4), [])).rejects.toEqual(refused(ENOTCONN))
      await expect(launcher().pin(id, [{ address: v4, port: 7, seconds: 1 }])).rejects.toEqual(
        refused(ENOTCONN),
      )
      await launcher().delete(id)
      await expect(launcher().plug(id, NO_LIMITS)).rejects.toEqual(refused(ESRCH))
    })
  })
})

describe.skipIf(cannotNetwork)('a router outlives', () => {
  const { v4 } = INTERNET

  test('its launcher: connections go on, rules stay and change', async () => {
    await using net = await NetworkWorld.make()
    await net.open()
    const { launcher } = net.world
    const { id, address4 } = await net.plugged()
    await launcher.setRules(id, allow(v4), [])
    await net.world.ask(id, `hold ${v4} 7`)
    process.kill(await launcher.pid(), 'SIGKILL')
    expect(await net.internet.poke()).toEqual(['answers'])
    await until(() =>
      launcher.list().then(
        () => true,
        () => false,
      ),
    )
    expect(await net.internet.poke()).toEqual(['answers'])
    expect(await net.connect(id)).toBe(CONNECTED)
    expect((await launcher.traffic()).get(id)).toMatchObject({ address4 })
    await launcher.setRules(id, allow(), [])
    expect(await net.connect(id)).toBe(REFUSED)
    const next = await net.plugged()
    expect(next.address4).not.toBe(address4)
  })

  test('its holder, of which there is soon another', async () => {
    await using net = await NetworkWorld.make()
    await net.open()
    const { id } = await net.plugged()
    await net.world.launcher.setRules(id, allow(v4), [])
    await net.world.ask(id, `hold ${v4} 7`)
    const before = await net.holder()
    process.kill(before, 'SIGKILL')
    await until(async () => (await net.holder()) !== before)
    expect(await net.internet.poke()).toEqual(['answers'])
    process.kill(await net.world.launcher.pid(), 'SIGKILL')
    await until(() =>
      net.world.launcher.list().then(
        () => true,
        () => false,
      ),
    )
    expect(await net.internet.poke()).toEqual(['answers'])
    expect((await net.world.launcher.traffic()).has(id)).toBe(true)
  })

  test('not both; then another is made, and sandboxes are plugged again', async () => {
    await using net = await NetworkWorld.make()
    await net.open()
    const { launcher } = net.world
    const { id } = await net.plugged()
    const holder = await net.holder()
    process.kill(await launcher.pid(), 'SIGKILL')
    process.kill(holder, 'SIGKILL')
    await until(() =>
      launcher.list().then(
        () => true,
        () => false,
      ),
    )
    await until(async () => (await net.connect(id)) === 'connect ENETUNREACH\n')
    await net.open()
    await launcher.plug(id, NO_LIMITS)
    await launcher.setRules(id, allow(v4), [])
    expect(await net.connect(id)).toBe(CONNECTED)
  })

  test('an orderly end with nothing plugged leaves nothing, one with a sandbox leaves all', async () => {
    await using net = await NetworkWorld.make()
    const { launcher } = net.world
    expect(await net.traces()).toEqual([])
    await net.open()
    const holder = await net.holder()
    const { id } = await net.plugged()
    await launcher.setRules(id, allow(v4), [])
    await launcher.shutdown()
    expect(await net.connect(id)).toBe(CONNECTED)
    await launcher.delete(id)
    expect(await net.holder()).toBe(holder)
    await launcher.shutdown()
    expect(await net.traces()).toEqual([])
    // A client that was not told plugs on.
    const next = await net.plugged()
    await launcher.setRules(next.id, allow(v4), [])
    expect(await net.connect(next.id)).toBe(CONNECTED)
  })

  test('a host that forwards no IPv6 has sandboxes without any', async () => {
    await using net = await NetworkWorld.make(false)
    await net.open()
    const { id, address6 } = await net.plugged()
    expect(address6).toBeNull()
    await net.world.launcher.setRules(id, allow(v4), [])
    expect(await net.connect(id)).toBe(CONNECTED)
    expect(await net.connect(id, INTERNET.v6)).toBe('connect ENETUNREACH\n')
    expect(await net.world.ask(id, 'interfaces')).not.toMatch(/eth0 fe80/)
  })
})

describe.skipIf(cannotNetwork)('a router on its host', () => {
  const { v4 } = INTERNET

  test('is mended when somebody has removed its uplink and its tables', async () => {
    await using net = await NetworkWorld.make()
    await net.open()
    const { id, address4 } = await net.plugged()
    await net.world.launcher.setRules(id, allow(v4), [])
    const before = await net.traces()
    await net.host.exec('ip', 'link', 'del', before[0]!)
    await net.host.exec('nft', 'flush', 'ruleset')
    await net.inRouter('nft', 'flush', 'ruleset')
    expect(await net.connect(id)).not.toBe(CONNECTED)
    await net.open()
    expect(await net.traces()).toEqual(before)
    expect(await net.connect(id)).toBe(REFUSED)
    expect((await net.world.launcher.plug(id, NO_LIMITS)).address4).toBe(address4)
    await net.world.launcher.setRules(id, allow(v4), [])
    expect(await net.connect(id)).toBe(CONNECTED)
  })

  test('takes addresses that no route covers, and never those of another', async () => {
    await using net = await NetworkWorld.make()
    await using other = await World.make({ netns: net.host.name })
    await net.host.ip(['route add 198.18.0.0/16 via 5.5.5.1'])
    const settings = { permit: [], host: [] }
    expect((await net.world.launcher.network(settings)).address4).toBe('198.19.15.254')
    expect((await other.launcher.network(settings)).address4).toBe('198.19.31.254')
    const one = await net.plugged()
    const { id } = await other.start()
    const theirs = await other.launcher.plug(id, NO_LIMITS)
    await net.world.launcher.setRules(one.id, allow(v4, theirs.address4), [])
    await other.launcher.setRules(id, allow(v4), [])
    expect(await net.connect(one.id, theirs.address4)).toBe(REFUSED)
    expect(await net.connect(one.id)).toBe(CONNECTED)
    expect(await other.ask(id, `connect ${v4} 7`)).toBe(CONNECTED)
  })

  test('is not found by what the server could have written', async () => {
    await using net = await NetworkWorld.make()
    await net.open()
    const holder = await net.holder()
    const launcher = await net.world.launcher.pid()
    const stat = await readFile(`/proc/${launcher}/stat`, 'utf8')
    const forged = `${launcher} ${stat.slice(stat.lastIndexOf(')')).split(' ')[20]}\n`
    await writeFile(net.file, forged)
    // The launcher itself is root's, of this data directory, and in the host's namespace: it must not become the router.
    await net.open()
    expect(await net.holder()).toBe(holder)
    await writeFile(net.file, forged)
    process.kill(launcher, 'SIGKILL')
    process.kill(holder, 'SIGKILL')
    await until(() =>
      net.world.launcher.list().then(
        () => true,
        () => false,
      ),
    )
    await net.open()
    expect(await net.holder()).not.toBe(launcher)
    expect(await net.host.exec('nft', 'list', 'tables')).not.toMatch(/caisson$/m)
  })

  test('says what is missing and leaves nothing when it cannot be made', async () => {
    await using net = await NetworkWorld.make()
    await net.host.ip(['route add 198.18.0.0/15 via 5.5.5.1'])
    await expect(net.open()).rejects.toMatchObject({
      step: 'uplink',
      message: expect.stringContaining('free a /20'),
    })
    await net.host.ip(['route del 198.18.0.0/15'])
    expect(await net.traces()).toEqual([])
    await net.open()
  })
})
