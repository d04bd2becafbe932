import { afterEach, beforeEach, expect, test } from 'vitest'
import { follow, type Server, until, World } from './world.test-kit.ts'

let world: World
let server: Server
let id: string
beforeEach(async () => {
  world = await World.make()
  server = await world.server()
  id = (await server.useCases.createSandbox({ env: { A: '1', B: '2' } })).sandbox.id
})
afterEach(() => world[Symbol.asyncDispose]())

async function seen(by = server): Promise<string[]> {
  const { id: execution } = await by.useCases.startExecution(id, { argv: ['env'] })
  return (await follow(by, execution)).text.split('\n')
}

test('later commands see a change, and so do those of the next server', async () => {
  expect(await server.useCases.updateEnvironment(id, { A: null, C: '3' })).toEqual({ B: '2', C: '3' })
  expect(await server.useCases.getEnvironment(id)).toEqual({ B: '2', C: '3' })
  expect(await seen()).toEqual(expect.arrayContaining(['B=2', 'C=3']))
  expect((await seen()).some((line) => line.startsWith('A='))).toBe(false)
  server.die()
  expect(await seen(await world.server())).toEqual(expect.arrayContaining(['B=2', 'C=3']))
})

test('the environment of one command goes before that of the sandbox', async () => {
  const { id: execution } = await server.useCases.startExecution(id, { argv: ['env'], env: { A: 'own' } })
  expect((await follow(server, execution)).text).toContain('A=own\n')
  expect(await server.useCases.getEnvironment(id)).toEqual({ A: '1', B: '2' })
})

test('changes at the same time all arrive', async () => {
  const names = Array.from({ length: 8 }, (_, index) => `V${index}`)
  const changes = names.map((name) => server.useCases.updateEnvironment(id, { [name]: name }))
  await Promise.all([...changes, server.useCases.updateSandbox(id, { description: 'new' })])
  expect(Object.keys(await server.useCases.getEnvironment(id))).toEqual(expect.arrayContaining(names))
  expect((await server.useCases.getSandbox(id)).description).toBe('new')
})

test.each([{ CAISSON_SANDBOX: 'x' }, { 'A B': 'x' }, { A: 'x\0' }, { A: 'x'.repeat(131_072) }])(
  '%.40j is refused and changes nothing',
  async (change) => {
    const refused = { code: 'invalid_request' }
    await expect(server.useCases.updateEnvironment(id, change as never)).rejects.toMatchObject(refused)
    expect(await server.useCases.getEnvironment(id)).toEqual({ A: '1', B: '2' })
  },
)

test('what would not fit a start is refused at creation, too', async () => {
  const env = { A: 'x'.repeat(100_000), B: 'x'.repeat(100_000) }
  await expect(server.useCases.createSandbox({ env })).rejects.toMatchObject({ code: 'invalid_request' })
})

test('a sandbox that has ended keeps its environment and takes no change', async () => {
  await server.useCases.deleteSandbox(id)
  await until(async () => (await server.useCases.getSandbox(id)).endedAt !== null)
  expect(await server.useCases.getEnvironment(id)).toEqual({ A: '1', B: '2' })
  await expect(server.useCases.updateEnvironment(id, { A: null })).rejects.toMatchObject({
    code: 'sandbox_ended',
  })
})
