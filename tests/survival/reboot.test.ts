import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../crash/host.ts'
import type { TestServer } from '../fixture.ts'
import { cannotSave, digest, plant, startSaving, text } from '../saved/world.ts'
import { loopsOf, nothingIsOrphaned, powerCut } from './world.ts'

/** Everything that a server can keep, before and after the host was restarted. */
describe.skipIf(cannotSave !== null)('after a restart of the host', () => {
  let server: TestServer
  let client: Client
  let runs: Sandbox
  let frozen: Sandbox
  let counter: string
  let files: Sandbox
  let workspace: Sandbox
  let checkpointed: Sandbox
  let forked: Sandbox
  let session: string
  let used: { id: string; sandboxId: string }
  const digests = new Map<string, string>()

  const make = async () => (await Sandbox.create({ client, ttl: '1h' })).keep()

  beforeAll(async () => {
    server = await startSaving({ env: { CAISSON_DUMP_AFTER: 'off' } })
    client = server.client()
    ;[runs, frozen, files, workspace, checkpointed] = await Promise.all([
      make(),
      make(),
      make(),
      make(),
      make(),
    ])
    for (const box of [runs, frozen, files, checkpointed]) digests.set(box.id, await plant(box))
    await client.call('createSnapshot', { id: runs.id, name: 'planted' })
    ;[forked] = (await files.fork()).map((fork) => fork.keep()) as [Sandbox]
    counter = (await frozen.start(['sh', '-c', 'while :; do echo .; sleep 0.05; done'])).id
    await text(workspace, 'mkdir ~/workspace; seq 1 100000 > ~/workspace/numbers; echo no > ~/other')
    await checkpointed.checkpoints.create('planted')
    await text(checkpointed, 'rm -rf ~/tree')
    await frozen.pause({ depth: 'memory' })
    await files.pause({ depth: 'filesystem' })
    await workspace.pause({ depth: 'workspace' })
    await checkpointed.pause({ depth: 'memory' })
    session = (await client.call('createSession', { name: 'waiting' })).id
    used = await client.call('createSession', { name: 'used' })
    const turn = await Sandbox.connect(used.sandboxId, { client })
    await text(turn, 'echo turn > workspace/turn')
    await powerCut(server)
    await server.up()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  test('there is one pool, and nothing that nobody knows', async () => {
    expect(loopsOf(server)).toHaveLength(1)
    await nothingIsOrphaned(server, client)
  })

  test('what ran has ended, and says why; so has what ran in it', async () => {
    for (const box of [runs, forked]) {
      await box.refresh()
      expect(box.info.status).toBe('failed')
      expect(['host-lost', 'agent-lost']).toContain(box.info.ending?.reason)
      await expect(box.exec(['true'])).rejects.toMatchObject({ code: 'sandbox_ended' })
    }
    expect((await client.call('getSession', { session: used.id })).status).toBe('deleted')
  })

  test('what was frozen has lost its memory, says so, and has its files', async () => {
    expect((await frozen.refresh()).info).toMatchObject({
      status: 'suspended',
      pause: { depth: 'filesystem', memory: 'none' },
    })
    const { total } = await client.call('listEvents', { id: frozen.id, type: 'memory:lost' })
    expect(total).toBe(1)
    expect(await client.call('getExecution', { execution: counter })).toMatchObject({
      state: 'ended',
      ending: 'host-lost',
    })
    expect(await digest(frozen)).toBe(digests.get(frozen.id))
  })

  test('what was paused with its files has all of them, byte by byte', async () => {
    expect((await files.refresh()).info.pause?.ttlLeftMs).toBeGreaterThan(3_000_000)
    expect(await digest(files)).toBe(digests.get(files.id))
    expect((await files.refresh()).info.status).toBe('idle')
  })

  test('what was paused with its workspace has that', async () => {
    expect(await text(workspace, 'cat ~/workspace/numbers | tail -1; ls')).toBe('100000\nworkspace')
  })

  test('a checkpoint can be gone back to', async () => {
    await checkpointed.checkpoints.restore('planted')
    expect(await digest(checkpointed)).toBe(digests.get(checkpointed.id))
  })

  test('a snapshot has outlived the sandbox that it was made from', async () => {
    await using made = await Sandbox.create({ client, snapshot: 'planted' })
    expect(await digest(made)).toBe(digests.get(runs.id))
  })

  test('a session that was never started begins', async () => {
    const { sandboxId, status } = await client.call('getSession', { session })
    expect(status).toBe('recorded')
    const box = await Sandbox.connect(sandboxId, { client })
    expect(await text(box, 'pwd; ls -d ~/workspace')).toContain('workspace')
  })

  test('the next one finds them all again, and nothing is left when they go', async () => {
    await Promise.all([frozen, files, workspace].map((box) => box.pause({ depth: 'filesystem' })))
    await checkpointed.pause({ depth: 'filesystem' })
    await powerCut(server)
    await server.up()
    for (const box of [frozen, files, checkpointed]) expect(await digest(box)).toBe(digests.get(box.id))
    expect(await text(workspace, 'wc -l < ~/workspace/numbers')).toBe('100000')
    for (const { id } of (await client.call('listSandboxes', { limit: 100 })).sandboxes)
      await client.call('deleteSandbox', { id })
    await client.call('deleteSnapshot', { snapshot: 'planted' })
    await nothingIsOrphaned(server, client)
    await until('no file is left', async () => {
      const { sandboxes, saved } = await client.call('getDiskUsage')
      return sandboxes.length + saved.count === 0
    })
  })
})
