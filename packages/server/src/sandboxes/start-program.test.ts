import { afterEach, beforeEach, expect, test } from 'vitest'
import type { StartProgram } from '../core/records.ts'
import { aSnapshot } from '../state/fixtures.ts'
import { follow, type Server, until, World } from './world.test-kit.ts'

const page = { limit: 10, offset: 0, direction: 'asc' } as const

let world: World
let server: Server
beforeEach(async () => {
  world = await World.make()
  server = await world.server()
})
afterEach(() => world[Symbol.asyncDispose]())

/** A snapshot of an empty sandbox, with a program that runs in what is made of it. */
async function snapshot(start: StartProgram | null, workdir: string | null = null): Promise<string> {
  const { useCases } = server
  const { sandbox } = await useCases.createSandbox({ idleTimeout: 0 })
  const made = await useCases.createSnapshot(sandbox.id, {})
  const record = await world.store.snapshots.get(made.id)
  const own = { ...record!, id: aSnapshot().id, tag: null, start, workdir }
  await world.store.snapshots.insert(own)
  return own.id
}

async function make(start: StartProgram | null, input = {}): Promise<string> {
  const { sandbox } = await server.useCases.createSandbox({ snapshot: await snapshot(start), ...input })
  return sandbox.id
}

const jobs = async (id: string) => (await server.useCases.listJobs(id, page)).jobs
const program = { command: 'sleep 1000', ready: null }

test('it runs, as a job, and the sandbox is idle', async () => {
  const id = await make(program)
  expect(await jobs(id)).toMatchObject([{ tag: 'start', status: 'running' }])
  const shown = await server.useCases.getSandbox(id)
  expect(shown).toMatchObject({ status: 'idle', executionCount: 0, startCommand: 'sleep 1000' })
  const { lastActiveAt } = shown
  await server.useCases.stopJob(id, (await jobs(id))[0]!.id, true)
  expect((await server.useCases.getSandbox(id)).lastActiveAt).toBe(lastActiveAt)
})

test('it outlives no idle timeout', async () => {
  const id = await make(program, { idleTimeout: 50 })
  await until(async () => (await server.useCases.getSandbox(id)).endedAt !== null)
  expect((await server.useCases.getSandbox(id)).ending?.reason).toBe('idle-timeout')
  expect(await jobs(id)).toMatchObject([{ status: 'failed' }])
})

test('it runs anew after a pause that ended it, and is followed on by another server', async () => {
  const id = await make({ command: 'echo hello', ready: null })
  await follow(server, (await jobs(id))[0]!.id)
  await server.useCases.pauseSandbox(id, { depth: 'filesystem' })
  await server.useCases.resumeSandbox(id, {})
  const all = await jobs(id)
  expect(all.length).toBe(2)
  for (const job of all) expect((await follow(server, job.id)).text).toBe('hello\n')

  const lasting = await make(program)
  server.die()
  server = await world.server()
  expect(await jobs(lasting)).toMatchObject([{ tag: 'start', status: 'running' }])
  expect(server.context.live.get(lasting)?.busy).toBe(false)
})

test('one whose program cannot be started is not made, and leaves nothing', async () => {
  const from = await snapshot({ command: 'x', ready: null })
  const before = [...world.layers.roots.keys()]
  const broken = aSnapshot({
    ...(await world.store.snapshots.get(from))!,
    id: aSnapshot().id,
    user: 'nobody-here',
    tag: null,
  })
  await world.store.snapshots.insert(broken)
  await expect(server.useCases.createSandbox({ snapshot: broken.id })).rejects.toMatchObject({
    code: expect.any(String),
  })
  expect([...world.layers.roots.keys()]).toEqual(before)
})

test('commands that name no directory run in the one of their sandbox', async () => {
  const id = (await server.useCases.createSandbox({ snapshot: await snapshot(null, '/work') })).sandbox.id
  await expect(server.useCases.startExecution(id, { argv: ['pwd'] })).rejects.toThrow('/work')
  await server.useCases.makeDirectory(id, { path: '/work', parents: true })
  const pwd = async (cwd?: string) => {
    const input = { argv: ['pwd'], ...(cwd !== undefined && { cwd }) }
    const { id: execution, cwd: told } = await server.useCases.startExecution(id, input)
    return [(await follow(server, execution)).text, told]
  }
  expect(await pwd()).toEqual(['/work\n', null])
  expect(await pwd('/')).toEqual(['/\n', '/'])
  expect(await server.useCases.getSandbox(id)).toMatchObject({ workdir: '/work' })
})

test('ports that a program listens on are for those with a token, unless more was asked for', async () => {
  const start = { ...program, ports: [49_999, 3000] }
  const id = await make(start, { ports: [{ port: 3000, access: 'public' }], allPorts: 'public' })
  const { ports } = await server.useCases.getSandbox(id)
  expect(ports.map(({ port, access }) => [port, access])).toEqual([
    [3000, 'public'],
    [49_999, 'private'],
  ])
  const { sandboxes } = await server.useCases.forkSandbox(id, { count: 1, memory: false })
  expect(sandboxes[0]).toMatchObject({ allPorts: 'public', startCommand: 'sleep 1000' })
  expect(sandboxes[0]?.ports.map(({ port, access }) => [port, access])).toEqual([
    [3000, 'public'],
    [49_999, 'private'],
  ])
})

test('internal sandboxes run none', async () => {
  const { createLive } = await import('./create-live.ts')
  const made = { image: null, layers: [], from: null, record: { start: program, internal: 'build' as const } }
  const { live } = await createLive(server.context, {}, 'oneshot', made)
  expect(live.executions.size).toBe(0)
})
