import { run, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { TestServer, test } from '../fixture.ts'
import { cannotNetwork, PUBLIC, World } from '../network/world.ts'

describe('without a network', () => {
  test('nothing is reached, and it is said how that changes', async ({ server }) => {
    await using sandbox = await Sandbox.create({ client: server.client() })
    expect(sandbox.info.network).toMatchObject({ mode: 'none', allow: [], deny: [], learn: false })
    expect(await sandbox.network.get()).toMatchObject({
      network: { mode: 'none' },
      ...{ addresses: [], uploadedBytes: 0, downloadedBytes: 0, learned: [] },
    })
    for (const destination of ['example.com', 'example.com:22', '1.1.1.1:443', '[2606:4700:4700::1111]:443'])
      expect(await sandbox.network.explain(destination)).toMatchObject({
        ...{ destination, verdict: 'refused', rule: 'no network' },
        message: expect.stringContaining('network'),
      })
    expect(await sandbox.network.log()).toEqual([])
    expect(await sandbox.network.destinations()).toEqual([])
    expect(await sandbox.network.learned()).toEqual([])
    expect((await sandbox.network.set(false)).network.mode).toBe('none')
  })

  test('what is no destination is no question', async ({ server }) => {
    await using sandbox = await Sandbox.create({ client: server.client() })
    for (const destination of ['https://example.com/', 'example.com:0', 'a b', '1.2.3.4.5', '[::1'])
      await expect(sandbox.network.explain(destination)).rejects.toMatchObject({ code: 'invalid_request' })
    await sandbox.delete()
    await expect(sandbox.network.explain('example.com')).rejects.toMatchObject({ code: 'sandbox_ended' })
    await expect(sandbox.network.set(false)).rejects.toMatchObject({ code: 'sandbox_ended' })
    expect(await sandbox.network.log()).toEqual([])
  })
})

describe('rules that cannot be are refused before anything starts', () => {
  const entries = [
    'https://example.com',
    'example.com/path',
    '*',
    'foo*.example.com',
    '0x7f.1',
    '2130706433',
    '1.2.3.4/16',
    '1.2.3.4:443',
    'a b.example',
    'evil.example\0.example.com',
    'localhost',
    '10.0.0.0/8',
    '169.254.169.254',
  ]
  test.for(entries)('%j', async (entry, { server }) => {
    const client = server.client()
    const { total: before } = await client.call('listSandboxes', { all: true })
    const network = { allow: ['example.com', entry] }
    await expect(Sandbox.create({ client, network })).rejects.toMatchObject({
      code: 'invalid_request',
      details: { issues: [{ path: 'network.allow[1]' }] },
    })
    expect((await client.call('listSandboxes', { all: true })).total).toBe(before)
  })

  test('an entry in both lists', async ({ server }) => {
    const network = { allow: ['Example.com.'], deny: ['example.com'] }
    await expect(Sandbox.create({ client: server.client(), network })).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('example.com'),
    })
  })
})

test('a driver without networks says so', async () => {
  await using server = await TestServer.start({ driver: 'memory' })
  const client = server.client()
  await expect(Sandbox.create({ client, network: true })).rejects.toMatchObject({ code: 'not_supported' })
})

