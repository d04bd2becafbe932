/** SECURITY D 26, 27: the public internet, and nothing that is not public. */
import { describe, expect } from 'vitest'
import {
  AT_ONCE_SECONDS,
  attempt,
  cannotNetwork,
  each,
  HOST,
  inside,
  PRIVATE,
  PRIVATE6,
  PUBLIC,
  refusals,
  test,
  timed,
} from './fixture.ts'

const { example, evil, google } = PUBLIC

/** How a refused connection fails: at once, as if nobody listened. */
const REFUSED = /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EACCES|EINVAL|EADDRNOTAVAIL)$/

describe.skipIf(cannotNetwork)('a sandbox with the public internet', () => {
  test('reaches it by TCP, UDP and ping, over IPv4 and IPv6, by address and by name', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, true)
    const tries = {
      tcp: `tcp('${example.v4}', 9000, b'hello')`,
      tcp6: `tcp('${example.v6}', 9000, b'hello')`,
      'tcp, any port': `tcp('${evil.v4}', 22, b'hello')`,
      udp: `udp('${example.v4}', 9000)`,
      udp6: `udp('${example.v6}', 9000)`,
      quic: `udp('${example.v4}', 443)`,
      ping: `ping('${example.v4}')`,
      ping6: `ping('${example.v6}')`,
      http: `reached('http://example.com/')`,
      https: `reached('https://www.example.com/')`,
      https6: `reached('-6', 'https://www.example.com/')`,
      'https by address': `reached('https://${example.v4}/')`,
      'another port': `reached('https://www.example.com:8443/')`,
    }
    expect(await attempt(box, tries)).toEqual(each(tries, 'ok'))
    const early = await attempt(box, { early: `hears('${example.v4}', 25)`, names: "resolve('example.com')" })
    expect(early).toEqual({ early: '220 made-up ESMTP', names: `${example.v6} ${example.v4}` })
    expect(await refusals(box)).toEqual([])
    expect(await world.seenPrivate()).toEqual([])
  })

  test('reaches no private, link-local, shared or metadata address, in no protocol', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, true)
    await world.forget()
    const addresses = [...Object.values(PRIVATE), ...Object.values(PRIVATE6)]
    const tries = Object.fromEntries(
      addresses.flatMap((address) => [
        [`tcp ${address}`, `tcp('${address}', 80)`],
        [`udp ${address}`, `udp('${address}', 9000)`],
        [`ping ${address}`, `ping('${address}')`],
      ]),
    )
    for (const [name, { said, seconds }] of Object.entries(await timed(box, tries))) {
      expect.soft(said, name).toMatch(name.startsWith('ping') ? /unreachable|filtered|prohibited/ : REFUSED)
      expect.soft(seconds, name).toBeLessThan(AT_ONCE_SECONDS)
    }
    expect(await world.seenPrivate()).toEqual([])
  })

  test('is not fooled by other ways to write such an address', async ({ world, server }) => {
    await using box = await inside(world, server, true)
    await world.forget()
    const tries = {
      decimal: "reached('http://2852039166/')",
      octal: "reached('http://0251.0376.0251.0376/')",
      hex: "reached('http://0xa9fea9fe/')",
      'hex parts': "reached('http://0xa9.0xfe.0xa9.0xfe/')",
      short: "reached('http://169.254.43518/')",
      'IPv4-mapped': "reached('http://[::ffff:169.254.169.254]/')",
      'IPv4-compatible': "reached('http://[::169.254.169.254]/')",
      NAT64: "reached('http://[64:ff9b::a9fe:a9fe]/')",
      '6to4': "reached('http://[2002:a9fe:a9fe::1]/')",
      'scoped link-local': "reached('http://[fe80::1%25eth0]/')",
      'metadata by name': "reached('http://metadata.google.internal/')",
      'name of a metadata address': "reached('http://meta.evil.test/')",
      'via redirect': `reached('-L', 'http://evil.test/redirect/http://${PRIVATE.metadata}/')`,
      'via redirect to a name': "reached('-L', 'http://evil.test/redirect/http://private.evil.test/')",
      zero: "reached('http://0.0.0.0/')",
      'zero over IPv6': "reached('http://[::]/')",
      loopback: "reached('http://127.0.0.1/')",
      'other loopback': "reached('http://127.9.9.9/')",
    }
    const said = await attempt(box, tries)
    for (const [name, outcome] of Object.entries(said))
      expect.soft(outcome, name).toMatch(/^curl (6|7|3|45)$/)
    expect(await world.seenPrivate()).toEqual([])
  })

  test('a proxy inside of it reaches no more', async ({ world, server }) => {
    await using box = await inside(world, server, true)
    await world.forget()
    const proxy = await box.start(['python3', '-u', '-c', PROXY])
    for await (const _ of proxy) break
    const through = (url: string) => `reached('-p', '-x', 'http://127.0.0.1:3128', '${url}')`
    const said = await attempt(box, {
      public: through(`http://${example.v4}/`),
      metadata: through(`http://${PRIVATE.metadata}/`),
      lan: through(`http://${PRIVATE.lan}/`),
    })
    expect(said.public).toBe('ok')
    expect([said.metadata, said.lan]).not.toContain('ok')
    expect(await world.seenPrivate()).toEqual([])
  })

  test('reaches neither host nor gateway nor the server, at no port of any of their addresses', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, true)
    await world.forget()
    const uplink = await world.host.exec('ip', '-o', 'addr', 'show')
    const ours = [...uplink.matchAll(/csn\S+\s+inet6? ([^/ ]+)/g)].map(([, address]) => address!)
    expect(ours.length).toBeGreaterThanOrEqual(1)
    const addresses = [
      ...Object.values(HOST),
      ...ours.filter((one) => !one.startsWith('fe80')),
      '198.19.255.254',
    ]
    const ports = [22, 80, 443, 4700, 9000, 10_053, 10_080, 10_443]
    const tries = Object.fromEntries(
      addresses.flatMap((address) =>
        ports.map((port) => [`${address} ${port}`, `tcp('${address}', ${port})`]),
      ),
    )
    for (const [name, { said, seconds }] of Object.entries(await timed(box, tries))) {
      expect.soft(said, name).toMatch(REFUSED)
      expect.soft(seconds, name).toBeLessThan(AT_ONCE_SECONDS)
    }
    expect(await world.seenPrivate()).toEqual([])
  })

  test('asks our resolver, whatever name server it means', async ({ world, server }) => {
    await using box = await inside(world, server, true)
    await world.forget()
    const tries = {
      ours: "query('example.com')",
      'ours by TCP': "query('example.com', tcp=True)",
      another: `query('other.test', '${google.v4}')`,
      'another by TCP': `query('other.test', '${google.v4}', tcp=True)`,
      'another over IPv6': `query('evil.test', '${google.v6}')`,
      'one that is none': `query('www.example.com', '${evil.v4}')`,
    }
    expect(await attempt(box, tries)).toEqual(each(tries, 'ok 1'))
    const asked = (await world.seen()).filter(({ kind }) => kind === 'dns')
    expect(new Set(asked.map(({ address }) => address))).toEqual(new Set([PUBLIC.upstream.v4]))
  })

  test('gets no private address from any name', async ({ world, server }) => {
    await using box = await inside(world, server, true)
    await world.forget()
    const nothing = {
      private: "resolve('private.evil.test')",
      metadata: "resolve('meta.evil.test')",
      mapped: "resolve('mapped.evil.test')",
      zero: "resolve('zero.evil.test')",
      loopback: "resolve('loop.evil.test')",
      alias: "resolve('alias.evil.test')",
      google: "resolve('metadata.google.internal')",
    }
    expect(await attempt(box, nothing)).toEqual(each(nothing, 'no address'))
    expect(await attempt(box, { mixed: "resolve('mixed.evil.test')" })).toEqual({ mixed: evil.v4 })
    const flips = Object.fromEntries(
      Array.from({ length: 6 }, (_, n) => [`${n}`, `outcome("resolve('flip.evil.test')")[0]`]),
    )
    for (const said of Object.values(await attempt(box, flips)))
      expect([evil.v4, 'no address']).toContain(said)
    expect((await refusals(box)).map(({ rule }) => rule).join()).toMatch(/private|metadata/)
    expect(await world.seenPrivate()).toEqual([])
  })
})

/** A relay as a hostile workload would run it: connects to whatever it is told. */
const PROXY = `import re, socket, threading
def serve(c):
  head = c.recv(65536)
  host, port = re.match(rb'CONNECT ([^ :]+):(\\d+)', head).groups()
  try:
    s = socket.create_connection((host.decode(), int(port)), 3)
  except OSError:
    c.sendall(b'HTTP/1.1 502 no\\r\\n\\r\\n'); c.close(); return
  c.sendall(b'HTTP/1.1 200 ok\\r\\n\\r\\n')
  def copy(a, b):
    while data := a.recv(65536): b.sendall(data)
    b.close()
  threading.Thread(target=copy, args=(s, c)).start(); copy(c, s)
l = socket.create_server(('127.0.0.1', 3128))
print('ready', flush=True)
while True:
  threading.Thread(target=serve, args=(l.accept()[0],)).start()`
