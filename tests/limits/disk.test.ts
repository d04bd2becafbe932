import { mkdirSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Sandbox } from 'caisson'
import { describe, expect, test } from 'vitest'
import { cannotRun, leftovers, until, untilNone } from '../crash/host.ts'
import { TestServer } from '../fixture.ts'
import { smallDisk } from './host.ts'

const MiB = 2 ** 20

/** A server whose data directory is a file system of its own; what is on it is gone with it. */
async function onSmallDisk(size: string): Promise<{ server: TestServer } & AsyncDisposable> {
  const undo = new AsyncDisposableStack()
  const server = await TestServer.start({ started: false })
  undo.defer(() => rm(server.dataDir, { recursive: true, force: true }))
  undo.use(await smallDisk(server.dataDir, size))
  undo.defer(() =>
    server[Symbol.asyncDispose]().catch((error) => {
      // The directory itself goes after the disk that lies on it.
      if (error.code !== 'EBUSY') throw error
    }),
  )
  await server.up()
  return { server, [Symbol.asyncDispose]: () => undo.disposeAsync() }
}

/** In steps: a write that does not fit may leave room for a smaller one. */
async function fill(path: string): Promise<void> {
  for (const size of [MiB, 4096, 1]) {
    const append = () => writeFile(path, Buffer.alloc(size), { flag: 'a' })
    while (
      await append().then(
        () => true,
        () => false,
      )
    );
  }
}

describe.skipIf(cannotRun !== null)('a full disk', () => {
  test('under the output stops no command, and is told', async () => {
    await using server = await TestServer.start({ started: false })
    const executions = join(server.dataDir, 'executions')
    mkdirSync(executions, { mode: 0o700 })
    await using _disk = await smallDisk(executions, '1m')
    await server.up()
    const client = server.client()
    await using box = await Sandbox.create({ client })
    const script = 'head -c 8000000 /dev/zero; echo done > /tmp/done; exit 3'
    const result = await box.sh(script)
    expect(result).toMatchObject({ ending: 'exited', exitCode: 3, outputTruncated: true })
    expect(result.execution.outputBytes).toBe(8_000_000)
    expect(result.stdoutBytes.length).toBeLessThanOrEqual(MiB)
    expect(result.stdoutBytes.every((byte) => byte === 0)).toBe(true)
    const next = await box.sh('cat /tmp/done; exit 4')
    expect(next).toMatchObject({ ending: 'exited', exitCode: 4, outputTruncated: true })
    expect(await client.json('/healthz')).toBeDefined()
    await using other = await Sandbox.create({ client })
    expect((await other.exec(['true'])).exitCode).toBe(0)
  })

  test('fails new work with a clear error, loses nothing, and heals', async () => {
    await using disk = await onSmallDisk('8m')
    const { server } = disk
    const filler = join(server.dataDir, 'filler')
    const client = server.client()
    const box = (await Sandbox.create({ client, name: 'early' })).keep()
    const execution = await box.start(['sh', '-c', 'cat; exit 9'], { stdin: true })
    await fill(filler)
    // SQLite has some room left in pages that it holds already.
    const refused = await until('work is refused', () =>
      Sandbox.create({ client }).then(
        () => null,
        (error) => error,
      ),
    )
    expect(['host_not_ready', 'create_failed']).toContain(refused.code)
    expect(refused.message).toMatch(/space/i)
    // Its end can not be stored now, and is told all the same.
    await execution.stdin.end()
    expect(await execution.wait()).toMatchObject({ ending: 'exited', exitCode: 9 })
    expect(await client.json('/healthz')).toBeDefined()
    await rm(filler)
    await until('it is stored', async () => (await box.refresh()).info.status === 'idle')
    expect((await box.sh('echo fine')).stdout).toBe('fine\n')
    await using again = await Sandbox.create({ client })
    expect((await again.exec(['true'])).exitCode).toBe(0)
    await untilNone('nothing is left behind', async () => {
      const { sandboxes } = await client.call('listSandboxes')
      return leftovers(
        server,
        sandboxes.map(({ id }) => id),
      )
    })
    expect(await execution.refresh()).toMatchObject({ state: 'ended', exitCode: 9 })
  })
})
