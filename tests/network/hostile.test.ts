/** What a hostile workload tries beside its rules: the way in, the parts in between, and wearing them out. */
import { describe, expect } from 'vitest'
import {
  attempt,
  cannotNetwork,
  HOST,
  inside,
  PRIVATE,
  PUBLIC,
  refusals,
  setNetwork,
  test,
  timed,
  until,
  World,
} from './fixture.ts'

const { example, evil, google } = PUBLIC
const OPEN = `tcp('${example.v4}', 9000, b'x')`

/** Listens at every address of the sandbox. */
const LISTEN = `import socket, time
s = [socket.create_server(('::', p), family=socket.AF_INET6, dualstack_ipv6=True) for p in (7003, 80, 53)]
print('ready', flush=True)
time.sleep(1000)`

/** Connects from where it runs; prints "open" or why not. */
const CONNECT = `import errno, socket, sys
try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 2); print('open')
except OSError as e: print(errno.errorcode.get(e.errno, 'timeout'))`

describe.skipIf(cannotNetwork)('a networked sandbox', () => {
  test('is reached by nobody: not from the host, not from its network, not from the internet', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, true)
    const listener = await box.start(['sudo', '-n', 'python3', '-u', '-c', LISTEN])
    for await (const _ of listener) break
    const { addresses } = await box.client.call('getNetwork', { id: box.id })
    await world.onLan('ip', 'route', 'replace', '198.18.0.0/15', 'via', HOST.lan4)
    for (const address of addresses) {
      expect(await attempt(box, { itself: `tcp('${address}', 7003)` })).toEqual({ itself: 'ok' })
      for (const port of ['7003', '80', '53']) {
        expect(await world.host.exec('python3', '-c', CONNECT, address, port)).not.toBe('open\n')
        expect(await world.onLan('python3', '-c', CONNECT, address, port)).not.toBe('open\n')
      }
    }
  })

  test('of one server does not reach those of another on the same host', async ({ world, server }) => {
    await using second = await world.server()
    await using here = await inside(world, server, true)
    await using there = await inside(world, second, true)
    const listener = await there.start(['sudo', '-n', 'python3', '-u', '-c', LISTEN])
    for await (const _ of listener) break
    const { addresses } = await there.client.call('getNetwork', { id: there.id })
    const mine = (await here.client.call('getNetwork', { id: here.id })).addresses
    expect(mine.some((address) => addresses.includes(address))).toBe(false)
    expect(await attempt(there, { open: OPEN })).toEqual({ open: 'ok' })
    const tries = Object.fromEntries(addresses.map((address) => [address, `tcp('${address}', 7003)`]))
    for (const [name, said] of Object.entries(await attempt(here, tries)))
      expect.soft(said, name).not.toMatch(/ok|timeout/)
  })

  test('reaches nothing of the router at its link-local address, nor a neighbour by multicast', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, true)
    const scoped = (port: number) =>
      `opened(socket.AF_INET6, socket.SOCK_STREAM, 0, ('fe80::1', ${port}, 0, socket.if_nametoindex('eth0')))`
    const said = await attempt(box, {
      http: scoped(80),
      door: scoped(10_443),
      ssh: scoped(22),
    })
    for (const [name, outcome] of Object.entries(said)) expect.soft(outcome, name).not.toBe('ok')
    const everyone = await attempt(box, { hosts: "ping('224.0.0.1')", all: "ping('255.255.255.255')" })
    for (const [name, outcome] of Object.entries(everyone)) expect.soft(outcome, name).not.toBe('ok')
    const { addresses } = await box.client.call('getNetwork', { id: box.id })
    const { stdout } = await box.sh('ping -n -c2 -W1 ff02::1%eth0')
    const answers = [...stdout.matchAll(/ from (\S+):/g)].map(([, from]) => from!)
    expect(answers.filter((from) => !addresses.includes(from))).toEqual([])
  })

  test('is not led to the host by a name, nor to another sandbox', async ({ world, server }) => {
    const { wan4, wan6 } = HOST
    await using other = await inside(world, server, true)
    const { addresses } = await other.client.call('getNetwork', { id: other.id })
    const [theirs4, theirs6] = addresses
    await world.setZone('self.evil.test', [
      { type: 'A', data: wan4, ttl: 0 },
      { type: 'AAAA', data: wan6, ttl: 0 },
    ])
    await world.setZone('other.evil.test', [
      { type: 'A', data: theirs4!, ttl: 0 },
      { type: 'AAAA', data: theirs6!, ttl: 0 },
    ])
    await using box = await inside(world, server, { allow: ['*.evil.test', 'self.evil.test:9000'] })
    await world.forget()
    const name = (host: string) => `curl('-H', 'Host: ${host}', 'http://${evil.v4}/')`
    const tls = (host: string) => `curl('--resolve', '${host}:443:${evil.v4}', 'https://${host}/')`
    const said = await attempt(box, {
      self: name('self.evil.test'),
      'self by TLS': tls('self.evil.test'),
      'self, another port': `tcp('${wan4}', 9000)`,
      'another sandbox': name('other.evil.test'),
      'another sandbox by TLS': tls('other.evil.test'),
    })
    for (const [way, outcome] of Object.entries(said)) expect.soft(outcome, way).not.toMatch(/^ok$|"address"/)
    expect(await world.seenPrivate()).toEqual([])
  })

  test('does not reach an address that the host has only just got', async ({ world, server }) => {
    await using box = await inside(world, server, true)
    const added = ['93.115.7.7/32 dev wan', '2a00:1450:7::7/128 dev wan']
    await world.host.ip(added.map((address) => `addr add ${address} nodad`))
    try {
      const said = await attempt(box, { v4: "tcp('93.115.7.7', 80)", v6: "tcp('2a00:1450:7::7', 80)" })
      for (const [way, outcome] of Object.entries(said)) expect.soft(outcome, way).not.toMatch(/ok|timeout/)
      expect(await world.seenPrivate()).toEqual([])
    } finally {
      await world.host.ip(added.map((address) => `addr del ${address}`))
    }
  })

  test('is not led on by routes that a packet carries in itself', async ({ world, server }) => {
    await using box = await inside(world, server, true)
    await world.forget()
    for (const hop of ['198.19.255.254', example.v4])
      for (const as of [[], ['sudo', '-n']])
        await box.exec([...as, 'python3', '-c', SOURCE_ROUTE, hop, PRIVATE.lan])
    expect(await world.seenPrivate()).toEqual([])
  })

  test('can not change its interface, addresses or routes, not even as its root', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, { allow: [example.v4] })
    const tried = await box.exec(['sudo', '-n', 'python3', '-c', CHANGE])
    expect(new Set(tried.stdout.trim().split('\n'))).toEqual(new Set(['EPERM']))
    expect((await box.sh('unshare -Urn true')).exitCode).not.toBe(0)
    expect((await box.sh('echo 1 | sudo -n tee /proc/sys/net/ipv4/ip_forward')).exitCode).not.toBe(0)
    expect(await attempt(box, { open: OPEN, evil: `tcp('${evil.v4}', 22)` })).toEqual({
      open: 'ok',
      evil: 'ECONNREFUSED',
    })
  })

  test('sends large datagrams in pieces, judged as one', async ({ world, server }) => {
    await using box = await inside(world, server, { allow: [example.v4, example.v6] })
    const said = await attempt(box, {
      v4: `udp('${example.v4}', 9000, b'x' * 4000)`,
      v6: `udp('${example.v6}', 9000, b'x' * 4000)`,
      refused: `udp('${evil.v4}', 9000, b'x' * 4000)`,
    })
    expect(said).toMatchObject({
      v4: 'ok',
      v6: 'ok',
      refused: expect.stringMatching(/EHOSTUNREACH|ECONNREFUSED|EACCES/),
    })
  })

  test('that asks for names without an end is slowed down, and its neighbour is not', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, { allow: ['*.evil.test'] })
    await using neighbour = await inside(world, server, { allow: ['example.com'] })
    await world.forget()
    const code = `import socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('198.19.255.254', 53)); s.setblocking(False)
end = time.monotonic() + 2
n = 0
while time.monotonic() < end:
  n += 1
  label = b'%08x' % n
  try: s.send(struct.pack('>HHHHHH', n & 65535, 0x100, 1, 0, 0, 0) + b'\\x08' + label + b'\\x06tunnel\\x04evil\\x04test\\0\\0\\x01\\0\\x01')
  except OSError: pass
  try:
    while True: s.recv(2000)
  except OSError: pass
print(n)`
    const flood = await box.start(['python3', '-c', code])
    const during = await timed(neighbour, { name: "reached('https://example.com/')" })
    expect(during.name.said).toBe('ok')
    const sent = Number((await flood.wait()).stdout)
    const asked = (await world.queries()).filter((name) => name.endsWith('tunnel.evil.test')).length
    expect(sent).toBeGreaterThan(2000)
    expect(asked).toBeLessThan(1500)
    expect(
      (
        await until(
          () => refusals(box),
          (log) => log.length > 0,
        )
      ).map(({ rule }) => rule),
    ).toContain('lookup limit')
  })

  test('that keeps a thousand connections to the doors open hurts no neighbour', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, { allow: ['example.com'] })
    await using neighbour = await inside(world, server, { allow: ['example.com'] })
    const code = `import socket, time
held = []
for n in range(1000):
  try:
    s = socket.create_connection(('${example.v4}', 443 if n % 2 else 80), 3); s.send(b'\\x16\\x03' if n % 2 else b'GET / HT'); held.append(s)
  except OSError: pass
print('held', len(held), flush=True)
time.sleep(30)`
    const holding = await box.start(['python3', '-u', '-c', code])
    for await (const { data } of holding) if (Buffer.from(data).includes('held')) break
    const tries = { https: "reached('https://example.com/')", http: "reached('http://example.com/')" }
    expect(await attempt(neighbour, tries)).toEqual({ https: 'ok', http: 'ok' })
    await holding.kill()
  })

  test('has at most a thousand entries of each kind, and the last one holds', async ({ world, server }) => {
    const many = Array.from({ length: 999 }, (_, n) => `93.${n % 250}.${n >> 2}.0/24`)
    await using box = await inside(world, server, true)
    await expect(
      setNetwork(box, {
        allow: [...new Set(many), 'a.test', 'b.test', ...Array.from({ length: 999 }, (_, n) => `n${n}.test`)],
      }),
    ).rejects.toMatchObject({ code: 'invalid_request' })
    const allow = Array.from({ length: 999 }, (_, n) => `20.${n >> 8}.${n & 255}.0/24`)
    const deny = Array.from({ length: 1000 }, (_, n) => `20.${n >> 8}.${n & 255}.7`)
    await setNetwork(box, { allow: [...allow, google.v4], deny })
    expect(await attempt(box, { last: `tcp('${google.v4}', 22)`, other: `tcp('${evil.v4}', 22)` })).toEqual({
      last: 'ok',
      other: 'ECONNREFUSED',
    })
  })

  test('is told which of its programs was refused', async ({ world, server }) => {
    await using box = await inside(world, server, { allow: ['example.com'] })
    await attempt(box, { name: "resolve('other.test')" })
    const log = await until(
      () => refusals(box),
      (entries) => entries.length > 0,
    )
    expect(log.find(({ protocol }) => protocol === 'dns')?.process).toMatch(/^python3 \(pid \d+\)$/)
  })
})

