import { afterEach, beforeEach, expect, test } from 'vitest'
import type { PauseRecord, SandboxRecord } from '../../core/records.ts'
import { type Server, World } from '../world.test-kit.ts'
import { dumpOf } from './dump.ts'

let world: World
beforeEach(async () => {
  world = await World.make()
})
afterEach(() => world[Symbol.asyncDispose]())

type On = 'runs' | 'frozen' | 'dump' | 'nothing'
type Expected = { state: SandboxRecord['state']; memory?: PauseRecord['memory']; runs?: 'runs' | 'frozen' }

const frozen: Expected = { state: 'paused', memory: 'ram', runs: 'frozen' }
const files: Expected = { state: 'paused', memory: 'none' }
const ready: Expected = { state: 'ready', runs: 'runs' }

/** What a server leaves that dies, and what the next one makes of it; the table of reconcile.ts. */
test.each<[SandboxRecord['state'], PauseRecord['memory'], On, Expected, string | null]>([
  ['pausing', 'ram', 'runs', ready, null],
  ['pausing', 'ram', 'frozen', ready, null],
  ['pausing', 'none', 'runs', ready, null],
  ['pausing', 'none', 'frozen', files, 'sandbox-ended'],
  ['pausing', 'none', 'nothing', files, 'sandbox-ended'],
  ['pausing', 'ram', 'nothing', files, 'host-lost'],
  ['paused', 'ram', 'runs', frozen, null],
  ['paused', 'ram', 'frozen', frozen, null],
  ['paused', 'ram', 'dump', { state: 'paused', memory: 'disk' }, null],
  ['paused', 'ram', 'nothing', files, 'host-lost'],
  ['paused', 'disk', 'dump', { state: 'paused', memory: 'disk' }, null],
  ['paused', 'disk', 'nothing', files, 'host-lost'],
  ['paused', 'none', 'nothing', files, 'sandbox-ended'],
  ['paused', 'none', 'runs', files, 'sandbox-ended'],
  ['resuming', 'ram', 'runs', frozen, null],
  ['resuming', 'ram', 'frozen', frozen, null],
  ['resuming', 'ram', 'nothing', files, 'host-lost'],
  ['resuming', 'disk', 'dump', { state: 'paused', memory: 'disk' }, null],
  ['resuming', 'disk', 'runs', ready, null],
  ['resuming', 'none', 'runs', files, 'sandbox-ended'],
  ['resuming', 'none', 'nothing', files, 'sandbox-ended'],
])('%s, memory %s, host: %s', async (state, memory, on, expected, ending) => {
  const first = await world.server({ config: { dumpAfter: null } })
  const { id } = (await first.useCases.createSandbox({})).sandbox
  const { id: execution } = await first.useCases.startExecution(id, { argv: ['sleep', '1000'] })
  await leave(first, id, on)
  const depth = memory === 'none' ? 'filesystem' : 'memory'
  await world.store.sandboxes.update(id, {
    state,
    pause: { depth, memory, since: Date.now(), ttlLeftMs: null },
  })

  const { useCases } = await world.server({ config: { dumpAfter: null } })
  const record = await world.store.sandboxes.get(id)
  expect(record).toMatchObject({ state: expected.state })
  expect(record?.pause?.memory).toBe(expected.memory)
  const found = world.host.sandboxes.get(id)
  expect(found && (found.agent.frozen ? 'frozen' : 'runs')).toBe(expected.runs)
  expect(await useCases.getExecution(execution)).toMatchObject({
    state: ending === null ? 'running' : 'ended',
    ending,
  })
  // Whatever it was, it can be used, and what it kept goes on.
  await useCases.startExecution(id, { argv: ['true'] })
  expect(await useCases.getExecution(execution)).toMatchObject({
    state: ending === null ? 'running' : 'ended',
  })
  expect(world.host.dumps.size).toBe(0)
  await useCases.deleteSandbox(id)
  expect([world.host.sandboxes.size, world.layers.roots.size]).toEqual([0, 0])
})

/** Ends a server, and makes of its sandbox what the host has of it. */
async function leave({ context, die }: Server, id: string, on: On): Promise<void> {
  die()
  const { driver } = context
  if (on === 'runs') return
  if (on !== 'nothing') await driver.memory!.freeze(id)
  if (on === 'dump') await driver.memory!.dump(id, dumpOf(id), true)
  if (on === 'nothing') world.host.end(id, 'SIGKILL')
}
