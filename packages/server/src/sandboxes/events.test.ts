import { afterEach, beforeEach, expect, test } from 'vitest'
import { follow, type Server, until, World } from './world.test-kit.ts'

let world: World
let server: Server
beforeEach(async () => {
  world = await World.make()
  server = await world.server({ config: { killGraceMs: 100 } })
})
afterEach(() => world[Symbol.asyncDispose]())

const page = { limit: 100, offset: 0, direction: 'asc' } as const

async function eventsOf(id: string, by = server) {
  return (await by.useCases.listEvents(id, page)).events
}

async function typesOf(id: string, by = server): Promise<string[]> {
  return (await eventsOf(id, by)).map(({ type }) => type)
}

test('the life of a sandbox, in order', async () => {
  const { useCases } = server
  const { sandbox } = await useCases.createSandbox({ name: 'web', env: { TOKEN: 'canary' } })
  await useCases.updateEnvironment(sandbox.id, { A: 'canary', TOKEN: null })
  await useCases.updateSandbox(sandbox.id, { description: 'canary', metadata: { key: 'canary' } })
  const command = await useCases.startExecution(sandbox.id, { argv: ['true'] })
  await follow(server, command.id)
  const job = await useCases.createJob(sandbox.id, { argv: ['exit', '3'], tag: 'build' })
  await follow(server, job.id)
  await useCases.deleteSandbox(sandbox.id)
  await useCases.deleteSandbox(sandbox.id)
  const events = await eventsOf(sandbox.id)
  expect(events.map(({ type, payload }) => [type, payload])).toEqual([
    ['create', expect.objectContaining({ name: 'web', runtime: 'memory', env: ['TOKEN'], files: 0 })],
    ['lifecycle:started', { runtime: 'memory' }],
    ['env', { set: ['A'], deleted: ['TOKEN'] }],
    ['update', { changed: ['description', 'metadata'] }],
    ['job:started', { job: job.id, tag: 'build', command: 'exit' }],
    [
      'job:ended',
      { job: job.id, tag: 'build', status: 'failed', ending: 'exited', exitCode: 3, signal: null },
    ],
    ['destroy', {}],
    ['lifecycle:completed', { reason: 'deleted', message: 'It was deleted.' }],
  ])
  expect(JSON.stringify(events)).not.toContain('canary')
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length)
})

test('the newest first, a page, or one type', async () => {
  const { sandbox } = await server.useCases.createSandbox({})
  const list = (query: object) => server.useCases.listEvents(sandbox.id, { ...page, ...query })
  expect((await list({ direction: 'desc' })).events.map(({ type }) => type)).toEqual([
    'lifecycle:started',
    'create',
  ])
  expect(await list({ limit: 1, offset: 1 })).toMatchObject({
    events: [{ type: 'lifecycle:started' }],
    total: 2,
  })
  expect(await list({ type: 'create' })).toMatchObject({ events: [{ type: 'create' }], total: 1 })
})

test('a sandbox that could not be made', async () => {
  const broken = await world.server({
    driver: (driver) => Object.assign(driver, { start: () => Promise.reject(new Error('no room')) }),
  })
  await expect(broken.useCases.createSandbox({})).rejects.toMatchObject({ code: 'create_failed' })
  const query = { ...page, sort: 'created', all: true } as const
  const { sandboxes } = await broken.useCases.listSandboxes(query)
  const events = await eventsOf(sandboxes[0]!.id, broken)
  expect(events.map(({ type }) => type)).toEqual(['create', 'lifecycle:failed'])
  expect(events[1]!.payload).toMatchObject({ reason: 'create-failed' })
})

test('a one-shot sandbox completes without being asked to', async () => {
  const signal = new AbortController().signal
  const { output } = await server.useCases.run({ execution: { argv: ['true'] } }, signal)
  const { sandboxId } = await output.result()
  await until(async () => (await server.useCases.getSandbox(sandboxId)).endedAt !== null)
  expect(await typesOf(sandboxId)).toEqual(['create', 'lifecycle:started', 'lifecycle:completed'])
})

test('a sandbox that broke while no server was there', async () => {
  const { sandbox } = await server.useCases.createSandbox({})
  await server.useCases.createJob(sandbox.id, { argv: ['sleep', '1000'] })
  server.die()
  world.host.end(sandbox.id, 'SIGKILL')
  const next = await world.server()
  expect(await typesOf(sandbox.id, next)).toEqual([
    'create',
    'lifecycle:started',
    'job:started',
    'job:ended',
    'lifecycle:failed',
  ])
})

test('a deletion that a server began is finished by the next, and told once', async () => {
  const { sandbox } = await server.useCases.createSandbox({})
  await world.store.sandboxes.update(sandbox.id, {
    state: 'stopping',
    ending: { reason: 'deleted', message: 'It was deleted.' },
  })
  server.die()
  const next = await world.server()
  expect(await typesOf(sandbox.id, next)).toEqual(['create', 'lifecycle:started', 'lifecycle:completed'])
})

test('an agent that falls silent, and comes back', async () => {
  const { sandbox } = await server.useCases.createSandbox({})
  const live = server.context.live.get(sandbox.id)!
  const { driver } = server.context
  const connect = driver.connect.bind(driver)
  driver.connect = () => Promise.reject(new Error('silence'))
  live.drop()
  await until(async () => (await server.useCases.getSandbox(sandbox.id)).health === 'unresponsive')
  driver.connect = connect
  await until(async () => (await server.useCases.getSandbox(sandbox.id)).health === 'ok')
  await until(async () => (await typesOf(sandbox.id)).length === 4)
  expect((await typesOf(sandbox.id)).slice(2)).toEqual(['unresponsive', 'responsive'])
  expect(live.record.version).toBe((await world.store.sandboxes.get(sandbox.id))!.version)
})
