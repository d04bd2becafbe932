import { type Client, Sandbox } from 'caisson'
import { beforeEach, describe, expect } from 'vitest'
import { DRIVER, type TestServer, test } from '../fixture.ts'
import { until } from './raw.ts'

let client: Client
beforeEach<{ server: TestServer }>(({ server }) => {
  client = server.client()
})

const typesOf = async (id: string) =>
  (await client.call('listEvents', { id, limit: 100 })).events.map(({ type }) => type)

describe('environment', () => {
  test('later commands see a change, running ones do not, nor does a restart lose it', async ({ server }) => {
    await using box = await Sandbox.create({ client, env: { STAGE: 'one', GONE: 'x' } })
    const before = await box.start(['sh', '-c', 'read line; echo $STAGE'], { stdin: true })
    const change = { STAGE: 'two', GONE: null, NEW: 'a b\nc', ÄÖ: null } as Record<string, string | null>
    await expect(client.call('updateEnvironment', { id: box.id, env: change })).rejects.toMatchObject({
      code: 'invalid_request',
    })
    delete change.ÄÖ
    const expected = { env: { STAGE: 'two', NEW: 'a b\nc' } }
    expect(await client.call('updateEnvironment', { id: box.id, env: change })).toMatchObject(expected)
    const after = 'echo "$STAGE|$(env | grep -c ^GONE)|$NEW"'
    expect((await box.sh(after)).stdout).toBe('two|0|a b\nc\n')
    await before.stdin.write('\n')
    expect((await before.wait()).stdout).toBe('one\n')
    await server.kill9()
    await server.up()
    expect(await client.call('getEnvironment', { id: box.id })).toMatchObject(expected)
    expect((await box.sh(after)).stdout).toBe('two|0|a b\nc\n')
  })

  test('names of the server are refused, and so is more than a start can carry', async () => {
    await using box = await Sandbox.create({ client })
    const before = await client.call('getEnvironment', { id: box.id })
    for (const env of [
      { CAISSON_SANDBOX: 'x' },
      { CAISSON_SANDBOX: null },
      { '': 'x' },
      { A: 'x'.repeat(100_000), B: 'x'.repeat(100_000) },
    ]) {
      await expect(client.call('updateEnvironment', { id: box.id, env })).rejects.toMatchObject({
        code: 'invalid_request',
      })
    }
    expect(await client.call('getEnvironment', { id: box.id })).toEqual(before)
    const most = { A: 'x'.repeat(130_000), B: 'x'.repeat(60_000) }
    await client.call('updateEnvironment', { id: box.id, env: most })
    expect((await box.sh('printf %s "$A" | wc -c; printf %s "$B" | wc -c')).stdout).toBe('130000\n60000\n')
  })
})

describe('events', () => {
  test('tell a life through the death of the server', async ({ server }) => {
    const box = (await Sandbox.create({ client, env: { TOKEN: 'canary' } })).keep()
    await box.sh('true')
    await client.call('updateSandbox', { id: box.id, description: 'new' })
    const job = await client.call('createJob', { id: box.id, argv: ['sleep', '1000'] })
    await server.kill9()
    await server.up()
    await client.call('stopJob', { id: box.id, job: job.id, force: true })
    await client.call('updateEnvironment', { id: box.id, env: { A: 'canary' } })
    await box.delete()
    expect(await typesOf(box.id)).toEqual([
      'create',
      'lifecycle:started',
      'update',
      'job:started',
      'job:ended',
      'env',
      'destroy',
      'lifecycle:completed',
    ])
    const { events, total } = await client.call('listEvents', { id: box.id, direction: 'desc', limit: 1 })
    expect([events[0]!.type, total]).toEqual(['lifecycle:completed', 8])
    expect(JSON.stringify(await client.call('listEvents', { id: box.id, limit: 100 }))).not.toContain(
      'canary',
    )
  })

  test('tell why a sandbox ended by itself', async () => {
    const box = (await Sandbox.create({ client, idleTimeout: 50 })).keep()
    await until('it has ended', async () => (await box.refresh()).info.endedAt !== null)
    const { events } = await client.call('listEvents', { id: box.id, type: 'lifecycle:terminated' })
    expect(events).toMatchObject([{ payload: { reason: 'idle-timeout' } }])
  })
})

describe.skipIf(DRIVER !== 'oci')('usage', () => {
  test('of a sandbox moves with what it does', async () => {
    await using box = await Sandbox.create({ client, resources: { memory: '256Mi', pids: 64 } })
    const before = await client.call('getUsage', { id: box.id })
    expect(before).toMatchObject({ memoryLimitBytes: 256 * 2 ** 20, pidsLimit: 64, oomKills: 0 })
    const burn = await box.start(['python3', '-c', 'b = bytearray(64 << 20)\nwhile True: pass'])
    await until('it is felt', async () => {
      const usage = await client.call('getUsage', { id: box.id })
      return usage.cpuUsec > before.cpuUsec + 100_000 && usage.memoryBytes > 64 * 2 ** 20
    })
    expect((await client.call('getUsage', { id: box.id })).pids).toBeGreaterThan(before.pids)
    await burn.kill()
    await until(
      'it is over',
      async () => (await client.call('getUsage', { id: box.id })).memoryBytes < 64 * 2 ** 20,
    )
  })

  test('between two dates adds up, survives the sandbox and the server, and is counted once', async ({
    server,
  }) => {
    const project = { projectId: 'metered' }
    const stats = () => client.call('getStats', project)
    expect(await stats()).toMatchObject({ totalActive: 0, totalExecutions: 0, totalCpuTimeMs: 0 })
    const box = (await Sandbox.create({ client, ...project })).keep()
    await box.exec(['python3', '-c', 'import time\nwhile time.process_time() < 0.3: pass'])
    const first = await stats()
    expect(first).toMatchObject({ totalActive: 1, idle: 1, running: 0, totalExecutions: 1 })
    expect(first.totalCpuTimeMs).toBeGreaterThan(250)
    expect(first.totalMemoryByteSec).toBeGreaterThan(0)
    const running = await box.start(['sleep', '1000'])
    expect(await stats()).toMatchObject({ idle: 0, running: 1, totalExecutions: 2 })
    await running.kill()
    await server.kill9()
    await server.up()
    const second = await stats()
    expect(second.totalExecutions).toBe(2)
    expect(second.totalCpuTimeMs).toBeLessThan(first.totalCpuTimeMs + 200)
    await box.delete()
    const last = await stats()
    expect(last).toMatchObject({ totalActive: 0, totalExecutions: 2 })
    expect(last.totalCpuTimeMs).toBeGreaterThanOrEqual(second.totalCpuTimeMs)
    const past = { start: '2020-01-01T00:00:00Z', end: '2020-02-01T00:00:00Z' }
    expect(await client.call('getStats', past)).toMatchObject({ totalExecutions: 0, totalMemoryByteSec: 0 })
    await expect(client.call('getStats', { start: past.end, end: past.start })).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })
})
