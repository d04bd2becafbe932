import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { follow, type Server, until, World } from '../world.test-kit.ts'

let world: World
let server: Server
beforeEach(async () => {
  world = await World.make()
  server = await world.server({ config: { dumpAfter: null } })
})
afterEach(() => world[Symbol.asyncDispose]())

type Create = Parameters<Server['useCases']['createSandbox']>[0]
const create = async (input: Create) => (await server.useCases.createSandbox(input)).sandbox.id
const get = (id: string) => server.useCases.getSandbox(id)
const statusIs = (id: string, status: string) => until(async () => (await get(id)).status === status)

test('a timeout pauses where a pause was asked for, in the depth that was asked for', async () => {
  const kept = await create({ idleTimeout: 30, onTimeout: 'pause', pauseDepth: 'filesystem' })
  const ended = await create({ idleTimeout: 30 })
  await statusIs(kept, 'suspended')
  await statusIs(ended, 'terminated')
  expect(await get(kept)).toMatchObject({ pause: { depth: 'filesystem' } })
  const { events } = await server.useCases.listEvents(kept, {
    type: 'pause',
    limit: 9,
    offset: 0,
    direction: 'asc',
  })
  expect(events).toMatchObject([{ payload: { reason: 'idle-timeout' } }])
})

test('the time to live waits while a sandbox is paused, and begins anew when it was over', async () => {
  const id = await create({ ttl: '1h', onTimeout: 'pause' })
  const { expiresAt } = await get(id)
  await server.useCases.pauseSandbox(id, {})
  const { pause, ...paused } = await get(id)
  expect(paused.expiresAt).toBeNull()
  expect(pause?.ttlLeftMs).toBe(Date.parse(expiresAt!) - Date.parse(pause!.since))
  await delay(20)
  await server.useCases.resumeSandbox(id, {})
  expect(Date.parse((await get(id)).expiresAt!)).toBeGreaterThan(Date.parse(expiresAt!))

  await server.useCases.updateSandbox(id, { ttl: 20 })
  await until(async () => (await get(id)).expiresAt === null)
  expect(await get(id)).toMatchObject({ status: 'paused', pause: { ttlLeftMs: 0 } })
  await server.useCases.updateSandbox(id, { ttl: '2h' })
  expect(await get(id)).toMatchObject({ expiresAt: null, pause: { ttlLeftMs: 7_200_000 } })
  await server.useCases.resumeSandbox(id, { ttl: '3h' })
  const left = Date.parse((await get(id)).expiresAt!) - Date.now()
  expect(left).toBeGreaterThan(2 * 3_600_000)
  await server.useCases.resumeSandbox(id, { ttl: 0 })
  expect(await get(id)).toMatchObject({ status: 'idle', expiresAt: null })
})

test('a sandbox that is paused too long is deleted, by the next server too, and one that is resumed is not', async () => {
  const soon = await create({ pausedTimeout: 60 })
  const later = await create({ pausedTimeout: 400 })
  const resumed = await create({ pausedTimeout: 60 })
  for (const id of [soon, later, resumed]) await server.useCases.pauseSandbox(id, {})
  await server.useCases.resumeSandbox(resumed, {})
  await statusIs(soon, 'terminated')
  expect(await get(soon)).toMatchObject({ ending: { reason: 'paused-timeout' } })
  server.die()
  server = await world.server()
  await statusIs(later, 'terminated')
  expect((await get(resumed)).status).toBe('idle')
})

test('the time that a command may take waits while its sandbox is paused', async () => {
  const id = await create({})
  const { id: execution } = await server.useCases.startExecution(id, { argv: ['sleep', '100'], timeout: 300 })
  const [before] = await world.store.executions.open(id)
  await server.useCases.pauseSandbox(id, { depth: 'memory' })
  await delay(400)
  expect(await server.useCases.getExecution(execution)).toMatchObject({ state: 'running' })
  await server.useCases.resumeSandbox(id, {})
  const [after] = await world.store.executions.open(id)
  expect(after!.deadlineAt! - before!.deadlineAt!).toBeGreaterThanOrEqual(400)
  expect(await follow(server, execution)).toMatchObject({ ending: 'execution-timeout' })
})

test('memory goes to disk after a while, and goes on from there', async () => {
  const server = await world.server({ config: { dumpAfter: 30 } })
  const { id } = (await server.useCases.createSandbox({})).sandbox
  const { id: running } = await server.useCases.startExecution(id, { argv: ['sleep', '100'] })
  await server.useCases.pauseSandbox(id, { depth: 'memory' })
  expect(await server.useCases.getSandbox(id)).toMatchObject({ status: 'paused' })
  await until(async () => (await server.useCases.getSandbox(id)).status === 'suspended')
  expect(world.host.sandboxes.size).toBe(0)
  expect(await server.useCases.getExecution(running)).toMatchObject({ state: 'running' })
  await server.useCases.resumeSandbox(id, {})
  expect(await server.useCases.getSandbox(id)).toMatchObject({ status: 'running' })
})

test('memory that cannot be put on disk stays in RAM, and goes on from there', async () => {
  const server = await world.server({ config: { dumpAfter: 20 } })
  const { id } = (await server.useCases.createSandbox({})).sandbox
  const { id: running } = await server.useCases.startExecution(id, { argv: ['sleep', '100'] })
  const { memory } = server.context.driver
  let tried = 0
  memory!.dump = async () => {
    tried++
    throw new Error('a device is open')
  }
  await server.useCases.pauseSandbox(id, { depth: 'memory' })
  const failed = async () =>
    (await server.useCases.listEvents(id, { type: 'pause:failed', limit: 9, offset: 0, direction: 'asc' }))
      .events
  await until(async () => (await failed()).length > 0)
  expect(await failed()).toMatchObject([{ payload: { what: 'dump', reason: 'a device is open' } }])
  await delay(60)
  expect(tried).toBe(1)
  expect(await server.useCases.getSandbox(id)).toMatchObject({ status: 'paused', pause: { memory: 'ram' } })
  await server.useCases.resumeSandbox(id, {})
  expect(await server.useCases.getExecution(running)).toMatchObject({ state: 'running' })
})

test('lists tell apart what is paused and what is suspended', async () => {
  const [frozen, stopped, running] = [await create({}), await create({}), await create({})]
  await server.useCases.pauseSandbox(frozen, { depth: 'memory' })
  await server.useCases.pauseSandbox(stopped, { depth: 'filesystem' })
  const list = async (status: 'paused' | 'suspended' | 'idle') => {
    const page = { limit: 50, offset: 0, sort: 'created', direction: 'asc' } as const
    return (await server.useCases.listSandboxes({ ...page, status: [status] })).sandboxes.map(({ id }) => id)
  }
  expect([await list('paused'), await list('suspended'), await list('idle')]).toEqual([
    [frozen],
    [stopped],
    [running],
  ])
})
