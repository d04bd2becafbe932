import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Driver, MemoryHand } from '../../runtime/driver.ts'
import type { MemoryDriver } from '../../runtime/memory/index.ts'
import type { UseCases } from '../use-cases.ts'
import { follow, type Server, until, World } from '../world.test-kit.ts'
import { frozen } from './frozen.ts'
import { noting } from './noted.ts'

let world: World
let server: Server
let id: string
/** A command that waits inside while its sandbox is paused. */
let kept: string
beforeEach(async () => {
  world = await World.make()
  server = await world.server({ config: { dumpAfter: null } })
  id = (await server.useCases.createSandbox({ ports: [3000] })).sandbox.id
  kept = (await server.useCases.createJob(id, { argv: ['sleep', '1000'] })).id
})
afterEach(() => world[Symbol.asyncDispose]())

const page = { limit: 10, offset: 0, direction: 'asc' } as const
const status = async () => (await server.useCases.getSandbox(id)).status
async function* bytes(text: string) {
  yield Buffer.from(text)
}

const RESUMES: [string, string, (api: UseCases) => Promise<unknown>][] = [
  ['a command', 'exec', (api) => api.startExecution(id, { argv: ['true'] })],
  ['a job', 'exec', (api) => api.createJob(id, { argv: ['true'] })],
  ['a file that is written', 'file', (api) => api.writeFile(id, { path: 'a', parents: true }, bytes('a'))],
  [
    'a directory that is listed',
    'file',
    (api) => api.listFiles(id, { path: '.', depth: 1, attributes: false }),
  ],
  ['somebody who watches files', 'file', (api) => api.watchFiles(id, { path: '.', recursive: false })],
  ['a connection to a port', 'dial', (api) => api.dial(id, 3000).catch(() => {})],
  [
    'a signal to what waits inside',
    'exec',
    (api) => api.killExecution(kept, { signal: 'SIGKILL', scope: 'tree' }),
  ],
  ['stopping a job that waits inside', 'exec', (api) => api.stopJob(id, kept, true)],
]

const LEAVES: [string, (api: UseCases) => Promise<unknown>][] = [
  ['reading the sandbox', (api) => api.getSandbox(id)],
  ['listing executions', (api) => api.listExecutions(id, page)],
  ['reading an execution that waits inside', (api) => api.getExecution(kept)],
  ['reading its output', (api) => api.readOutput(kept, { offset: 0 }, true)],
  ['reading events', (api) => api.listEvents(id, page)],
  ['reading usage', (api) => api.getUsage(id)],
  ['statistics', (api) => api.getStats({})],
  ['reading the environment', (api) => api.getEnvironment(id)],
  ['changing the environment', (api) => api.updateEnvironment(id, { A: '1' })],
  ['changing the sandbox', (api) => api.updateSandbox(id, { description: 'new' })],
  ['reading the network', (api) => api.getNetwork(id)],
  ['listing ports', (api) => api.listPorts(id)],
  ['exposing a port', (api) => api.exposePort(id, 3001, { access: 'private' })],
  ['a link to a port', (api) => api.linkPort(id, 3000, { ttl: '1h' })],
  ['a link to a file', (api) => api.signFile(id, { path: 'a', operation: 'read' })],
  ['coming to an exposed port', (api) => api.reachPort(id, 3000)],
]

describe.each(['memory', 'filesystem'] as const)('a sandbox that is paused to its %s', (depth) => {
  beforeEach(async () => {
    await server.useCases.pauseSandbox(id, { depth })
  })
  const cases = RESUMES.filter(([name]) => depth === 'memory' || !name.includes('waits inside'))

  test.each(cases)('is resumed by %s', async (_, by, need) => {
    const noted = { resumed: false }
    await noting(noted, () => need(server.useCases))
    expect(['idle', 'running']).toContain(await status())
    const { events } = await server.useCases.listEvents(id, { ...page, type: 'resume' })
    expect(events).toMatchObject([{ payload: { by, auto: true, depth } }])
    expect(noted.resumed).toBe(true)
  })

  test.each(LEAVES)('is left alone by %s', async (_, look) => {
    const before = await status()
    await look(server.useCases)
    expect(await status()).toBe(before)
  })
})

test('what is changed while a sandbox is paused holds when it is resumed', async () => {
  await server.useCases.pauseSandbox(id, { depth: 'memory' })
  await server.useCases.updateEnvironment(id, { COLOUR: 'green' })
  await server.useCases.updateSandbox(id, { description: 'changed' })
  const { id: execution } = await server.useCases.startExecution(id, { argv: ['env'] })
  expect((await follow(server, execution)).text).toContain('COLOUR=green\n')
  expect(await server.useCases.getSandbox(id)).toMatchObject({ description: 'changed' })
})

test('a request to an exposed port resumes only where that was asked for', async () => {
  const willing = (await server.useCases.createSandbox({ ports: [3000], resumeOnRequest: true })).sandbox.id
  for (const each of [id, willing]) await server.useCases.pauseSandbox(each, {})
  const reached = await server.useCases.reachPort(id, 3000)
  await expect(reached.awake()).rejects.toMatchObject({ code: 'invalid_transition' })
  expect(await status()).toBe('paused')
  const port = await (await server.useCases.reachPort(willing, 3000)).awake()
  expect(port.sandbox).toBe(willing)
  expect((await server.useCases.getSandbox(willing)).status).toBe('idle')
})

