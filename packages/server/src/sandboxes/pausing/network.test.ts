import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Server, World } from '../world.test-kit.ts'

let world: World
let server: Server
let id: string
let addresses: string[]
const start = () => world.server({ config: { dumpAfter: null }, network: { addresses: () => addresses } })

beforeEach(async () => {
  world = await World.make()
  addresses = ['203.0.113.5']
  server = await start()
  id = (await server.useCases.createSandbox({ network: { allow: ['93.184.216.0/24'] } })).sandbox.id
})
afterEach(() => world[Symbol.asyncDispose]())

const allowed = () => world.router.interfaces.get(id)?.rules?.allow4.length
const asked = (step: string) => world.router.steps.filter((each) => each.startsWith(step)).length

/** What the kernel does with the interface of a sandbox whose processes end. */
async function pause(depth: 'memory' | 'filesystem'): Promise<void> {
  await server.useCases.pauseSandbox(id, { depth })
  if (depth === 'filesystem') world.router.interfaces.delete(id)
}

test('a network is kept in RAM as it is, and nothing is asked of the router for it', async () => {
  await pause('memory')
  const before = [asked('plug'), asked('setRules')]
  await server.useCases.resumeSandbox(id, {})
  expect([asked('plug'), asked('setRules')]).toEqual(before)
  expect(server.doors[0]?.find('198.18.0.16')?.id).toBe(id)
})

test('a network is made anew with the processes, and what was sent is counted on', async () => {
  Object.assign(world.router.interfaces.get(id)!, { up: 100, down: 10 })
  await pause('filesystem')
  expect(server.doors[0]?.find('198.18.0.16')).toBeNull()
  expect(await server.useCases.getNetwork(id)).toMatchObject({ addresses: [], uploadedBytes: 100 })
  await server.useCases.resumeSandbox(id, {})
  expect(allowed()).toBe(1)
  Object.assign(world.router.interfaces.get(id)!, { up: 5, down: 1 })
  expect(await server.useCases.getNetwork(id)).toMatchObject({ uploadedBytes: 105, downloadedBytes: 11 })
  const { totalNetworkEgressBytes } = await server.useCases.getStats({})
  expect(totalNetworkEgressBytes).toBe(105)
})

test.each(['memory', 'filesystem'] as const)(
  'rules that are changed while it is paused to its %s are in force before it goes on',
  async (depth) => {
    await pause(depth)
    await server.useCases.setNetwork(id, { allow: ['93.184.216.0/24', '8.8.8.0/24'] })
    expect((await server.useCases.getSandbox(id)).pause).not.toBeNull()
    const { thaw } = server.context.driver.memory!
    let inForce: number | undefined
    server.context.driver.memory!.thaw = async (...args) => {
      inForce = allowed()
      return thaw.apply(server.context.driver.memory, args)
    }
    await server.useCases.resumeSandbox(id, {})
    expect(depth === 'memory' ? inForce : allowed()).toBe(2)
  },
)

test('a network that is taken away or given while it is paused is so when it goes on', async () => {
  await pause('memory')
  await server.useCases.setNetwork(id, false)
  expect(world.router.interfaces.has(id)).toBe(false)
  await server.useCases.resumeSandbox(id, {})
  expect(world.router.interfaces.has(id)).toBe(false)
  await pause('filesystem')
  await server.useCases.setNetwork(id, true)
  expect(world.router.interfaces.has(id)).toBe(false)
  await server.useCases.resumeSandbox(id, {})
  expect(world.router.interfaces.has(id)).toBe(true)
})

test('the next server knows the interface of a frozen sandbox again before it goes on', async () => {
  await pause('memory')
  server.die()
  server = await start()
  await server.useCases.resumeSandbox(id, {})
  expect(server.doors[0]?.find('198.18.0.16')?.id).toBe(id)
  expect(allowed()).toBe(1)
})
