import { describe, expect, test } from 'vitest'
import { type Server, until, World } from './world.test-kit.ts'

/** A server that uses another storage than the last one. */
async function moved(world: World, last: Server): Promise<Server> {
  last.die()
  Object.assign(world.layers, { name: 'other' })
  return world.server()
}

const refused = { code: 'not_supported', details: { reason: expect.stringContaining('"storage": "memory"') } }

describe('a sandbox that was made with another storage', () => {
  test('runs commands, is frozen, and is deleted', async () => {
    await using world = await World.make()
    const first = await world.server()
    const { sandbox } = await first.useCases.createSandbox({ idleTimeout: 0 })
    const { useCases } = await moved(world, first)
    await useCases.startExecution(sandbox.id, { argv: ['true'] })
    expect((await useCases.pauseSandbox(sandbox.id, { depth: 'memory' })).status).toBe('paused')
    await useCases.resumeSandbox(sandbox.id, {})
    expect((await useCases.deleteSandbox(sandbox.id)).status).toBe('terminated')
    expect([...world.layers.roots.keys()]).toEqual([])
  })

  test('is neither stopped nor saved, and goes on', async () => {
    await using world = await World.make()
    const first = await world.server()
    const { sandbox } = await first.useCases.createSandbox({ idleTimeout: 0 })
    const { useCases } = await moved(world, first)
    const { id } = sandbox
    await expect(useCases.pauseSandbox(id, { depth: 'filesystem' })).rejects.toMatchObject(refused)
    await expect(useCases.pauseSandbox(id, { depth: 'workspace' })).rejects.toMatchObject(refused)
    await expect(useCases.createCheckpoint(id, {})).rejects.toMatchObject(refused)
    await expect(useCases.createSnapshot(id, {})).rejects.toMatchObject(refused)
    await expect(useCases.forkSandbox(id, { count: 1, memory: false })).rejects.toMatchObject(refused)
    expect((await useCases.getSandbox(id)).status).toBe('idle')
    // Its frozen processes are all that there is of it here.
    await useCases.pauseSandbox(id, { depth: 'memory' })
    await expect(useCases.pauseSandbox(id, { depth: 'filesystem' })).rejects.toMatchObject(refused)
    expect((await useCases.resumeSandbox(id, {})).status).toBe('idle')
  })

  test('stays paused until a server uses that storage again', async () => {
    await using world = await World.make()
    const first = await world.server()
    const { sandbox } = await first.useCases.createSandbox({ idleTimeout: 0 })
    await first.useCases.pauseSandbox(sandbox.id, { depth: 'filesystem' })
    const second = await moved(world, first)
    const resume = second.useCases.resumeSandbox(sandbox.id, {})
    await expect(resume).rejects.toMatchObject({
      code: 'resume_failed',
      details: { reason: expect.stringContaining('"storage": "memory"') },
    })
    await second.useCases.collectGarbage({ dryRun: false })
    second.die()
    Object.assign(world.layers, { name: 'memory' })
    const third = await world.server()
    expect((await third.useCases.resumeSandbox(sandbox.id, {})).status).toBe('idle')
  })

  test('and never started is made with the present one', async () => {
    await using world = await World.make()
    const first = await world.server()
    const { sandboxId } = await first.useCases.createSession({})
    const { useCases } = await moved(world, first)
    const { id } = await useCases.startExecution(sandboxId, { argv: ['true'] })
    await until(async () => (await useCases.getExecution(id)).state === 'ended')
    await useCases.pauseSandbox(sandboxId, { depth: 'filesystem' })
    expect((await useCases.resumeSandbox(sandboxId, {})).status).toBe('idle')
  })
})
