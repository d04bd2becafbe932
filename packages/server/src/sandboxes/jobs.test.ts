import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { anExecution, aSandbox } from '../state/fixtures.ts'
import { follow, type Server, until, World } from './world.test-kit.ts'

let world: World
let server: Server
let id: string
beforeEach(async () => {
  world = await World.make()
  server = await world.server({ config: { killGraceMs: 100 } })
  id = (await server.useCases.createSandbox({})).sandbox.id
})
afterEach(() => world[Symbol.asyncDispose]())

const page = { limit: 100, offset: 0, direction: 'asc' } as const

test('a job has an id of its own kind, a process, and keeps the end of its output', async () => {
  const job = await server.useCases.createJob(id, { argv: ['echo', 'hi'], tag: 'greeting' })
  expect(job).toMatchObject({ kind: 'job', tag: 'greeting', status: 'running', timeoutMs: null })
  expect(job.id).toMatch(/^job_/)
  expect(job.pid).toBeGreaterThan(0)
  expect((await follow(server, job.id)).text).toBe('hi\n')
  expect(await world.store.executions.get(job.id)).toMatchObject({ outputKeep: 'tail' })
  expect(await server.useCases.getJob(id, job.id)).toMatchObject({ status: 'completed', exitCode: 0 })
})

test('jobs are among the executions, and commands are not among the jobs', async () => {
  const command = await server.useCases.startExecution(id, { argv: ['true'], tag: 'a' })
  const job = await server.useCases.createJob(id, { argv: ['sleep', '1000'], tag: 'b' })
  await follow(server, command.id)
  const { jobs, total } = await server.useCases.listJobs(id, page)
  expect([jobs.map((one) => one.id), total]).toEqual([[job.id], 1])
  const list = async (query: object) =>
    (await server.useCases.listExecutions(id, { ...page, ...query })).executions.map((one) => one.id)
  expect(await list({})).toEqual([command.id, job.id])
  expect(await list({ kind: 'command' })).toEqual([command.id])
  expect(await list({ tag: 'b' })).toEqual([job.id])
  expect(await list({ state: 'running' })).toEqual([job.id])
  expect(await list({ state: 'ended', tag: 'b' })).toEqual([])
  expect(await list({ since: command.createdAt })).toEqual([command.id, job.id])
  expect(await list({ since: new Date(Date.now() + 60_000).toISOString() })).toEqual([])
})

test('a job belongs to its sandbox, and a command is no job', async () => {
  const other = (await server.useCases.createSandbox({})).sandbox.id
  const job = await server.useCases.createJob(id, { argv: ['sleep', '1000'] })
  const command = await server.useCases.startExecution(id, { argv: ['sleep', '1000'] })
  const missing = { code: 'execution_not_found' }
  await expect(server.useCases.getJob(other, job.id)).rejects.toMatchObject(missing)
  await expect(server.useCases.stopJob(other, job.id, true)).rejects.toMatchObject(missing)
  await expect(server.useCases.stopJob(id, command.id, true)).rejects.toMatchObject(missing)
  expect((await server.useCases.getJob(id, job.id)).status).toBe('running')
})

test('a key that made a job makes no command', async () => {
  const once = { idempotencyKey: 'k' }
  const input = { argv: ['sleep', '1000'] }
  const job = await server.useCases.createJob(id, input, once)
  expect((await server.useCases.createJob(id, input, once)).id).toBe(job.id)
  await expect(server.useCases.startExecution(id, input, once)).rejects.toMatchObject({
    code: 'idempotency_conflict',
  })
})

describe('stop', () => {
  test('asks first', async () => {
    const job = await server.useCases.createJob(id, { argv: ['sleep', '1000'] })
    const stopped = await server.useCases.stopJob(id, job.id, false)
    expect(stopped).toMatchObject({ status: 'cancelled', ending: 'cancelled', signal: 'SIGTERM' })
    expect(await server.useCases.stopJob(id, job.id, true)).toEqual(stopped)
  })

  test('does not ask twice', async () => {
    const job = await server.useCases.createJob(id, { argv: ['trap', 'SIGTERM', 'sleep', '1000'] })
    expect(await server.useCases.stopJob(id, job.id, false)).toMatchObject({ signal: 'SIGKILL' })
  })

  test('with force does not ask', async () => {
    const job = await server.useCases.createJob(id, { argv: ['sleep', '1000'] })
    expect(await server.useCases.stopJob(id, job.id, true)).toMatchObject({
      status: 'cancelled',
      signal: 'SIGKILL',
    })
  })

  test('by several at once is one', async () => {
    const job = await server.useCases.createJob(id, { argv: ['trap', 'SIGTERM', 'sleep', '1000'] })
    const answers = await Promise.all([
      server.useCases.stopJob(id, job.id, false),
      server.useCases.stopJob(id, job.id, true),
      server.useCases.stopJob(id, job.id, false),
    ])
    for (const answer of answers) expect(answer).toEqual(answers[0])
  })

  test('of one that has completed changes nothing', async () => {
    const job = await server.useCases.createJob(id, { argv: ['exit', '3'] })
    await follow(server, job.id)
    expect(await server.useCases.stopJob(id, job.id, true)).toMatchObject({ status: 'failed', exitCode: 3 })
  })
})

test('a job outlives its server, and what it says meanwhile is kept', async () => {
  const job = await server.useCases.createJob(id, { argv: ['flood', '200000'] })
  const held = await server.useCases.createJob(id, { argv: ['sleep', '1000'] })
  server.die()
  const next = await world.server()
  const { text, ...ended } = await follow(next, job.id)
  expect(ended).toMatchObject({ ending: 'exited', exitCode: 0, outputBytes: 200_000, outputTruncated: false })
  expect(await next.useCases.getJob(id, held.id)).toMatchObject({ status: 'running', pid: held.pid })
  expect((await next.useCases.getSandbox(id)).status).toBe('running')
  expect(await next.useCases.stopJob(id, held.id, false)).toMatchObject({ status: 'cancelled' })
})

test('a job of a sandbox that is gone has failed, and says why', async () => {
  const sandbox = aSandbox({ createdAt: 1000 })
  const job = anExecution(sandbox.id, { kind: 'job', state: 'running', startedAt: 2000 })
  await world.store.sandboxes.insert(sandbox)
  await world.store.executions.insert(job)
  const { useCases } = await world.server()
  expect(await useCases.getJob(sandbox.id, job.id)).toMatchObject({ status: 'failed', ending: 'host-lost' })
})

test('a program that cannot be started leaves no record, whether it has a key or not', async () => {
  const missing = { argv: ['no-such-program'] }
  for (const once of [{}, { idempotencyKey: 'k' }]) {
    await expect(server.useCases.createJob(id, missing, once)).rejects.toMatchObject({
      code: 'command_not_found',
    })
  }
  expect(await server.useCases.listJobs(id, page)).toEqual({ jobs: [], total: 0 })
})

test('what started without a record is ended when it is found', async () => {
  const insert = world.store.executions.insert.bind(world.store.executions)
  const reached = Promise.withResolvers<void>()
  world.store.executions.insert = () => {
    reached.resolve()
    return new Promise<void>(() => {})
  }
  void server.useCases.startExecution(id, { argv: ['sleep', '1000'] }).catch(() => {})
  await reached.promise
  server.die()
  world.store.executions.insert = insert
  const next = await world.server()
  await until(() => world.host.sandboxes.get(id)?.agent.running === 0)
  expect((await next.useCases.getSandbox(id)).status).toBe('idle')
  expect((await next.useCases.listExecutions(id, page)).total).toBe(0)
})
