/** SECURITY D 25: a sandbox without a network has none, in no protocol and by no side door, and says so at once. */
import { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import {
  AT_ONCE_SECONDS,
  attempt,
  cannotNetwork,
  HOST,
  inside,
  PUBLIC,
  refusals,
  test,
  timed,
} from './fixture.ts'

const { example, google, upstream } = PUBLIC

/** What each gives: an interface that is not there, or a kind of socket that nobody may have. */
const NO_WAY_OUT = {
  TCP: `tcp('${example.v4}', 80)`,
  'TCP over IPv6': `tcp('${example.v6}', 80)`,
  UDP: `udp('${example.v4}', 9000)`,
  'UDP over IPv6': `udp('${example.v6}', 9000)`,
  'the host': `tcp('${HOST.wan4}', 80)`,
  'DNS by UDP': `query('example.com', '${google.v4}')`,
  'DNS by TCP': `query('example.com', '${google.v4}', tcp=True)`,
  'DNS to the operator’s server': `query('example.com', '${upstream.v4}')`,
  'DNS to the sandbox’s resolver': "query('example.com')",
  'DNS to the sandbox’s resolver by TCP': "query('example.com', tcp=True)",
  SCTP: `opened(socket.AF_INET, socket.SOCK_STREAM, 132, ('${example.v4}', 9000))`,
}

describe.skipIf(cannotNetwork)('a sandbox without a network', () => {
  test('is what is made when nothing is asked for', async ({ server }) => {
    await using box = await Sandbox.create({ client: server.client() })
    expect((await box.client.call('getSandbox', { id: box.id })).network).toMatchObject({ mode: 'none' })
    expect((await box.client.call('getNetwork', { id: box.id })).addresses).toEqual([])
    expect((await box.sh('ls /proc/sys/net/ipv4/conf')).stdout.split('\n').filter(Boolean)).toEqual([
      'all',
      'default',
      'lo',
    ])
  })

  test('reaches nothing, as the user and as root, and fails at once', async ({ world, server }) => {
    await using box = await inside(world, server, false)
    await world.forget()
    for (const as of [[], ['sudo', '-n']]) {
      const tried = await timed(box, NO_WAY_OUT, as)
      for (const [name, { said, seconds }] of Object.entries(tried)) {
        expect
          .soft(said, name)
          .toMatch(/^(ENETUNREACH|EHOSTUNREACH|EPROTONOSUPPORT|EADDRNOTAVAIL|EAFNOSUPPORT)$/)
        expect.soft(seconds, name).toBeLessThan(AT_ONCE_SECONDS)
      }
    }
    expect(await world.queries()).toEqual([])
    expect(await world.seen()).toEqual([])
    expect(await world.seenPrivate()).toEqual([])
  })

  test('finds no names', async ({ world, server }) => {
    await using box = await inside(world, server, false)
    await world.forget()
    const tried = await timed(box, { name: "resolve('example.com')", curl: "curl('http://example.com')" })
    expect(tried.name.said).toBe('no address')
    expect(tried.curl.said).toMatch(/^curl 6 /)
    expect(tried.name.seconds).toBeLessThan(AT_ONCE_SECONDS)
    expect(await world.queries()).toEqual([])
  })

  test('has no raw, packet, netlink-changing or virtual machine sockets', async ({ world, server }) => {
    await using box = await inside(world, server, false)
    for (const as of [[], ['sudo', '-n']]) {
      const said = await attempt(
        box,
        {
          raw: 'raw_socket(1)',
          packet: 'opened(socket.AF_PACKET, socket.SOCK_RAW, 0x300)',
          vsock: 'opened(socket.AF_VSOCK, socket.SOCK_STREAM, 0, (2, 22))',
          ping: `ping('${example.v4}')`,
        },
        as,
      )
      expect(said.raw).toMatch(/^(EPERM|EACCES|EAFNOSUPPORT)$/)
      expect(said.packet).toMatch(/^(EPERM|EACCES|EAFNOSUPPORT)$/)
      expect(said.vsock).not.toBe('ok')
      expect(said.ping).not.toBe('ok')
    }
    const add = await box.exec(['sudo', '-n', 'python3', '-c', MAKE_INTERFACE])
    expect(add.stdout.trim()).toMatch(/^(EPERM|EOPNOTSUPP|EACCES|EAFNOSUPPORT|EPROTONOSUPPORT)$/)
  })

  test('does not see the abstract sockets of the host', async ({ world, server }) => {
    await using box = await inside(world, server, false)
    const { abstract } = await attempt(box, {
      abstract: "opened(socket.AF_UNIX, socket.SOCK_STREAM, 0, '\\0caisson')",
    })
    expect(abstract).toBe('ECONNREFUSED')
    expect((await box.sh('grep -c @ /proc/net/unix')).stdout.trim()).toBe('0')
  })

  test('is told why, when it asks', async ({ world, server }) => {
    await using box = await inside(world, server, false)
    const said = await box.client.call('explainNetwork', { id: box.id, destination: 'example.com:443' })
    expect(said).toMatchObject({ verdict: 'refused', rule: 'no network' })
    expect(await refusals(box)).toEqual([])
  })
})

/** Asks the kernel for a dummy interface, as `ip link add` does. */
const MAKE_INTERFACE = `import errno, socket, struct
info = struct.pack('HH', 8 + 4, 1) + b'dummy\\0\\0\\0'
attrs = struct.pack('HH', 4 + len(info), 18) + info
body = struct.pack('BxHiII', 0, 0, 0, 0, 0) + attrs
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
s.send(struct.pack('IHHII', 16 + len(body), 16, 0x605, 1, 0) + body)
code = -struct.unpack('i', s.recv(4096)[16:20])[0]
print(errno.errorcode.get(code, code))`