describe.skipIf(cannotNetwork)('on a host that forwards no IPv6', () => {
  test('sandboxes have none, and names have no such addresses', async () => {
    await using world = await World.create({ ipv6: false })
    await using server = await world.server()
    await using box = await inside(world, server, true)
    expect((await box.client.call('getNetwork', { id: box.id })).addresses).toHaveLength(1)
    const said = await attempt(box, {
      v4: OPEN,
      v6: `tcp('${example.v6}', 9000)`,
      name: "resolve('example.com')",
      https: "reached('https://example.com/')",
    })
    expect(said).toEqual({
      v4: 'ok',
      v6: expect.stringMatching(/ENETUNREACH|EADDRNOTAVAIL/),
      name: example.v4,
      https: 'ok',
    })
    expect(await world.host.exec('sysctl', '-n', 'net.ipv6.conf.all.forwarding')).toBe('0\n')
  })
})

/** Loose and strict source routes by way of a hop, over UDP and TCP. */
const SOURCE_ROUTE = `import socket, sys
for kind in (131, 137):
  for protocol in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    s = socket.socket(socket.AF_INET, protocol); s.settimeout(1)
    try:
      s.setsockopt(socket.IPPROTO_IP, 4, bytes([kind, 7, 4]) + socket.inet_aton(sys.argv[1]) + bytes([0]))
      s.connect((sys.argv[2], 9000)); s.send(b'x'); print(s.recv(10))
    except OSError as e: print(e)`

/** Asks the kernel for another address, another route, and an interface that is down. */
const CHANGE = `import errno, socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
index = socket.if_nametoindex('eth0')
def ask(kind, flags, body):
  s.send(struct.pack('IHHII', 16 + len(body), kind, 5 | flags, 1, 0) + body)
  code = -struct.unpack('i', s.recv(4096)[16:20])[0]
  print(errno.errorcode.get(code, code))
address = struct.pack('HH4s', 8, 2, socket.inet_aton('198.18.0.99'))
ask(20, 0x600, struct.pack('BBBBI', socket.AF_INET, 32, 0, 0, index) + address)
route = struct.pack('HH4s', 8, 1, socket.inet_aton('10.0.0.0')) + struct.pack('HHI', 8, 4, index)
ask(24, 0x600, struct.pack('BBBBBBBBI', socket.AF_INET, 8, 0, 0, 254, 3, 253, 1, 0) + route)
ask(16, 0, struct.pack('BxHiII', 0, 0, index, 0, 1))`
