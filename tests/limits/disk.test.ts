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
async function onSmallDisk(
  size: string,
): Promise<{ server: TestServer; fill: () => Promise<void> } & AsyncDisposable> {
  const undo = new AsyncDisposableStack()
  const server = await TestServer.start({ started: false })
  // The disk goes after the server, and the directory that it lies on after the disk.
  const disk = await smallDisk(server.dataDir, size)
  undo.defer(() => rm(server.dataDir, { recursive: true, force: true }))
  undo.use(disk)
  undo.use(server)
  await server.up()
  return {
    server,
    fill: async () => {
      // In steps: a write that does not fit leaves what did.
      for (const bytes of [MiB, 4096, 1])
        for (let n = 0; ; n++) {
          const full = await writeFile(join(server.dataDir, 'filler'), Buffer.alloc(bytes), {
            flag: 'a',
          }).then(
            () => false,
            () => true,
          )
          if (full || n > 1e6) break
        }
    },
    [Symbol.asyncDispose]: () => undo.disposeAsync(),
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
    const { server, fill } = disk
    const client = server.client()
    const box = (await Sandbox.create({ client, name: 'early' })).keep()
    const execution = await box.start(['sh', '-c', 'cat; exit 9'], { stdin: true })
    await fill()
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
    await rm(join(server.dataDir, 'filler'))
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
