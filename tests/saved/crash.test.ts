import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAILPOINTS } from '../../packages/server/src/failpoint.ts'
import type { TestServer } from '../fixture.ts'
import { cannotSave, crash, nothingIsOrphaned, PROGRAMS, startSaving, text } from './world.ts'

/** Where a fork with memory alone comes by; `memory-forks.test.ts` has those. */
const WITH_MEMORY = ['fork:dumped']
const at = (step: string) =>
  FAILPOINTS.filter((name) => name.startsWith(`${step}:`) && !WITH_MEMORY.includes(name))

describe.skipIf(cannotSave !== null)('a server that dies at', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  /** A sandbox with a command in it that must live through everything but a restore. */
  async function make(): Promise<{ box: Sandbox; execution: string }> {
    const box = await Sandbox.create({ client, metadata: { a: 'b' } })
    await text(box, 'echo first > ~/state')
    return { box, execution: (await box.start(['sleep', '1000'])).id }
  }

  async function goesOn(box: Sandbox, execution: string): Promise<void> {
    expect(await text(box, 'cat ~/state')).toBe('first')
    expect(await text(box, PROGRAMS)).toContain('sleep 1000')
    expect(await client.call('getExecution', { execution })).toMatchObject({ state: 'running' })
  }

  test.each(at('checkpoint'))('%s has made the checkpoint, or nothing', async (failpoint) => {
    const { box, execution } = await make()
    await using _ = box
    const create = (signal: AbortSignal) =>
      client.call('createCheckpoint', { id: box.id, name: 'a' }, { signal })
    await crash(server, failpoint, create)
    await goesOn(box, execution)
    await nothingIsOrphaned(server, client, { living: true })
    const checkpoints = await box.checkpoints.list()
    expect(checkpoints.map(({ name }) => name)).toEqual(failpoint === 'checkpoint:recorded' ? ['a'] : [])
    if (checkpoints.length === 0) await box.checkpoints.create('a')
    await text(box, 'echo second > ~/state')
    await box.checkpoints.restore('a')
    expect(await text(box, 'cat ~/state')).toBe('first')
  })

  test.each(at('restore'))('%s has put the files back, or not begun', async (failpoint) => {
    const { box } = await make()
    await using _ = box
    await box.checkpoints.create('a')
    await text(box, 'echo second > ~/state; echo x > ~/other')
    const restore = (signal: AbortSignal) =>
      client.call('restoreCheckpoint', { id: box.id, checkpoint: 'a' }, { signal })
    await crash(server, failpoint, restore)
    const state = await text(box, 'cat ~/state ~/other 2>/dev/null; true')
    expect(state).toBe(failpoint === 'restore:recorded' ? 'second\nx' : 'first')
    await nothingIsOrphaned(server, client, { living: true })
    await box.checkpoints.restore('a')
    expect(await text(box, 'cat ~/state')).toBe('first')
  })

  test.each(at('snapshot'))('%s has made or deleted the snapshot, or nothing', async (failpoint) => {
    const { box, execution } = await make()
    await using _ = box
    const create = (signal?: AbortSignal) =>
      client.call('createSnapshot', { id: box.id, name: 'a' }, { signal })
    if (failpoint === 'snapshot:deleted') {
      await create()
      await crash(server, failpoint, (signal) => client.call('deleteSnapshot', { snapshot: 'a' }, { signal }))
    } else await crash(server, failpoint, create)
    await goesOn(box, execution)
    await nothingIsOrphaned(server, client, { living: true })
    const { snapshots } = await client.call('listSnapshots')
    expect(snapshots).toHaveLength(failpoint === 'snapshot:recorded' ? 1 : 0)
    if (snapshots.length === 0) await create()
    await using made = await Sandbox.create({ client, snapshot: 'a' })
    expect(await text(made, 'cat ~/state')).toBe('first')
    await client.call('deleteSnapshot', { snapshot: 'a' })
  })

  test.each(at('fork'))('%s leaves no half copies, and a repeat makes them all', async (failpoint) => {
    const { box, execution } = await make()
    await using _ = box
    const fork = (signal?: AbortSignal) =>
      client.call('forkSandbox', { id: box.id, count: 3 }, { idempotencyKey: failpoint, signal })
    await crash(server, failpoint, fork)
    await goesOn(box, execution)
    await nothingIsOrphaned(server, client, { living: true })
    const { sandboxes } = await fork()
    expect(await fork()).toMatchObject({ sandboxes: sandboxes.map(({ id }) => ({ id })) })
    const all = (await client.call('listSandboxes')).sandboxes.map(({ id }) => id)
    expect(all.sort()).toEqual([box.id, ...sandboxes.map(({ id }) => id)].sort())
    for (const { id } of sandboxes) {
      await using copy = await Sandbox.connect(id, { client })
      expect(await text(copy, 'cat ~/state')).toBe('first')
      await copy.delete()
    }
    await nothingIsOrphaned(server, client, { living: true })
  })
})
