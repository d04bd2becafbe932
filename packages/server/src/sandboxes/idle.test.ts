import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { UseCases } from './use-cases.ts'
import { follow, type Server, until, World } from './world.test-kit.ts'

let world: World
let server: Server
let id: string
beforeEach(async () => {
  world = await World.make()
  server = await world.server()
  id = (await server.useCases.createSandbox({})).sandbox.id
})
afterEach(() => world[Symbol.asyncDispose]())

type Stop = () => unknown
const argv = ['sleep', '1000']

async function* bytes(gate: Promise<void>): AsyncGenerator<Uint8Array> {
  yield Buffer.from('first')
  await gate
}

/** What goes on until it is stopped, and whether it counts; docs/idle.md says the same. */
const COUNTS: [string, (api: UseCases) => Promise<Stop>][] = [
  [
    'a command that nobody watches',
    async (api) => {
      const { id: execution } = await api.startExecution(id, { argv })
      return () => api.killExecution(execution, { signal: 'SIGKILL', scope: 'tree' })
    },
  ],
  [
    'a terminal',
    async (api) => {
      const { id: execution } = await api.startExecution(id, { argv, tty: { cols: 80, rows: 24 } })
      return () => api.killExecution(execution, { signal: 'SIGKILL', scope: 'tree' })
    },
  ],
  [
    'a job',
    async (api) => {
      const job = await api.createJob(id, { argv })
      return () => api.stopJob(id, job.id, true)
    },
  ],
  [
    'an upload',
    async (api) => {
      const gate = Promise.withResolvers<void>()
      const query = { path: 'up', offset: 0, parents: true }
      const written = api.writeFile(id, query, bytes(gate.promise))
      return () => {
        gate.resolve()
        return written
      }
    },
  ],
  [
    'a download',
    async (api) => {
      await api.writeFile(id, { path: 'down', parents: true }, bytes(Promise.resolve()))
      const { data } = await api.readFile(id, { path: 'down', offset: 0 })
      return async () => {
        for await (const _ of data);
      }
    },
  ],
]

const COUNTS_NOT: [string, (api: UseCases, ended: string) => Promise<unknown>][] = [
  ['reading the sandbox', (api) => api.getSandbox(id)],
  ['listing executions', (api) => api.listExecutions(id, { limit: 10, offset: 0, direction: 'asc' })],
  ['listing jobs', (api) => api.listJobs(id, { limit: 10, offset: 0, direction: 'asc' })],
  ['reading events', (api) => api.listEvents(id, { limit: 10, offset: 0, direction: 'asc' })],
  ['reading usage', (api) => api.getUsage(id)],
  ['reading statistics', (api) => api.getStats({})],
  ['reading the environment', (api) => api.getEnvironment(id)],
  ['changing the environment', (api) => api.updateEnvironment(id, { A: '1' })],
  ['changing the sandbox', (api) => api.updateSandbox(id, { description: 'new' })],
  [
    'following the output of a command that has ended',
    async (api, ended) => {
      const { chunks } = await api.readOutput(ended, { offset: 0 }, true)
      for await (const _ of chunks);
    },
  ],
  [
    'following its logs',
    async (api, ended) => {
      const query = { stream: 'all', follow: true, offset: 0, timestamps: false } as const
      for await (const _ of await api.readLogs(ended, query));
    },
  ],
]

const shown = async () => server.useCases.getSandbox(id)

describe('is activity:', () => {
  test.each(COUNTS)('%s', async (_, begin) => {
    const stop = await begin(server.useCases)
    expect((await shown()).status).toBe('running')
    await stop()
    await until(async () => (await shown()).status === 'idle')
  })

  test('a connection to a port, until it is closed', async () => {
    const listener = await server.useCases.createJob(id, { argv: ['listen', '8080'] })
    const output = await server.useCases.readOutput(listener.id, { offset: 0 }, true)
    for await (const _ of output.chunks) break
    const connection = await server.useCases.dial(id, 8080)
    connection.on('error', () => {})
    expect(server.context.live.get(id)?.requests).toBe(1)
    connection.destroy()
    await until(() => server.context.live.get(id)?.requests === 0)
    await expect(server.useCases.dial(id, 8081)).rejects.toMatchObject({ code: 'port_closed' })
    expect(server.context.live.get(id)?.requests).toBe(0)
  })
})

test('a connection to a port breaks with the server', async () => {
  const listener = await server.useCases.createJob(id, { argv: ['listen', '8080'] })
  const output = await server.useCases.readOutput(listener.id, { offset: 0 }, true)
  for await (const _ of output.chunks) break
  const connection = await server.useCases.dial(id, 8080)
  const broken = new Promise((resolve) => connection.on('error', () => {}).on('close', resolve))
  server.die()
  await broken
  const next = await world.server()
  expect((await next.useCases.getJob(id, listener.id)).status).toBe('running')
  expect(next.context.live.get(id)?.requests).toBe(0)
})

test.each([0, -1, 65_536, 1.5, Number.NaN])('port %s is refused', async (port) => {
  await expect(server.useCases.dial(id, port)).rejects.toMatchObject({ code: 'invalid_request' })
})

describe('is no activity:', () => {
  test.each(COUNTS_NOT)('%s', async (_, look) => {
    const ended = await server.useCases.startExecution(id, { argv: ['echo', 'hi'] })
    await follow(server, ended.id)
    await until(async () => (await shown()).status === 'idle')
    const before = await shown()
    const looking = look(server.useCases, ended.id)
    expect((await shown()).status).toBe('idle')
    await looking
    expect((await shown()).lastActiveAt).toBe(before.lastActiveAt)
  })

  test('watching files', async () => {
    const left = new AbortController()
    const query = { path: '.', recursive: false }
    const changes = await server.useCases.watchFiles(id, query, left.signal)
    const watching = (async () => {
      for await (const _ of changes);
    })().catch(() => {})
    expect((await shown()).status).toBe('idle')
    left.abort()
    await watching
  })
})

test('a job outlives the idle timeout, and its sandbox ends so long after it', async () => {
  const { sandbox } = await server.useCases.createSandbox({ idleTimeout: 50 })
  const job = await server.useCases.createJob(sandbox.id, { argv: ['sleep', '0.3'] })
  await follow(server, job.id)
  expect(await server.useCases.getJob(sandbox.id, job.id)).toMatchObject({ status: 'completed' })
  await until(async () => (await server.useCases.getSandbox(sandbox.id)).endedAt !== null)
  const query = { limit: 100, offset: 0, direction: 'desc' } as const
  const { events } = await server.useCases.listEvents(sandbox.id, query)
  expect(events[0]).toMatchObject({ type: 'lifecycle:terminated', payload: { reason: 'idle-timeout' } })
})
