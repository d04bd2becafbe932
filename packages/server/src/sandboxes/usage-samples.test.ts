import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { meterUsage } from './metering.ts'
import { type Server, World } from './world.test-kit.ts'

const SECOND = 1000

let world: World
let used: { cpuUsec: number; memoryBytes: number }
let server: Server
beforeEach(async () => {
  world = await World.make()
  used = { cpuUsec: 0, memoryBytes: 0 }
  server = await world.server({
    driver: (driver) => Object.assign(driver, { usage: async () => ({ ...used, pids: 3, oomKills: 0 }) }),
  })
  vi.useFakeTimers({ toFake: ['Date', 'setInterval'] })
})
afterEach(async () => {
  vi.useRealTimers()
  await world[Symbol.asyncDispose]()
})

test('the last hours are kept a sample a minute, and what is used now comes last', async () => {
  const { sandbox } = await server.useCases.createSandbox({ idleTimeout: 0 })
  const { id } = sandbox
  const undo = meterUsage(server.context)
  const list = (query = {}) => server.useCases.listUsage(id, query)
  const minutes = 130
  for (let minute = 0; minute < minutes; minute++) {
    // A fifth of a CPU.
    used = { cpuUsec: used.cpuUsec + 12_000_000, memoryBytes: minute }
    await vi.advanceTimersByTimeAsync(60 * SECOND)
    await vi.waitFor(async () => expect((await list()).at(-1)?.memoryBytes).toBe(minute))
  }
  undo()
  const all = await list()
  expect(all.length).toBe(121)
  expect(all.at(-1)).toMatchObject({ memoryBytes: minutes - 1, pids: 3, diskBytes: 0 })
  // Those that were asked for some seconds after a minute's own have seen nothing new.
  const working = all.map(({ cpuPercent }) => cpuPercent).filter((percent) => percent > 0)
  expect(working.length).toBeGreaterThan(50)
  for (const percent of working) expect(percent).toBeCloseTo(21, -1)
  const between = { start: all[3]!.at, end: all[5]!.at }
  expect(await list(between)).toEqual(all.slice(3, 6))
  await server.useCases.deleteSandbox(id)
  expect(await list()).toEqual(all.slice(0, -1))
})

test('who asks often gets a value for themselves, who asks later one that is kept', async () => {
  const { sandbox } = await server.useCases.createSandbox({ idleTimeout: 0 })
  const count = async () => (await server.useCases.listUsage(sandbox.id, {})).length
  expect([await count(), await count(), await count()]).toEqual([1, 2, 2])
  vi.setSystemTime(Date.now() + 10 * SECOND)
  expect([await count(), await count()]).toEqual([2, 3])
})
