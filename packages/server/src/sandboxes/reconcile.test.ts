import { afterEach, beforeEach, expect, test } from 'vitest'
import { anExecution, aSandbox } from '../state/fixtures.ts'
import { follow, until, World } from './world.test-kit.ts'

let world: World
beforeEach(async () => {
  world = await World.make()
})
afterEach(async () => {
  await world[Symbol.asyncDispose]()
})

test('what ran before the host was started is host-lost, without an exit code', async () => {
  const sandbox = aSandbox({ createdAt: 1000 })
  const execution = anExecution(sandbox.id, { state: 'running', startedAt: 2000 })
  await world.store.sandboxes.insert(sandbox)
  await world.store.executions.insert(execution)
  const { useCases } = await world.server()
  expect(await useCases.getSandbox(sandbox.id)).toMatchObject({
    status: 'failed',
    ending: { reason: 'host-lost' },
  })
  expect(await useCases.getExecution(execution.id)).toMatchObject({
    state: 'ended',
    ending: 'host-lost',
    exitCode: null,
    signal: null,
  })
})

test('a sandbox whose agent is gone is agent-lost, and so is what ran in it', async () => {
  const first = await world.server()
  const { sandbox } = await first.useCases.createSandbox({})
  const execution = await first.useCases.startExecution(sandbox.id, { argv: ['sleep', '1000'] })
  first.die()
  world.host.end(sandbox.id, 'SIGKILL')
  const { useCases } = await world.server()
  expect(await useCases.getSandbox(sandbox.id)).toMatchObject({
    status: 'failed',
    ending: { reason: 'agent-lost' },
  })
  expect(await useCases.getExecution(execution.id)).toMatchObject({ ending: 'agent-lost', exitCode: null })
})

test('a creation that was cut off is undone, and its key may be used again', async () => {
  const record = aSandbox({
    state: 'creating',
    idempotencyKey: 'key',
    requestDigest: 'x',
    createdAt: Date.now(),
  })
  await world.store.sandboxes.insert(record)
  await world.layers.prepare(record.id, { image: null, layers: [], from: null, diskBytes: null })
  const { useCases } = await world.server()
  expect(await useCases.getSandbox(record.id)).toMatchObject({ ending: { reason: 'create-failed' } })
  expect(await world.layers.list()).toEqual([])
  const { sandbox } = await useCases.createSandbox({}, { idempotencyKey: 'key' })
  expect(sandbox.status).toBe('idle')
  expect(sandbox.id).not.toBe(record.id)
})

test('an end that was cut off is finished with its reason', async () => {
  const first = await world.server()
  const { sandbox } = await first.useCases.createSandbox({})
  first.die()
  const ending = { reason: 'expired' as const, message: 'Its time to live was over.' }
  await world.store.sandboxes.update(sandbox.id, { state: 'stopping', ending })
  const { useCases } = await world.server()
  expect(await useCases.getSandbox(sandbox.id)).toMatchObject({ status: 'terminated', ending })
  expect(world.host.sandboxes.size).toBe(0)
})

test('what no record knows is removed', async () => {
  const first = await world.server()
  const plan = {
    id: 'sbx_unknown',
    hostname: 'x',
    idBase: 65_536,
    limits: { memoryBytes: 1, cpuMillis: 1, pids: 1 },
  }
  await first.context.driver.start({ ...plan, root: { kind: 'directory', path: 'x' } })
  await world.layers.prepare('sbx_other', { image: null, layers: [], from: null, diskBytes: null })
  first.die()
  await world.server()
  expect(world.host.sandboxes.size).toBe(0)
  expect(await world.layers.list()).toEqual([])
})

test('an execution that nobody was told of is undone when it did not start', async () => {
  const first = await world.server()
  const { sandbox } = await first.useCases.createSandbox({})
  first.die()
  const pending = anExecution(sandbox.id, { state: 'pending', startedAt: null })
  await world.store.executions.insert(pending)
  const { useCases } = await world.server()
  await expect(useCases.getExecution(pending.id)).rejects.toMatchObject({ code: 'execution_not_found' })
  expect(await useCases.getSandbox(sandbox.id)).toMatchObject({ status: 'idle' })
})

test.each([
  ['is kept when it runs', false],
  ['is ended when its input may be lost', true],
])('an execution that nobody was told of %s', async (_, stdin) => {
  const first = await world.server()
  const { sandbox } = await first.useCases.createSandbox({})
  const { id } = await first.useCases.startExecution(sandbox.id, { argv: ['sleep', '1000'], stdin })
  await world.store.executions.update(id, { state: 'pending', startedAt: null })
  first.die()
  const second = await world.server()
  if (!stdin) {
    expect(await second.useCases.getExecution(id)).toMatchObject({ state: 'running' })
    await second.useCases.killExecution(id, { signal: 'SIGKILL', scope: 'tree' })
    expect(await follow(second, id)).toMatchObject({ ending: 'cancelled' })
  } else {
    await expect(second.useCases.getExecution(id)).rejects.toMatchObject({ code: 'execution_not_found' })
    await until(() => world.host.sandboxes.get(sandbox.id)?.agent.running === 0)
  }
})

test('a command that ended while there was no server has its exit code', async () => {
  const first = await world.server()
  const { sandbox } = await first.useCases.createSandbox({})
  const { id } = await first.useCases.startExecution(sandbox.id, { argv: ['sleep', '0.02'] })
  first.die()
  await until(() => world.host.sandboxes.get(sandbox.id)?.agent.running === 0)
  const second = await world.server()
  expect(await follow(second, id)).toMatchObject({ ending: 'exited', exitCode: 0 })
})
