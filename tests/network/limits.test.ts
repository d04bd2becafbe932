/** Bandwidth and connections of one sandbox, and what is counted of them. */
import { describe, expect } from 'vitest'
import {
  attempt,
  cannotNetwork,
  inside,
  PUBLIC,
  refusals,
  setNetwork,
  test,
  timed,
  until,
} from './fixture.ts'

const { example } = PUBLIC
const MIB = 1024 ** 2
const DOWNLOAD = `curl('-o', '/dev/null', '-m', '60', '-w', '%{size_download}', 'http://${example.v4}/bytes/${3 * MIB}')`
const UPLOAD = `curl('-o', '/dev/null', '-m', '60', '-w', '%{size_upload}', '-T', '/tmp/big', 'http://${example.v4}/up')`

describe.skipIf(cannotNetwork)('limits', () => {
  test('hold what is sent and what is received back, each by its own', async ({ world, server }) => {
    await using box = await inside(world, server, { upload: '1Mi', download: '1Mi' })
    await box.sh(`head -c ${3 * MIB} /dev/zero >/tmp/big`)
    for (const expression of [DOWNLOAD, UPLOAD]) {
      const { it } = await timed(box, { it: expression })
      expect(it.said).toBe(String(3 * MIB))
      // What a bucket holds goes at once; the rest can not be faster than the limit.
      expect(it.seconds).toBeGreaterThan(1.5)
    }
  })

  test('hold traffic through the server back as well', async ({ world, server }) => {
    await using box = await inside(world, server, { allow: ['example.com'], download: '1Mi' })
    const byName = `curl('-o', '/dev/null', '-m', '60', '-w', '%{size_download}', 'https://example.com/bytes/${3 * MIB}')`
    const { it } = await timed(box, { it: byName })
    expect(it.said).toBe(String(3 * MIB))
    expect(it.seconds).toBeGreaterThan(1.5)
  })

  test('can be lifted and set while it runs', async ({ world, server }) => {
    await using box = await inside(world, server, { download: '64Ki' })
    const { network } = await setNetwork(box, { download: '100Mi' })
    expect(network).toMatchObject({ downloadBytesPerSecond: 100 * MIB, uploadBytesPerSecond: null })
    expect(await attempt(box, { it: DOWNLOAD })).toEqual({ it: String(3 * MIB) })
  })

  test('of connections refuse the next one by a rule of their own, until one ends', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, { connections: 10 })
    const held = await box.exec(['python3', '-c', HOLD, example.v4])
    const { opened, refused, after } = JSON.parse(held.stdout)
    expect(opened).toBe(10)
    expect(refused).toBe('ECONNREFUSED')
    expect(after).toBe('ok')
    const log = await until(
      () => refusals(box),
      (entries) => entries.length > 0,
    )
    expect(log.map(({ rule }) => rule).join()).toMatch(/connection/)
  })

  test('of the server hold who asks for no number', async ({ world }) => {
    await using server = await world.server({ connections: 5 })
    await using box = await inside(world, server, true)
    expect(JSON.parse((await box.exec(['python3', '-c', HOLD, example.v4])).stdout)).toMatchObject({
      opened: 5,
    })
  })

  test('what was sent and received is counted, by sandbox and by destination', async ({ world, server }) => {
    await using box = await inside(world, server, { allow: ['example.com', PUBLIC.other.v4] })
    await box.sh(`head -c ${MIB} /dev/zero >/tmp/big`)
    await attempt(box, {
      up: "curl('-o', '/dev/null', '-T', '/tmp/big', 'https://example.com/up')",
      direct: `tcp('${PUBLIC.other.v4}', 9000, b'hello')`,
    })
    const state = await box.client.call('getNetwork', { id: box.id })
    expect(state.uploadedBytes).toBeGreaterThan(MIB)
    expect(state.downloadedBytes).toBeGreaterThan(0)
    const look = async () =>
      (await box.client.call('listDestinations', { id: box.id, limit: 100 })).destinations
    const both = await until(
      look,
      (list) => list.length >= 2 && list.some((one) => (one.uploadedBytes ?? 0) > MIB),
    )
    expect(both).toContainEqual(
      expect.objectContaining({ name: 'example.com', port: 443, protocol: 'tcp', connections: 1 }),
    )
    expect(both.find(({ name }) => name === 'example.com')?.uploadedBytes).toBeGreaterThan(MIB)
    expect(both).toContainEqual(
      expect.objectContaining({ address: PUBLIC.other.v4, port: 9000, protocol: 'tcp' }),
    )
    await box.client.call('deleteSandbox', { id: box.id })
    expect((await server.client().call('getStats', {})).totalNetworkEgressBytes).toBeGreaterThan(MIB)
  })
})

/** Opens connections until one is refused, then closes one and tries again. */
const HOLD = `import errno, json, socket, sys, time
held, refused, after = [], None, None
while len(held) < 100 and not refused:
  try:
    s = socket.create_connection((sys.argv[1], 9000), 4)
    s.sendall(b'x'); s.recv(1); held.append(s)
  except TimeoutError: refused = 'timeout'
  except OSError as e: refused = errno.errorcode[e.errno]
opened = len(held)
held.pop().close()
for _ in range(200):
  time.sleep(0.1)
  try:
    socket.create_connection((sys.argv[1], 9000), 4); after = 'ok'; break
  except OSError as e: after = errno.errorcode.get(e.errno, str(e))
print(json.dumps({'opened': opened, 'refused': refused, 'after': after}))`
