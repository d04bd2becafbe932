import { afterEach, beforeEach, expect, test } from 'vitest'
import { meterUsage } from './metering.ts'
import { purge } from './purge.ts'
import { follow, type Server, until, World } from './world.test-kit.ts'

let world: World
let used: { cpuUsec: number; memoryBytes: number }
beforeEach(async () => {
  world = await World.make()
  used = { cpuUsec: 0, memoryBytes: 0 }
})
afterEach(() => world[Symbol.asyncDispose]())

/** A server whose driver measures what the test says, as long as the sandbox runs. */
function measured(): Promise<Server> {
  return world.server({
    driver: (driver) =>
      Object.assign(driver, {
        usage: async (id: string) =>
          world.host.sandboxes.has(id) ? { ...used, pids: 3, oomKills: 0 } : null,
      }),
  })
}

test('usage beside the limits', async () => {
  const { useCases } = await measured()
  const { sandbox } = await useCases.createSandbox({})
  used = { cpuUsec: 7, memoryBytes: 9 }
  const { granted } = sandbox.resources
  expect(await useCases.getUsage(sandbox.id)).toEqual({
    memoryBytes: 9,
    memoryLimitBytes: granted.memoryBytes,
    cpuUsec: 7,
    cpuMillis: granted.cpuMillis,
    pids: 3,
    pidsLimit: granted.pids,
    oomKills: 0,
    diskBytes: 0,
    diskLimitBytes: null,
    sampledAt: expect.any(String),
  })
  await useCases.deleteSandbox(sandbox.id)
  await expect(useCases.getUsage(sandbox.id)).rejects.toMatchObject({ code: 'sandbox_ended' })
})

test('a driver that measures nothing says so', async () => {
  const blind = await world.server({ driver: (driver) => Object.assign(driver, { usage: undefined }) })
  const { sandbox } = await blind.useCases.createSandbox({})
  await expect(blind.useCases.getUsage(sandbox.id)).rejects.toMatchObject({ code: 'not_supported' })
  expect(await blind.useCases.getStats({})).toMatchObject({ totalActive: 1, totalCpuTimeMs: 0 })
})

test('what is used is counted once, over servers, sandboxes and a store that fails', async () => {
  const first = await measured()
  const { sandbox } = await first.useCases.createSandbox({ projectId: 'p' })
  const other = await first.useCases.createSandbox({ projectId: 'q' })
  used.cpuUsec = 2_000_000
  const { id } = await first.useCases.startExecution(sandbox.id, { argv: ['true'] })
  await follow(first, id)
  await until(async () => (await first.useCases.getSandbox(sandbox.id)).status === 'idle')
  const totals = { totalExecutions: 1, totalCpuTimeMs: 2000 }
  expect(await first.useCases.getStats({ projectId: 'p' })).toMatchObject({ ...totals, idle: 1, running: 0 })
  first.die()

  const next = await measured()
  expect(await next.useCases.getStats({ projectId: 'p' })).toMatchObject(totals)
  const add = world.store.usage.add.bind(world.store.usage)
  world.store.usage.add = () => Promise.reject(new Error('disk full'))
  used.cpuUsec = 3_000_000
  await expect(next.useCases.getStats({})).rejects.toThrow('disk full')
  world.store.usage.add = add
  await next.useCases.deleteSandbox(sandbox.id)
  expect(await next.useCases.getStats({ projectId: 'p' })).toMatchObject({
    totalActive: 0,
    totalExecutions: 1,
    totalCpuTimeMs: 3000,
  })
  expect(await next.useCases.getStats({})).toMatchObject({ totalActive: 1, totalCpuTimeMs: 6000 })
  expect((await next.useCases.getStats({ projectId: 'none' })).totalCpuTimeMs).toBe(0)
  await next.useCases.deleteSandbox(other.sandbox.id)
})

test('a failure to store the last usage ends the sandbox all the same', async () => {
  const { useCases } = await measured()
  const { sandbox } = await useCases.createSandbox({})
  used.cpuUsec = 1
  world.store.usage.add = () => Promise.reject(new Error('disk full'))
  expect((await useCases.deleteSandbox(sandbox.id)).status).toBe('terminated')
})

test('use is kept for ninety days', async () => {
  const { context } = await measured()
  const day = 86_400_000
  const record = {
    sandboxId: 's',
    projectId: null,
    orgId: null,
    cpuUsec: 0,
    memoryByteSec: 0,
    egressBytes: 0,
  }
  await world.store.usage.add([
    { ...record, hour: Date.now() - 91 * day, executions: 1 },
    { ...record, hour: Date.now() - 89 * day, executions: 2 },
  ])
  await purge(context)
  const sum = await world.store.usage.sum({ start: 0, end: Date.now() })
  expect(sum.executions).toBe(2)
})

test('metering can be stopped', async () => {
  const { context } = await measured()
  meterUsage(context)()
})
