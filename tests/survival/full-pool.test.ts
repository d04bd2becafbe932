import { type Client, Sandbox, SandboxError } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../fixture.ts'
import { cannotSave, startSaving, text } from '../saved/world.ts'
import { loopsOf, nothingIsOrphaned, powerCut } from './world.ts'

/** A pool that one guest has filled to its last block: it takes nothing from what is there, and is given back. */
describe.skipIf(cannotSave !== null)('a pool that is full', () => {
  let server: TestServer
  let client: Client
  let hog: Sandbox
  let box: Sandbox

  beforeAll(async () => {
    server = await startSaving({ env: { CAISSON_POOL_SIZE: '512Mi', CAISSON_DUMP_AFTER: 'off' } })
    client = server.client()
    box = (await Sandbox.create({ client })).keep()
    await text(box, 'mkdir ~/workspace; echo kept > ~/workspace/kept; echo side > ~/side')
    await box.checkpoints.create('before')
    hog = (await Sandbox.create({ client, resources: { disk: '512Mi' } })).keep()
    const { exitCode } = await hog.sh('head -c 1G /dev/urandom > ~/hog')
    expect(exitCode).not.toBe(0)
    await hog.sh('i=0; while echo $i > ~/s$i; do i=$((i+1)); done 2>/dev/null')
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  /** A refusal has to be one that is known, and to say why. */
  const attempt = (work: () => Promise<unknown>) =>
    work().catch((error) => {
      expect(error).toBeInstanceOf(SandboxError)
      expect(['save_failed', 'create_failed', 'pause_failed', 'resume_failed']).toContain(error.code)
      expect(error.message).toMatch(/space|quota/i)
    })

  test('lets commands run, and refuses what does not fit by its name', async () => {
    expect((await box.exec(['cat', '/home/agent/workspace/kept'])).stdout).toBe('kept\n')
    const { exitCode, stderr } = await box.sh('head -c 50M /dev/urandom > ~/big')
    expect(exitCode).not.toBe(0)
    expect(stderr).toMatch(/space|quota/i)
    await attempt(() => box.checkpoints.create())
    await attempt(() => box.fork().then((forks) => forks.forEach((fork) => void fork.keep())))
    await attempt(() => client.call('createSnapshot', { id: box.id, name: 'full' }))
  })

  test('lets sandboxes be paused and resumed where they are', async () => {
    for (let round = 0; round < 3; round++) {
      await box.pause({ depth: 'memory' })
      expect(await text(box, 'cat ~/workspace/kept ~/side')).toBe('kept\nside')
    }
  })

  test('keeps what is paused with its files whole, also over a restart of the host', async () => {
    await box.pause({ depth: 'filesystem' })
    await powerCut(server)
    await server.up()
    expect(loopsOf(server)).toHaveLength(1)
    // A start needs a directory of its own: without room for that it is paused as before.
    await box.resume().catch((error) => expect(error).toMatchObject({ code: 'resume_failed' }))
    expect((await hog.refresh()).info.status).toBe('failed')
    expect((await box.refresh()).info.ending).toBeNull()
  })

  test('has room again when who has filled it is deleted', async () => {
    const { sandboxes } = await client.call('listSandboxes', { limit: 100 })
    for (const { id } of sandboxes) if (id !== box.id) await client.call('deleteSandbox', { id })
    await expect
      .poll(async () => (await box.sh('head -c 100M /dev/urandom > ~/big && rm ~/big')).exitCode, {
        timeout: 60_000,
      })
      .toBe(0)
    await box.checkpoints.restore('before')
    expect(await text(box, 'cat ~/workspace/kept ~/side')).toBe('kept\nside')
    await box.pause({ depth: 'workspace' })
    expect(await text(box, 'cat ~/workspace/kept; ls ~')).toBe('kept\nworkspace')
    for (const { id } of (await client.call('listSnapshots')).snapshots)
      await client.call('deleteSnapshot', { snapshot: id })
    await box.delete()
    await nothingIsOrphaned(server, client)
    expect((await client.call('getDiskUsage')).saved.count).toBe(0)
  })
})
