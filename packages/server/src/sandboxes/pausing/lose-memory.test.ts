import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Server, until, World } from '../world.test-kit.ts'
import { dumpOf } from './dump.ts'

let world: World
let server: Server
let id: string
let execution: string

beforeEach(async () => {
  world = await World.make()
  server = await world.server({ config: { dumpAfter: null } })
  id = (await server.useCases.createSandbox({ idleTimeout: 0 })).sandbox.id
  execution = (await server.useCases.startExecution(id, { argv: ['sleep', '1000'] })).id
  await server.useCases.pauseSandbox(id, { depth: 'memory' })
})
afterEach(() => world[Symbol.asyncDispose]())

async function lost(): Promise<number> {
  const query = { type: 'memory:lost', limit: 1, offset: 0, direction: 'asc' } as const
  return (await server.useCases.listEvents(id, query)).total
}

test('processes that end while they are frozen are lost, and the sandbox starts on its files', async () => {
  world.host.end(id, 'SIGKILL')
  await until(async () => (await lost()) === 1)
  expect((await server.useCases.resumeSandbox(id, {})).status).toBe('idle')
  expect((await server.useCases.getExecution(execution)).ending).toBe('host-lost')
})

test('processes of which a whole dump is there are not lost, though nobody was told of it', async () => {
  await server.context.driver.memory?.dump(id, dumpOf(id), true)
  expect((await server.useCases.resumeSandbox(id, {})).status).toBe('running')
  expect(await lost()).toBe(0)
  expect((await server.useCases.getExecution(execution)).state).toBe('running')
  expect(await server.context.driver.memory?.listDumps()).toEqual([])
})
