import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { leftovers, untilNone } from '../crash/host.ts'
import type { TestServer } from '../fixture.ts'
import { cannotSave, digest, garbage, PROGRAMS, plant, startSaving, text } from './world.ts'

describe.skipIf(cannotSave !== null)('forks', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  test('have the same files and are somebody else', async () => {
    await using box = await Sandbox.create({ client, env: { A: '1' }, metadata: { a: 'b' } })
    const before = await plant(box)
    const running = await box.start(['sleep', '1000'])
    await using copies = new AsyncDisposableStack()
    const forks = (await box.fork({ count: 3, name: 'copy' })).map((fork) => copies.use(fork))
    expect(forks.map(({ info }) => info.name)).toEqual(['copy-1', 'copy-2', 'copy-3'])
    const told = await Promise.all(
      forks.map(async (fork) => {
        expect(fork.info).toMatchObject({ forkedFrom: box.id, metadata: { a: 'b' } })
        expect(await digest(fork)).toBe(before)
        const own = 'hostname; cat /etc/machine-id; head -c 16 /dev/urandom | sha256sum'
        return (await text(fork, `echo $A; ${own}`)).split('\n')
      }),
    )
    for (const line of [1, 2, 3]) expect(new Set(told.map((lines) => lines[line])).size).toBe(3)
    expect(told.map(([first]) => first)).toEqual(['1', '1', '1'])
    await forks[0]?.sh('rm -rf ~/tree')
    expect(await digest(box)).toBe(before)
    expect((await client.call('getExecution', { execution: running.id })).state).toBe('running')
    expect(await text(box, PROGRAMS)).toContain('sleep 1000')
    expect(await text(forks[1]!, PROGRAMS)).not.toContain('sleep 1000')
    expect(await garbage(client)).toEqual([])
  })

  test('of a fork outlive both', async () => {
    const box = (await Sandbox.create({ client })).keep()
    const before = await plant(box)
    const [child] = (await box.fork()).map((fork) => fork.keep())
    const [grandchild] = await child!.fork()
    await using last = grandchild!
    await box.delete()
    await child!.delete()
    await client.call('collectGarbage', {})
    expect(await digest(last)).toBe(before)
  })

  test('are all made or none', async () => {
    await using box = await Sandbox.create({ client })
    await using _taken = await Sandbox.create({ client, name: 'x-5' })
    await expect(box.fork({ count: 8, name: 'x' })).rejects.toMatchObject({ code: 'name_taken' })
    const { sandboxes } = await client.call('listSandboxes')
    expect(sandboxes.map(({ id }) => id).sort()).toEqual([box.id, _taken.id].sort())
    await untilNone('nothing of them is left', () => leftovers(server, [box.id, _taken.id]))
    expect(await garbage(client)).toEqual([])
  })

  test('of a paused sandbox run, and it stays paused', async () => {
    await using box = await Sandbox.create({ client })
    await text(box, 'echo kept > ~/state')
    await box.pause({ depth: 'memory' })
    const [fork] = await box.fork()
    await using copy = fork!
    expect(await text(copy, 'cat ~/state')).toBe('kept')
    expect((await box.refresh()).info.pause).not.toBeNull()
  })
})