describe.skipIf(cannotNetwork !== null)('with a network', () => {
  let world: World
  let server: TestServer
  beforeAll(async () => {
    world = await World.create()
    server = await world.server()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  const get = (url: string) => `
import urllib.request
print(urllib.request.urlopen(${JSON.stringify(url)}, timeout=60).read().decode())`
  const connect = (address: string, port: number) => `
import socket
socket.create_connection((${JSON.stringify(address)}, ${port}), 60)
print("connected")`

  test('what is allowed is reached, what is not is refused and told', async () => {
    const network = { allow: ['Example.COM.', PUBLIC.google.v4] }
    await using sandbox = await Sandbox.create({ client: server.client(), network })
    expect(sandbox.info.network).toMatchObject({
      ...{ mode: 'rules', default: 'deny', allow: [PUBLIC.google.v4, 'example.com'], deny: [] },
    })
    const reached = await sandbox.python(get('http://example.com/hello'))
    expect(JSON.parse(reached.stdout)).toMatchObject({ host: 'example.com', url: '/hello' })
    expect((await sandbox.python(connect(PUBLIC.google.v4, 9000))).stdout).toBe('connected\n')
    expect((await sandbox.python(get('http://other.test/'))).stderr).toContain('Name or service not known')
    expect((await sandbox.python(connect(PUBLIC.other.v4, 9000))).stderr).toMatch(/ConnectionRefusedError/)

    await expect
      .poll(async () => (await sandbox.network.log()).map(({ name, address }) => name ?? address).sort())
      .toEqual([PUBLIC.other.v4, 'other.test'].sort())
    const [newest] = await sandbox.network.log({ reverse: true, limit: 1 })
    expect(newest).toMatchObject({ verdict: 'refused', rule: 'default deny', message: /allow/ })
    expect(await sandbox.network.explain('example.com:443')).toMatchObject({
      ...{ verdict: 'allowed', rule: 'allow example.com' },
      addresses: expect.arrayContaining([
        { address: PUBLIC.example.v4, verdict: 'allowed', rule: 'allow example.com' },
      ]),
    })
    expect(await sandbox.network.explain('10.0.0.1:22')).toMatchObject({
      ...{ verdict: 'refused', rule: 'private address' },
    })
    await expect
      .poll(async () => (await sandbox.network.destinations()).map(({ name, port }) => [name, port]))
      .toEqual(expect.arrayContaining([['example.com', 80]]))
    const state = await sandbox.network.get()
    expect(state.addresses).not.toEqual([])
    expect(state.uploadedBytes).toBeGreaterThan(0)
    expect(state.downloadedBytes).toBeGreaterThan(0)
  })

  test('rules are replaced while it runs', async () => {
    await using sandbox = await Sandbox.create({ client: server.client() })
    const program = connect(PUBLIC.example.v4, 9000)
    expect((await sandbox.python(program)).stderr).toContain('Network is unreachable')
    expect((await sandbox.network.set(true)).network.mode).toBe('public')
    expect((await sandbox.python(program)).stdout).toBe('connected\n')
    await sandbox.network.set({ deny: [PUBLIC.example.v4], connections: 7, upload: '1Mi' })
    expect((await sandbox.refresh()).info.network).toMatchObject({
      ...{ mode: 'rules', default: 'allow', deny: [PUBLIC.example.v4], connections: 7 },
      uploadBytesPerSecond: 1_048_576,
    })
    expect((await sandbox.python(program)).stderr).toContain('ConnectionRefusedError')
    expect((await sandbox.network.set(false)).addresses).toEqual([])
    expect((await sandbox.python(program)).stderr).toContain('Network is unreachable')
    const changes = await sandbox.events({ type: 'network' })
    expect(changes.map(({ payload }) => payload)).toHaveLength(3)
  })

  test('what was used is learned', async () => {
    await using sandbox = await Sandbox.create({ client: server.client(), network: { learn: true } })
    await sandbox.python(get('http://www.example.com/'))
    await sandbox.python(connect('other.test', 22))
    await expect.poll(() => sandbox.network.learned()).toEqual(['other.test:22', 'www.example.com'])
    await sandbox.network.set({ allow: await sandbox.network.learned() })
    expect((await sandbox.python(get('http://www.example.com/'))).exitCode).toBe(0)
    expect((await sandbox.python(connect('other.test', 22))).stdout).toBe('connected\n')
    expect((await sandbox.python(get('http://api.example.com/'))).exitCode).toBe(1)
  })

  test('a single command has one as well', async () => {
    const client = server.client()
    const program = ['python3', '-c', get('http://example.com/once')]
    const { stdout } = await run(program, { client, sandbox: { network: { allow: ['example.com'] } } })
    expect(JSON.parse(stdout)).toMatchObject({ url: '/once' })
    expect((await run(program, { client, sandbox: { network: { allow: [] } } })).exitCode).toBe(1)
  })
})
