/** SECURITY D 31: a change of rules judges every open connection at its next packet, whichever way it takes. */
import type { Execution, Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { attempt, cannotNetwork, inside, PUBLIC, setNetwork, test, until } from './fixture.ts'

const { example, evil } = PUBLIC

/** Prints a line whenever something came; "cut" when the connection ended, and how. */
const LISTEN = `import errno, socket, ssl, sys
kind, address, port, name = sys.argv[1:5]
s = socket.create_connection((address, int(port)), 10)
if kind == 'tls':
  context = ssl.create_default_context(cafile='/tmp/ca.pem')
  s = context.wrap_socket(s, server_hostname=name)
if kind != 'tcp':
  s.sendall(('GET /drip HTTP/1.1\\r\\nHost: %s\\r\\n\\r\\n' % name).encode())
s.settimeout(8)
try:
  while data := s.recv(4096): print('got', flush=True)
  print('cut: end', flush=True)
except TimeoutError: print('cut: silence', flush=True)
except OSError as e: print('cut:', errno.errorcode.get(e.errno, e), flush=True)`

/** The same by UDP: one socket that asks again and again. */
const DATAGRAMS = `import errno, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9000)); s.settimeout(4)
try:
  while True: s.send(b'x'); s.recv(10); print('got', flush=True); time.sleep(0.02)
except TimeoutError: print('cut: silence', flush=True)
except OSError as e: print('cut:', errno.errorcode.get(e.errno, e), flush=True)`

const listen = (box: Sandbox, ...args: string[]) => box.start(['python3', '-u', '-c', LISTEN, ...args])

/** Lines of an execution as they come. */
class Lines {
  readonly #text: AsyncIterator<string>
  seen = ''

  constructor(execution: Execution) {
    this.#text = text(execution)[Symbol.asyncIterator]()
  }

  /** Reads until this was said after now; false when the execution ended first. */
  async next(wanted: string): Promise<boolean> {
    for (let fresh = ''; ; ) {
      const { done, value } = await this.#text.next()
      if (done) return false
      fresh += value
      this.seen += value
      if (fresh.includes(wanted)) return true
    }
  }
}

async function* text(execution: Execution): AsyncIterable<string> {
  for await (const { data } of execution) yield Buffer.from(data).toString()
}

describe.skipIf(cannotNetwork)('a change of rules', () => {
  test('cuts forwarded connections that are not allowed any more, and leaves the others', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, { allow: [example.v4, evil.v4] })
    const stays = new Lines(await listen(box, 'tcp', example.v4, '9001', '-'))
    const goes = new Lines(await listen(box, 'tcp', evil.v4, '9001', '-'))
    expect(await stays.next('got')).toBe(true)
    expect(await goes.next('got')).toBe(true)
    await setNetwork(box, { allow: [example.v4] })
    expect(await goes.next('cut')).toBe(true)
    for (let i = 0; i < 3; i++) expect(await stays.next('got')).toBe(true)
    expect(stays.seen).not.toContain('cut')
    await setNetwork(box, { deny: ['93.184.216.0/24'] })
    expect(await stays.next('cut')).toBe(true)
  })

  test('cuts a conversation by datagrams as well', async ({ world, server }) => {
    await using box = await inside(world, server, { allow: [evil.v4] })
    const talk = new Lines(await box.start(['python3', '-u', '-c', DATAGRAMS, evil.v4]))
    expect(await talk.next('got')).toBe(true)
    await setNetwork(box, { allow: [example.v4] })
    expect(await talk.next('cut')).toBe(true)
    expect(talk.seen).not.toContain('silence')
  })

  test('cuts connections through the server that are not allowed any more, and leaves the others', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, { allow: ['example.com', 'evil.test'] })
    const stays = new Lines(await listen(box, 'tls', example.v4, '443', 'example.com'))
    const goes = new Lines(await listen(box, 'tls', evil.v4, '443', 'evil.test'))
    const plain = new Lines(await listen(box, 'http', evil.v4, '80', 'evil.test'))
    for (const lines of [stays, goes, plain]) expect(await lines.next('got')).toBe(true)
    await setNetwork(box, { allow: ['example.com', 'other.test'] })
    expect(await goes.next('cut')).toBe(true)
    expect(await plain.next('cut')).toBe(true)
    for (let i = 0; i < 3; i++) expect(await stays.next('got')).toBe(true)
    expect(stays.seen).not.toContain('cut')
  })

  test('cuts a connection by address when names decide from now on', async ({ world, server }) => {
    await using box = await inside(world, server, true)
    const goes = new Lines(await listen(box, 'http', evil.v4, '80', 'example.com'))
    expect(await goes.next('got')).toBe(true)
    await setNetwork(box, { allow: ['example.com'] })
    expect(await goes.next('cut')).toBe(true)
  })

  test('to no network takes it away, and back again gives it', async ({ world, server }) => {
    await using box = await inside(world, server, true)
    const goes = new Lines(await listen(box, 'tcp', example.v4, '9001', '-'))
    expect(await goes.next('got')).toBe(true)
    const off = await setNetwork(box, false)
    expect(off).toMatchObject({ network: { mode: 'none' }, addresses: [] })
    expect(await goes.next('cut')).toBe(true)
    expect((await attempt(box, { tcp: `tcp('${example.v4}', 80)` })).tcp).toMatch(/ENETUNREACH|EHOSTUNREACH/)
    expect((await attempt(box, { name: "resolve('example.com')" })).name).toBe('no address')
    const on = await setNetwork(box, true)
    expect(on.network.mode).toBe('public')
    expect(on.addresses.length).toBeGreaterThan(0)
    expect(
      await attempt(box, { tcp: `tcp('${example.v4}', 80)`, https: "reached('https://example.com/')" }),
    ).toEqual({
      tcp: 'ok',
      https: 'ok',
    })
  })

  test('gives a network to a sandbox that was made without one', async ({ world, server }) => {
    await using box = await inside(world, server, false)
    await setNetwork(box, { allow: ['example.com'] })
    expect(await attempt(box, { https: "reached('https://example.com/')" })).toEqual({ https: 'ok' })
    expect((await box.client.call('getSandbox', { id: box.id })).network).toMatchObject({
      mode: 'rules',
      allow: ['example.com'],
    })
  })

  test('by many at once leaves the rules of one of them, and they hold', async ({ world, server }) => {
    await using box = await inside(world, server, false)
    const hosts = [example.v4, evil.v4]
    await Promise.all(Array.from({ length: 20 }, (_, n) => setNetwork(box, { allow: [hosts[n % 2]!] })))
    const { network } = await box.client.call('getNetwork', { id: box.id })
    const said = await attempt(box, { example: `tcp('${example.v4}', 22)`, evil: `tcp('${evil.v4}', 22)` })
    const open = network.allow[0] === example.v4 ? 'example' : 'evil'
    expect(said[open]).toBe('ok')
    expect(said[open === 'evil' ? 'example' : 'evil']).not.toBe('ok')
  })

  test('is an event, and refused for a sandbox that has ended', async ({ world, server }) => {
    const box = await inside(world, server, true)
    await setNetwork(box, { allow: ['example.com'] })
    const look = () => box.client.call('listEvents', { id: box.id, limit: 100 })
    const { events } = await until(look, ({ events }) => events.some(({ type }) => type === 'network'))
    expect(events.find(({ type }) => type === 'network')?.payload).toMatchObject({
      network: { allow: ['example.com'] },
    })
    await box.client.call('deleteSandbox', { id: box.id })
    await expect(setNetwork(box, true)).rejects.toMatchObject({
      code: expect.stringMatching(/sandbox_(ended|not_found)/),
    })
  })
})
