import type { SandboxError } from '@caisson/protocol/errors'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { follow, type Server, World } from '../world.test-kit.ts'
import { dumpNow } from './dump.ts'

let world: World
let server: Server
let id: string
beforeEach(async () => {
  world = await World.make()
  server = await world.server({ config: { dumpAfter: null } })
  id = (await server.useCases.createSandbox({})).sandbox.id
})
afterEach(() => world[Symbol.asyncDispose]())

const sleep = ['sleep', '1000']
const events = async (type: string) =>
  (await server.useCases.listEvents(id, { type, limit: 50, offset: 0, direction: 'asc' })).events

async function echo(on = server): Promise<{ text: string; autoResumed: boolean }> {
  const { id: execution, autoResumed } = await on.useCases.startExecution(id, { argv: ['echo', 'hello'] })
  return { text: (await follow(on, execution)).text, autoResumed }
}

test.each(['memory', 'filesystem', 'workspace'] as const)(
  'a pause of depth %s is undone by a resume, or by the first need of it',
  async (depth) => {
    const paused = await server.useCases.pauseSandbox(id, { depth })
    const memory = depth === 'memory' ? 'ram' : 'none'
    expect(paused).toMatchObject({
      status: memory === 'ram' ? 'paused' : 'suspended',
      pause: { depth, memory },
    })
    expect(await server.useCases.getSandbox(id)).toEqual(paused)
    expect(await server.useCases.resumeSandbox(id, {})).toMatchObject({ status: 'idle', pause: null })
    expect(await echo()).toEqual({ text: 'hello\n', autoResumed: false })
    await server.useCases.pauseSandbox(id, { depth })
    expect(await echo()).toEqual({ text: 'hello\n', autoResumed: true })
    expect(await events('pause')).toMatchObject([
      { payload: { depth, memory, reason: 'asked' } },
      { payload: { depth } },
    ])
    expect(await events('resume')).toMatchObject([
      { payload: { auto: false, by: 'asked' } },
      { payload: { auto: true, by: 'exec' } },
    ])
  },
)

test('what runs is kept by a pause of its memory, on disk too, and ended by others', async () => {
  const { id: kept } = await server.useCases.startExecution(id, { argv: ['cat'], stdin: true })
  const followed = follow(server, kept)
  await server.useCases.pauseSandbox(id, { depth: 'memory' })
  expect(await server.useCases.getExecution(kept)).toMatchObject({ state: 'running' })
  await server.useCases.resumeSandbox(id, {})
  async function* bytes(text: string) {
    yield Buffer.from(text)
  }
  await server.useCases.writeStdin(kept, bytes('one '), false)
  await server.useCases.pauseSandbox(id, { depth: 'memory' })
  await dumpNow(server.context, id)
  expect(await server.useCases.getSandbox(id)).toMatchObject({
    status: 'suspended',
    pause: { memory: 'disk' },
  })
  // Input for it resumes it.
  await server.useCases.writeStdin(kept, bytes('two'), true)
  expect(await followed).toMatchObject({ text: 'one two', ending: 'exited', exitCode: 0 })
  expect(world.host.dumps.size).toBe(0)

  const { id: ended } = await server.useCases.startExecution(id, { argv: sleep })
  await server.useCases.pauseSandbox(id, { depth: 'filesystem' })
  expect(await server.useCases.getExecution(ended)).toMatchObject({ ending: 'sandbox-ended' })
})

test('a pause can be made deeper, and not less deep', async () => {
  const { id: running } = await server.useCases.startExecution(id, { argv: sleep })
  const pause = (depth: 'memory' | 'filesystem' | 'workspace') => server.useCases.pauseSandbox(id, { depth })
  const { pause: first } = await pause('memory')
  expect(await pause('filesystem')).toMatchObject({
    pause: { depth: 'filesystem', memory: 'none', since: first?.since },
  })
  expect(await server.useCases.getExecution(running)).toMatchObject({ ending: 'sandbox-ended' })
  expect(world.host.sandboxes.size).toBe(0)
  expect(await pause('memory')).toMatchObject({ pause: { depth: 'filesystem' } })
  expect(await pause('workspace')).toMatchObject({ pause: { depth: 'workspace' } })
  expect(world.layers.roots.get(id)?.keptOnly).toBe('/home/agent/workspace')
  expect(await echo()).toMatchObject({ text: 'hello\n' })
})

test('many needs at once share one resume', async () => {
  await server.useCases.pauseSandbox(id, { depth: 'memory' })
  const results = await Promise.all(Array.from({ length: 20 }, () => echo()))
  expect(results).toEqual(results.map(() => ({ text: 'hello\n', autoResumed: true })))
  expect(await events('resume')).toHaveLength(1)
})

test('pauses, resumes, commands and a deletion at the same time end in the deletion', async () => {
  const { useCases } = server
  const work = Array.from({ length: 40 }, async (_, n) => {
    if (n % 4 === 0) await useCases.pauseSandbox(id, { depth: n % 8 === 0 ? 'memory' : 'filesystem' })
    else if (n % 4 === 1) await useCases.resumeSandbox(id, {})
    else await echo()
  })
  const outcomes = Promise.allSettled(work)
  await useCases.deleteSandbox(id)
  for (const outcome of await outcomes) {
    if (outcome.status === 'fulfilled') continue
    const code = (outcome.reason as SandboxError).code
    expect(['sandbox_ended', 'invalid_transition', 'agent_lost', 'execution_ended']).toContain(code)
  }
  expect(await useCases.getSandbox(id)).toMatchObject({ status: 'terminated' })
  expect([world.host.sandboxes.size, world.layers.roots.size, server.context.paused.size]).toEqual([0, 0, 0])
})
