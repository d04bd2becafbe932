import { type Client, Sandbox } from 'caisson'
import { afterAll, describe, expect } from 'vitest'
import { TestServer, test } from '../fixture.ts'
import { until } from './raw.ts'

const sh = (script: string) => ['sh', '-c', script]

let client: Client
let box: Sandbox
test.beforeAll(async ({ server }) => {
  client = server.client()
  box = (await Sandbox.create({ client })).keep()
})
afterAll(() => box?.delete())

const createJob = (script: string, more: object = {}) =>
  client.call('createJob', { id: box.id, argv: sh(script), ...more })
const getJob = (job: string) => client.call('getJob', { id: box.id, job })
const stopJob = (job: string, force = false) => client.call('stopJob', { id: box.id, job, force })

const ended = (job: string) => until('the job has ended', async () => (await getJob(job)).state === 'ended')

test('jobs run side by side and outlive the death of the server', async ({ server }) => {
  const counting = await createJob(
    'for i in $(seq 1 40); do echo line $i; sleep 0.05; done; echo done >&2; exit 3',
  )
  const short = await createJob('echo short')
  const long = await createJob('sleep 1000', { tag: 'long' })
  await server.kill9()
  await server.up()
  expect(await getJob(long.id)).toMatchObject({ status: 'running', pid: long.pid, tag: 'long' })
  await ended(counting.id)
  await ended(short.id)
  expect(await getJob(short.id)).toMatchObject({ status: 'completed', exitCode: 0 })
  expect(await getJob(counting.id)).toMatchObject({
    status: 'failed',
    ending: 'exited',
    exitCode: 3,
    outputTruncated: false,
  })
  const result = await (await box.attach(counting.id)).wait()
  expect(result.stdout).toBe(Array.from({ length: 40 }, (_, index) => `line ${index + 1}\n`).join(''))
  expect(result.stderr).toBe('done\n')
  expect(await stopJob(long.id)).toMatchObject({ status: 'cancelled', ending: 'cancelled', exitCode: null })
})

describe('stop', () => {
  test('lets a program end by itself', async () => {
    const job = await createJob('trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.01; done')
    await until('it is ready', async () => (await getJob(job.id)).outputBytes > 0)
    expect(await stopJob(job.id)).toMatchObject({ status: 'cancelled', exitCode: 0 })
    expect((await (await box.attach(job.id)).wait()).stdout).toBe('ready\nbye\n')
  })

  test('kills one that does not listen, with all that it has started', async () => {
    await using strict = await TestServer.start({ config: { killGraceMs: 300 } })
    const own = strict.client()
    await using other = await Sandbox.create({ client: own })
    const argv = sh('trap "" TERM; (trap "" TERM; sleep 7654) & echo ready; while :; do sleep 7654; done')
    const job = await own.call('createJob', { id: other.id, argv })
    await until(
      'it is ready',
      async () => (await own.call('getJob', { id: other.id, job: job.id })).outputBytes > 0,
    )
    const stopped = await own.call('stopJob', { id: other.id, job: job.id })
    expect(stopped).toMatchObject({ status: 'cancelled', signal: 'SIGKILL', exitCode: null })
    expect((await other.sh('pgrep -fc "^sleep 7654" || true')).stdout).toBe('0\n')
  })

  test('ends what listens less than its leader', async () => {
    const job = await createJob('(trap "" TERM; echo ready; exec sleep 6543) & wait')
    await until('it is ready', async () => (await getJob(job.id)).outputBytes > 0)
    expect(await stopJob(job.id)).toMatchObject({ status: 'cancelled', signal: 'SIGTERM' })
    expect((await box.sh('pgrep -fc "^sleep 6543" || true')).stdout).toBe('0\n')
  })

  test('by force asks nobody', async () => {
    const job = await createJob('trap "echo no" TERM; echo ready; while :; do sleep 0.01; done')
    await until('it is ready', async () => (await getJob(job.id)).outputBytes > 0)
    expect(await stopJob(job.id, true)).toMatchObject({ status: 'cancelled', signal: 'SIGKILL' })
    expect((await (await box.attach(job.id)).wait()).stdout).toBe('ready\n')
  })
})

test('at its limit a job keeps the end of its output, and readers are told of the gap', async () => {
  const job = await createJob('seq 1 200000', { outputLimit: 100_000 })
  await ended(job.id)
  const shown = await getJob(job.id)
  expect(shown).toMatchObject({ outputBytes: 1_288_895, outputTruncated: true })
  expect(shown.outputStart).toBeGreaterThan(shown.outputBytes - 110_000)
  const pieces: Buffer[] = []
  let began = -1
  for await (const batch of await client.stream('attachExecution', { execution: job.id, offset: 0 })) {
    for (const record of batch) {
      if (record.type === 'started') began = record.offset
      if (record.type === 'output') pieces.push(Buffer.from(record.data))
    }
  }
  expect(began).toBe(shown.outputStart)
  const text = Buffer.concat(pieces).toString()
  expect(text.length).toBe(shown.outputBytes - shown.outputStart)
  expect(text.endsWith('199999\n200000\n')).toBe(true)
})

test('executions are found by tag, kind, state and time', async () => {
  await using own = await Sandbox.create({ client })
  const run = async (argv: string[], tag: string) => {
    const { id } = await client.call('startExecution', { id: own.id, argv, tag })
    return id
  }
  const list = async (query: object) =>
    (await client.call('listExecutions', { id: own.id, direction: 'asc', ...query })).executions.map(
      ({ id }) => id,
    )
  const one = await run(['true'], 'build')
  const two = await run(['sleep', '1000'], 'build')
  const job = (await client.call('createJob', { id: own.id, argv: ['sleep', '1000'], tag: 'serve' })).id
  await until('the first has ended', async () => (await list({ state: 'ended' })).length === 1)
  expect(await list({})).toEqual([one, two, job])
  expect(await list({ tag: 'build' })).toEqual([one, two])
  expect(await list({ tag: 'build', state: 'running' })).toEqual([two])
  expect(await list({ kind: 'job' })).toEqual([job])
  expect(await list({ tag: 'none' })).toEqual([])
  expect(await list({ since: new Date(Date.now() + 1000).toISOString() })).toEqual([])
})
