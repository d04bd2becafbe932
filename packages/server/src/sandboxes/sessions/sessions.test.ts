import { afterEach, beforeEach, expect, test } from 'vitest'
import { follow, type Server, until, World } from '../world.test-kit.ts'

let world: World
let server: Server
beforeEach(async () => {
  world = await World.make()
  server = await world.server()
})
afterEach(() => world[Symbol.asyncDispose]())

const all = { limit: 50, offset: 0, sort: 'created', direction: 'asc' } as const

test('a session is recorded, started by its first command, and its sandbox is used again', async () => {
  const { useCases } = server
  const session = await useCases.createSession({ name: 'chat', metadata: { user: 'ada' } })
  expect(session).toMatchObject({ name: 'chat', status: 'recorded', bootedAt: null, pauseAfterMs: 3_600_000 })
  expect([world.host.sandboxes.size, world.layers.roots.size]).toEqual([0, 0])

  const run = async () => {
    const { id } = await useCases.startExecution(session.sandboxId, { argv: ['echo', 'hi'] })
    return follow(server, id)
  }
  expect(await run()).toMatchObject({ text: 'hi\n', autoResumed: true })
  expect(await useCases.getSession('chat')).toMatchObject({ id: session.id, status: 'active' })
  expect(
    await useCases.statFile(session.sandboxId, { path: session.workspace, follow: true, attributes: false }),
  ).toMatchObject({
    type: 'directory',
    owner: 'agent',
  })
  expect(await run()).toMatchObject({ text: 'hi\n', autoResumed: false })
  await useCases.pauseSandbox(session.sandboxId, {})
  expect(await useCases.getSession(session.id)).toMatchObject({ status: 'paused' })
  expect(world.layers.roots.get(session.sandboxId)?.keptOnly).toBe(session.workspace)
  expect(await run()).toMatchObject({ text: 'hi\n', autoResumed: true })
})

test('a session is paused some time after its start, when nothing runs', async () => {
  const { useCases } = server
  const { id, sandboxId } = await useCases.createSession({ pauseAfter: 50 })
  const running = await useCases.startExecution(sandboxId, { argv: ['sleep', '1000'] })
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(await useCases.getSession(id)).toMatchObject({ status: 'active' })
  await useCases.killExecution(running.id, { signal: 'SIGKILL', scope: 'tree' })
  await until(async () => (await useCases.getSession(id)).status === 'paused')
  expect(await useCases.getSandbox(sandboxId)).toMatchObject({ pause: { depth: 'workspace' } })
})

test('a session is deleted with its sandbox, and the other way round', async () => {
  const { useCases } = server
  const one = await useCases.createSession({ name: 'one' })
  const two = await useCases.createSession({ name: 'two' })
  await useCases.startExecution(two.sandboxId, { argv: ['true'] })
  expect(await useCases.deleteSession('one')).toMatchObject({ status: 'deleted' })
  await useCases.deleteSandbox(two.sandboxId)
  expect(await useCases.getSession(two.id)).toMatchObject({ status: 'deleted' })
  expect(await useCases.getSandbox(one.sandboxId)).toMatchObject({ ending: { reason: 'session-deleted' } })
  expect((await useCases.listSessions(all)).total).toBe(0)
  expect((await useCases.listSessions({ ...all, all: true })).total).toBe(2)
  // The name is free again.
  expect((await useCases.createSession({ name: 'one' })).id).not.toBe(one.id)
  expect(server.context.idBases.size).toBe(1)
})

test('a recorded session is there after a restart, and a repeated request finds it', async () => {
  const input = { name: 'chat', sandbox: { ttl: '1h' } }
  const first = await server.useCases.createSession(input, { idempotencyKey: 'k' })
  server.die()
  server = await world.server()
  expect(await server.useCases.createSession(input, { idempotencyKey: 'k' })).toEqual(first)
  await expect(server.useCases.createSession({}, { idempotencyKey: 'k' })).rejects.toMatchObject({
    code: 'idempotency_conflict',
  })
  await expect(server.useCases.createSession({ name: 'chat' })).rejects.toMatchObject({ code: 'name_taken' })
  await server.useCases.startExecution(first.sandboxId, { argv: ['true'] })
  const { expiresAt, status } = await server.useCases.getSandbox(first.sandboxId)
  expect(expiresAt).not.toBeNull()
  expect(['idle', 'running']).toContain(status)
  expect(server.context.idBases.size).toBe(1)
})

test('files at the creation are refused, since there is nothing to write them to', async () => {
  const files = [{ path: 'a', content: 'b', encoding: 'utf8' as const }]
  const sandbox = { files }
  await expect(server.useCases.createSession({ sandbox })).rejects.toMatchObject({ code: 'invalid_request' })
  expect(server.context.idBases.size).toBe(0)
})
