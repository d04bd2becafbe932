import { type Client, Sandbox } from 'caisson'
import { expect } from 'vitest'
import { until } from '../executions/raw.ts'
import { test } from '../fixture.ts'

let client: Client
test.beforeAll(async ({ server }) => {
  client = server.client()
})

const COUNTER = 'import itertools, time\nfor n in itertools.count():\n  print(n, flush=True)\n  time.sleep(0.01)'
const bytesOf = async (id: string) => (await client.call('getExecution', { execution: id })).outputBytes

test('a program goes on where it was, and does nothing while it is paused', async () => {
  await using box = await Sandbox.create({ client })
  const job = await client.call('createJob', { id: box.id, argv: ['python3', '-c', COUNTER] })
  await until('it counts', async () => (await bytesOf(job.id)) > 0)
  await box.pause({ depth: 'memory' })
  expect(box.info).toMatchObject({ status: 'paused', pause: { depth: 'memory', memory: 'ram' } })
  const paused = await bytesOf(job.id)
  const { cpuUsec } = await client.call('getUsage', { id: box.id })
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(await bytesOf(job.id)).toBe(paused)
  expect((await client.call('getUsage', { id: box.id })).cpuUsec).toBe(cpuUsec)
  expect((await box.refresh()).info.status).toBe('paused')

  await box.resume()
  expect(box.info).toMatchObject({ status: 'running', pause: null })
  await until('it counts on', async () => (await bytesOf(job.id)) > paused)
  await client.call('stopJob', { id: box.id, job: job.id, force: true })
  const { stdout } = await client.call('readLogs', { id: box.id, job: job.id }).catch(() => ({ stdout: '' })) as { stdout: string }
  void stdout
})

test.for(['memory', 'filesystem'] as const)(
  'a command resumes a sandbox that is paused to its %s, and says so',
  async (depth) => {
    await using box = await Sandbox.create({ client })
    await box.sh('echo kept > kept; echo gone > /dev/shm/gone')
    await box.pause({ depth })
    const started = await client.call('startExecution', { id: box.id, argv: ['cat', 'kept', '/dev/shm/gone'] })
    expect(started.autoResumed).toBe(true)
    await until('it has ended', async () => {
      const { state } = await client.call('getExecution', { execution: started.id })
      return state === 'ended'
    })
    const { exitCode } = await client.call('getExecution', { execution: started.id })
    expect(exitCode).toBe(depth === 'memory' ? 0 : 1)
    expect((await box.sh('cat kept')).stdout).toBe('kept\n')
  },
)
