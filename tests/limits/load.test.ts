import { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { agentPid, cannotRun, cgroupFile, descriptors, launcherPid, until } from '../crash/host.ts'
import { test } from '../fixture.ts'

/** `CAISSON_TEST_LOAD=10000` for a longer run. */
const SEQUENTIAL = Number(process.env.CAISSON_TEST_LOAD ?? 1000)
const CONCURRENT = 200
const MiB = 2 ** 20

describe.skipIf(cannotRun !== null)('load', () => {
  test(`of ${SEQUENTIAL} commands in turn leaks nothing`, { timeout: 600_000 }, async ({ server }) => {
    await using box = await Sandbox.create({ client: server.client() })
    const agent = agentPid(server, box.id)
    await box.exec(['true'])
    const before = descriptors(agent)
    const serverBefore = descriptors(server.pid!)
    for (let n = 0; n < SEQUENTIAL; n++) {
      const result = await box.exec(['echo', String(n)])
      expect(result.exitCode === 0 && result.stdout === `${n}\n`).toBe(true)
    }
    await until('the agent holds nothing', () => descriptors(agent) <= before)
    await until('the server holds nothing', () => descriptors(server.pid!) <= serverBefore + 2)
    expect((await box.refresh()).info).toMatchObject({ status: 'idle', executionCount: SEQUENTIAL + 1 })
    expect((await box.sh('ps -e --no-headers | wc -l')).stdout.trim()).toBe('4')
  })

  test(`of ${CONCURRENT} commands at once answers every one rightly`, async ({ server }) => {
    await using box = await Sandbox.create({ client: server.client() })
    const agent = agentPid(server, box.id)
    const before = descriptors(agent)
    const results = await Promise.all(
      Array.from({ length: CONCURRENT }, (_, n) => box.sh(`echo out ${n}; echo err ${n} >&2; exit ${n}`)),
    )
    for (const [n, result] of results.entries())
      expect(result).toMatchObject({ exitCode: n, stdout: `out ${n}\n`, stderr: `err ${n}\n` })
    await until('the agent holds nothing', () => descriptors(agent) <= before)
    expect((await box.refresh()).info.status).toBe('idle')
  })

  test('of more commands than allowed is refused, and the others go on', async ({ server }) => {
    await using box = await Sandbox.create({ client: server.client(), resources: { pids: 4096 } })
    const started = await Promise.allSettled(Array.from({ length: 560 }, () => box.start(['sleep', '1000'])))
    const refused = started.filter((one) => one.status === 'rejected')
    expect(refused.length).toBe(560 - 512)
    for (const one of refused) expect(one.reason.code).toBe('too_many')
    expect((await box.refresh()).info.status).toBe('running')
  })

  test('of creating and deleting leaves no descriptor in server or launcher', async ({ server }) => {
    const client = server.client()
    const round = async () => {
      const boxes = await Promise.all(Array.from({ length: 10 }, () => Sandbox.create({ client })))
      await Promise.all(boxes.map((box) => box.delete()))
    }
    await round()
    const before = [descriptors(server.pid!), descriptors(launcherPid(server))]
    for (let n = 0; n < 3; n++) await round()
    await until('the server holds nothing', () => descriptors(server.pid!) <= before[0]! + 2)
    await until('the launcher holds nothing', () => descriptors(launcherPid(server)) <= before[1]!)
  })

  test('of 1 GiB of output beyond its limit ends rightly, in bounded memory', async ({ server }) => {
    await using box = await Sandbox.create({ client: server.client() })
    await box.exec(['true'])
    const options = { outputLimit: MiB }
    const execution = await box.start(['head', '-c', String(1024 * MiB), '/dev/zero'], options)
    const result = await execution.wait()
    expect(result).toMatchObject({ ending: 'exited', exitCode: 0, outputTruncated: true })
    expect(result.stdoutBytes.length).toBeLessThanOrEqual(MiB)
    expect(result.stdoutBytes.length).toBeGreaterThan(MiB - 1024)
    expect(result.execution.outputBytes).toBe(1024 * MiB)
    const used = Number(cgroupFile(server, box.id, 'memory.max_usage_in_bytes', 'memory.peak'))
    expect(used).toBeLessThan(64 * MiB)
  })

  test('of output beyond its limit is told also when the server dies meanwhile', async ({ server }) => {
    await using box = await Sandbox.create({ client: server.client() })
    const script = 'head -c 3000000 /dev/zero; cat; exit 6'
    const started = await box.client.call('startExecution', {
      id: box.id,
      argv: ['sh', '-c', script],
      stdin: true,
      outputLimit: 1000,
    })
    const execution = await box.attach(started.id)
    await until('it has written all', async () => (await execution.refresh()).outputBytes === 3_000_000)
    await server.kill9()
    await server.up()
    await execution.stdin.end()
    const result = await execution.wait()
    expect(result).toMatchObject({ exitCode: 6, outputTruncated: true })
    expect(result.execution).toMatchObject({ outputBytes: 3_000_000, outputTruncated: true })
  })

  test('of binary output, with no line in it, is the same byte for byte', async ({ server }) => {
    await using box = await Sandbox.create({ client: server.client() })
    const script = 'import os; [os.write(1 + i % 2, bytes(range(256)) * 64) for i in range(200)]'
    const { stdoutBytes, stderrBytes } = await box.python(script)
    const expected = Buffer.alloc(
      100 * 64 * 256,
      Uint8Array.from({ length: 256 }, (_, byte) => byte),
    )
    expect(expected.equals(stdoutBytes)).toBe(true)
    expect(expected.equals(stderrBytes)).toBe(true)
    const { stdoutBytes: one } = await box.exec(['printf', 'x'])
    expect([...one]).toEqual([120])
  })
})
