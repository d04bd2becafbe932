/** Refusals that explain themselves: at once, told once, bounded; and `explain` says what happens. */
import { describe, expect } from 'vitest'
import {
  AT_ONCE_SECONDS,
  attempt,
  cannotNetwork,
  inside,
  PRIVATE,
  PUBLIC,
  refusals,
  test,
  timed,
  until,
} from './fixture.ts'

const { example, other, evil, google, cloudflare } = PUBLIC

describe.skipIf(cannotNetwork)('a refusal', () => {
  test('comes at once and reads as one', async ({ world, server }) => {
    await using box = await inside(world, server, { allow: ['example.com'] })
    const said = await timed(box, {
      address: `curl('http://${evil.v4}:9000/')`,
      address6: `curl('-g', 'http://[${evil.v6}]:9000/')`,
      name: "curl('https://other.test/')",
      http: `curl('http://${evil.v4}/')`,
    })
    for (const [name, { seconds }] of Object.entries(said))
      expect.soft(seconds, name).toBeLessThan(AT_ONCE_SECONDS)
    expect(said.address.said).toMatch(/^curl 7 .*refused|^curl 7 /i)
    expect(said.address6.said).toMatch(/^curl 7 /)
    expect(said.name.said).toMatch(/^curl 6 .*resolve/)
    expect(said.http.said).toMatch(/refused.*45\.33\.32\.156|45\.33\.32\.156.*refused/s)
  })

  test('is told with the rule, the name or address, the port, and what would change it', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, { allow: ['example.com'], deny: ['45.33.0.0/16'] })
    await attempt(box, {
      address: `tcp('${evil.v4}', 9000)`,
      default: `udp('${google.v6}', 9000)`,
      private: `tcp('${PRIVATE.metadata}', 80)`,
      name: "resolve('other.test')",
      host: `talk('${example.v4}', 80, b'GET / HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n')`,
    })
    const log = await until(
      () => refusals(box),
      (entries) => entries.length >= 5,
    )
    const one = (match: object) => expect.objectContaining({ verdict: 'refused', ...match })
    expect(log).toContainEqual(
      one({
        protocol: 'tcp',
        address: evil.v4,
        port: 9000,
        rule: 'deny 45.33.0.0/16',
        message: expect.stringContaining(evil.v4),
      }),
    )
    expect(log).toContainEqual(one({ protocol: 'udp', address: google.v6, port: 9000, rule: 'default deny' }))
    expect(log).toContainEqual(
      one({ protocol: 'tcp', address: PRIVATE.metadata, rule: expect.stringMatching(/metadata|link-local/) }),
    )
    expect(log).toContainEqual(
      one({ protocol: 'dns', name: 'other.test', message: expect.stringContaining('allow') }),
    )
    expect(log).toContainEqual(one({ protocol: 'http', name: 'evil.test' }))
  })

  test('repeated a thousand times is a handful of entries whose counts add up', async ({ world, server }) => {
    await using box = await inside(world, server, { allow: ['example.com'] })
    const code = `import socket
for _ in range(1000):
  try: socket.getaddrinfo('other.test', 443, socket.AF_INET)
  except OSError: pass
  try: socket.create_connection(('${evil.v4}', 9000), 3)
  except OSError: pass`
    await box.exec(['python3', '-c', code])
    await box.client.call('deleteSandbox', { id: box.id })
    const log = await until(
      () => refusals(box),
      (entries) => entries.some(({ count }) => count > 1),
    )
    expect(log.length).toBeLessThan(10)
    const sum = (protocol: string) =>
      log.filter((entry) => entry.protocol === protocol).reduce((total, { count }) => total + count, 0)
    // Queries beyond the rate are counted by their own rule; packets beyond the rate are dropped untold.
    expect(sum('dns')).toBeGreaterThanOrEqual(200)
    expect(sum('dns')).toBeLessThanOrEqual(3000)
    expect(sum('tcp')).toBeGreaterThanOrEqual(1)
    expect(sum('tcp')).toBeLessThanOrEqual(1000)
  })

  test('of thousands of kinds does not fill the log, nor harm the neighbour', async ({ world, server }) => {
    await using box = await inside(world, server, { allow: [] })
    await using neighbour = await inside(world, server, { allow: [example.v4] })
    const code = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(20000):
  try: s.sendto(b'x', ('45.33.%d.%d' % (n >> 8 & 255, n & 255), 1024 + n % 60000))
  except OSError: pass`
    const flood = await box.start(['python3', '-c', code])
    expect(await attempt(neighbour, { works: `tcp('${example.v4}', 22, b'x')` })).toEqual({ works: 'ok' })
    await flood.wait()
    const { total } = await box.client.call('readNetworkLog', { id: box.id, limit: 1 })
    expect(total).toBeGreaterThan(0)
    expect(total).toBeLessThanOrEqual(200)
    expect(await refusals(neighbour)).toEqual([])
  })
})

describe.skipIf(cannotNetwork)('explain', () => {
  test('says what happens, for every kind of destination', async ({ world, server }) => {
    await using box = await inside(world, server, {
      allow: [
        'example.com',
        '*.example.com',
        'google.test:9000',
        '151.101.0.0/16',
        cloudflare.v4,
        cloudflare.v6,
        'mixed.evil.test',
        'private.evil.test',
      ],
      deny: ['api.example.com', '151.101.1.6', '*.b.example.com'],
    })
    const tcp = (address: string, port: number) => `tcp('${address}', ${port})`
    const http = (name: string) => `reached('http://${name}/')`
    const https = (name: string) => `reached('https://${name}/')`
    const reality: Record<string, string> = {
      'example.com': https('example.com'),
      'example.com:443': https('example.com'),
      'example.com:80': http('example.com'),
      'EXAMPLE.com.:443': https('example.com'),
      'www.example.com:443': https('www.example.com'),
      'api.example.com:443': https('api.example.com'),
      'a.b.example.com:443': https('a.b.example.com'),
      'any.example.com:443': https('any.example.com'),
      'example.com:22': "tcp(resolve('example.com', socket.AF_INET), 22)",
      'google.test:9000': "tcp(resolve('google.test', socket.AF_INET), 9000)",
      'google.test:443': https('google.test'),
      'google.test:22': "tcp(resolve('google.test', socket.AF_INET), 22)",
      'other.test:443': https('other.test'),
      'evil.test': http('evil.test'),
      'mixed.evil.test:80': http('mixed.evil.test'),
      'private.evil.test:80': http('private.evil.test'),
      'metadata.google.internal': http('metadata.google.internal'),
      'localhost.localdomain': http('localhost.localdomain'),
      [`${cloudflare.v4}:22`]: tcp(cloudflare.v4, 22),
      [`${cloudflare.v4}:443`]: https(cloudflare.v4),
      [`[${cloudflare.v6}]:22`]: tcp(cloudflare.v6, 22),
      [`${other.v4}:80`]: tcp(other.v4, 22),
      [`${evil.v4}:22`]: tcp(evil.v4, 22),
      [`${evil.v4}`]: tcp(evil.v4, 9000),
      [`[${evil.v6}]:22`]: tcp(evil.v6, 22),
      [`${PRIVATE.lan}:80`]: tcp(PRIVATE.lan, 80),
      [`${PRIVATE.metadata}:80`]: tcp(PRIVATE.metadata, 80),
      [`${PRIVATE.azure}:80`]: tcp(PRIVATE.azure, 80),
      '[fd00:ec2::254]:80': tcp('fd00:ec2::254', 80),
      '93.115.0.2:22': tcp('93.115.0.2', 22),
    }
    const happened = await attempt(box, reality)
    for (const [destination, said] of Object.entries(happened)) {
      const told = await box.client.call('explainNetwork', { id: box.id, destination })
      expect
        .soft(`${told.verdict} by ${told.rule}`, `${destination}, where ${said}`)
        .toMatch(said === 'ok' ? /^allowed/ : /^refused/)
      expect.soft(told.message, destination).toMatch(/.{20,}/)
    }
  })
})

describe.skipIf(cannotNetwork)('learning', () => {
  test('records a run; a run with exactly that list passes, and without any one entry fails', async ({
    world,
    server,
  }) => {
    const run = {
      named: "reached('https://www.example.com/')",
      plain: "reached('http://example.com/')",
      port: "tcp(resolve('google.test', socket.AF_INET), 9000, b'x')",
      address: `tcp('${cloudflare.v4}', 22, b'x')`,
    }
    await using teacher = await inside(world, server, { learn: true })
    expect(Object.values(await attempt(teacher, run))).toEqual(Array(4).fill('ok'))
    const look = async () => (await teacher.client.call('getNetwork', { id: teacher.id })).learned
    const learned = await until(look, (list) => list.length >= 4)
    expect(learned).toEqual(['1.1.1.1', 'example.com', 'google.test:9000', 'www.example.com'])
    await using exact = await inside(world, server, { allow: learned })
    expect(Object.values(await attempt(exact, run))).toEqual(Array(4).fill('ok'))
    for (const missing of learned) {
      await using less = await inside(world, server, { allow: learned.filter((entry) => entry !== missing) })
      expect
        .soft(Object.values(await attempt(less, run)).filter((said) => said !== 'ok').length, missing)
        .toBe(1)
    }
  })

  test('opens nothing that is not public', async ({ world, server }) => {
    await using box = await inside(world, server, { learn: true })
    await world.forget()
    const said = await attempt(box, {
      lan: `tcp('${PRIVATE.lan}', 22)`,
      http: `curl('http://${PRIVATE.metadata}/')`,
      name: "curl('http://meta.evil.test/')",
    })
    expect(said.lan).not.toBe('ok')
    expect(await world.seenPrivate()).toEqual([])
  })
})