test('who looks on is told when the sandbox is paused, and does not resume it', async () => {
  const changes = await server.useCases.watchFiles(id, { path: '.', recursive: false })
  const watching = (async () => {
    for await (const _ of changes);
  })()
  const ended = expect(watching).rejects.toMatchObject({ code: 'agent_lost' })
  await server.useCases.pauseSandbox(id, { depth: 'memory' })
  await ended
  expect(await status()).toBe('paused')
})

test('frozen work sees nothing run, waits for its turn, and leaves the sandbox running', async () => {
  const record = (await world.store.sandboxes.get(id))!
  const seen: boolean[] = []
  const gate = Promise.withResolvers<void>()
  const work = frozen(server.context, record, async () => {
    seen.push(world.host.sandboxes.get(id)!.agent.frozen)
    await gate.promise
  })
  const pausing = server.useCases.pauseSandbox(id, { depth: 'memory' })
  await until(() => seen.length === 1)
  expect((await world.store.sandboxes.get(id))?.state).toBe('ready')
  gate.resolve()
  await work
  expect(seen).toEqual([true])
  expect((await pausing).status).toBe('paused')
  // One that is paused stays so.
  await frozen(server.context, record, async () => {})
  expect(world.host.sandboxes.get(id)!.agent.frozen).toBe(true)
})

describe('what fails', () => {
  /** A server on which steps of the driver fail while they are in the set. */
  async function failing(): Promise<{
    broken: Set<keyof MemoryHand | 'start' | 'stop'>
    on: Server
    box: string
  }> {
    const broken = new Set<keyof MemoryHand | 'start' | 'stop'>()
    const wrap = <T extends object>(target: T): T =>
      new Proxy(target, {
        get(of, name) {
          const value = Reflect.get(of, name, of)
          if (name === 'memory') return wrap(value as MemoryHand)
          if (typeof value !== 'function') return value
          return async (...args: unknown[]) => {
            if (broken.has(name as 'start')) throw new Error(`${String(name)} does not work`)
            return value.apply(of, args)
          }
        },
      })
    const driver = (memory: MemoryDriver): Driver => {
      const wrapped = wrap(memory)
      return Object.assign(Object.create(wrapped), { onEnded: memory.onEnded.bind(memory) }) as Driver
    }
    const on = await world.server({ config: { dumpAfter: null }, driver })
    return { broken, on, box: (await on.useCases.createSandbox({})).sandbox.id }
  }

  test('a pause that fails leaves the sandbox running with all that it did', async () => {
    const { broken, on, box } = await failing()
    const { id: cat } = await on.useCases.startExecution(box, { argv: ['cat'], stdin: true })
    broken.add('freeze').add('stop')
    for (const depth of ['memory', 'filesystem'] as const)
      await expect(on.useCases.pauseSandbox(box, { depth })).rejects.toMatchObject({
        code: 'pause_failed',
        details: { state: 'It runs as before.' },
      })
    broken.clear()
    expect(await on.useCases.getSandbox(box)).toMatchObject({ status: 'running', pause: null })
    await on.useCases.writeStdin(cat, bytes('still here'), true)
    expect(await follow(on, cat)).toMatchObject({ text: 'still here', exitCode: 0 })
    const { events } = await on.useCases.listEvents(box, { ...page, type: 'pause:failed' })
    expect(events).toHaveLength(2)
  })

  test('a resume that fails leaves the sandbox paused with all that it has', async () => {
    const { broken, on, box } = await failing()
    const { id: cat } = await on.useCases.startExecution(box, { argv: ['cat'], stdin: true })
    await on.useCases.pauseSandbox(box, { depth: 'memory' })
    broken.add('thaw')
    await expect(on.useCases.startExecution(box, { argv: ['true'] })).rejects.toMatchObject({
      code: 'resume_failed',
    })
    expect(await on.useCases.getSandbox(box)).toMatchObject({ status: 'paused', pause: { memory: 'ram' } })
    broken.clear()
    await on.useCases.writeStdin(cat, bytes('still here'), true)
    expect(await follow(on, cat)).toMatchObject({ text: 'still here', exitCode: 0 })

    await on.useCases.pauseSandbox(box, { depth: 'filesystem' })
    broken.add('start')
    await expect(on.useCases.resumeSandbox(box, {})).rejects.toMatchObject({ code: 'resume_failed' })
    broken.clear()
    expect(await on.useCases.getSandbox(box)).toMatchObject({ status: 'suspended' })
    expect(await on.useCases.resumeSandbox(box, {})).toMatchObject({ status: 'idle' })
  })

  test('a frozen sandbox that is ended from outside keeps its files', async () => {
    await server.useCases.pauseSandbox(id, { depth: 'memory' })
    world.host.end(id, 'SIGKILL')
    await until(async () => (await status()) === 'suspended')
    expect(await server.useCases.getExecution(kept)).toMatchObject({ ending: 'host-lost' })
    expect((await server.useCases.listEvents(id, { ...page, type: 'memory:lost' })).total).toBe(1)
    await server.useCases.resumeSandbox(id, {})
  })
})
