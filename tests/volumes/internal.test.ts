import { type Operation, operations } from '@caisson/protocol/operations'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { examples } from '../../packages/server/src/api/v1/examples.ts'
import type { SandboxRecord } from '../../packages/server/src/core/records.ts'
import { createLive } from '../../packages/server/src/sandboxes/create-live.ts'
import { start } from '../../packages/server/src/sandboxes/launch-execution.ts'
import { type Server, World } from '../../packages/server/src/sandboxes/world.test-kit.ts'
import { startServer, type TestServer } from '../api/server.ts'

type Name = keyof typeof operations

let world: World
let server: Server
let api: TestServer
let key: string
/** A builder with a command that runs and one that has ended, and one that has ended itself. */
let known: { sandbox: string; running: string; over: string; ended: string }

beforeAll(async () => {
  world = await World.make()
  server = await world.server()
  api = await startServer({ useCases: server.useCases })
  const { secret } = await server.useCases.createKey({ name: 'k', scopes: ['admin'], format: 'caisson' })
  key = secret
  const { context } = server
  const made = { image: null, layers: [], from: null, record: { internal: 'build' as const } }
  const builder = async () => (await createLive(context, {}, 'oneshot', made)).live
  const live = await builder()
  const running = await start(context, live, { argv: ['sleep', '1000'] }, null)
  const over = await start(context, live, { argv: ['true'] }, null)
  await over.ended
  const { endSandbox } = await import('../../packages/server/src/sandboxes/end-sandbox.ts')
  const ended = await builder()
  await endSandbox(context, ended.record, 'completed')
  known = { sandbox: live.id, running: running.record.id, over: over.record.id, ended: ended.id }
})
afterAll(async () => {
  await api[Symbol.asyncDispose]()
  await world[Symbol.asyncDispose]()
})

const rows = Object.entries(operations) as [Name, Operation][]
const concerning = (param: string) => rows.filter(([, { http }]) => http.includes(`{${param}}`))

/** Asks for an operation with these ids in its path. */
async function ask(name: Name, ids: Record<string, string>) {
  const example = examples[name] as { query?: Record<string, string>; body?: unknown; upload?: string }
  const [method, path] = operations[name].http.split(' ') as [string, string]
  const others: Record<string, string> = { upload: 'up', checkpoint: 'ckpt_1', port: '3000' }
  const target = path.replaceAll(/\{(\w+)\}/g, (_, param) => ids[param] ?? others[param] ?? param)
  const query = new URLSearchParams(example.query).toString()
  const body = example.upload ?? (example.body === undefined ? undefined : JSON.stringify(example.body))
  const headers = { authorization: `Bearer ${key}` }
  return api.fetch(method, query === '' ? target : `${target}?${query}`, {
    headers,
    ...(body !== undefined && { body }),
  })
}

const record = async (id: string): Promise<SandboxRecord | null> => world.store.sandboxes.get(id)

describe('a sandbox that serves the server itself', () => {
  test('is not in lists, and not counted', async () => {
    const { useCases } = server
    const page = { limit: 100, offset: 0, sort: 'created', direction: 'desc' } as const
    expect(await useCases.listSandboxes({ ...page, all: true })).toEqual({ sandboxes: [], total: 0 })
    expect(await useCases.getStats({})).toMatchObject({ totalActive: 0, running: 0, idle: 0 })
    expect(useCases.gauges()).toMatchObject({ sandboxes: { idle: 0, running: 0 }, executionsRunning: 0 })
    expect((await useCases.getServer()).sandboxes).toBe(0)
  })

  test.each(concerning('id'))('does not exist for %s', async (name) => {
    const before = await record(known.sandbox)
    for (const id of [known.sandbox, known.ended]) {
      const reply = await ask(name, { id, job: known.running })
      expect([reply.status, reply.json.error.code]).toEqual([404, 'sandbox_not_found'])
    }
    expect(await record(known.sandbox)).toEqual(before)
    expect(server.context.live.get(known.sandbox)?.executions.has(known.running)).toBe(true)
  })

  test.each(concerning('execution').filter(([, { streams }]) => streams !== 'websocket'))(
    'has no execution for %s',
    async (name) => {
      for (const execution of [known.running, known.over]) {
        const reply = await ask(name, { execution })
        expect([reply.status, reply.json.error.code]).toEqual([404, 'execution_not_found'])
      }
      expect(server.context.live.get(known.sandbox)?.executions.has(known.running)).toBe(true)
    },
  )

  test('has none for a WebSocket', async () => {
    const url = `ws://127.0.0.1:${api.port}/v1/executions/${known.running}/connect`
    const ws = new WebSocket(url, ['caisson.v1'], { headers: { authorization: `Bearer ${key}` } })
    const told = await new Promise<string>((resolve, reject) => {
      ws.on('message', (data) => resolve(String(data)))
      ws.on('unexpected-response', (_, response) => resolve(String(response.statusCode)))
      ws.on('error', reject)
    })
    ws.terminate()
    expect(told).toMatch(/execution_not_found|^404$/)
  })

  test('is reached through no port, whatever its name is written like', async () => {
    const { useCases } = server
    const random = known.sandbox.slice(4)
    for (const id of [known.sandbox, `sbx-${random}`, `i${random}`, `SBX-${random.toUpperCase()}`]) {
      await expect(useCases.reachPort(id, 3000)).rejects.toMatchObject({ code: 'sandbox_not_found' })
      await expect(useCases.dial(id, 22)).rejects.toMatchObject({ code: 'sandbox_not_found' })
    }
  })

  test('is ended by the next server', async () => {
    server.die()
    const next = await world.server()
    expect(next.context.live.has(known.sandbox)).toBe(false)
    const ended = { state: 'terminated', ending: { reason: 'server-restarted' } }
    expect(await record(known.sandbox)).toMatchObject(ended)
    expect(world.host.sandboxes.size).toBe(0)
  })
})
