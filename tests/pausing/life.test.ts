import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { cannotRun } from '../crash/host.ts'
import { until } from '../executions/raw.ts'
import { test } from '../fixture.ts'

let client: Client
test.beforeAll(async ({ server }) => {
  client = server.client()
})

const COUNTER =
  'import itertools, time\nfor n in itertools.count():\n  print(n, flush=True)\n  time.sleep(0.01)'
const bytesOf = async (id: string) => (await client.call('getExecution', { execution: id })).outputBytes
const cpuOf = async (id: string) => (await client.call('getUsage', { id })).cpuUsec

describe.skipIf(cannotRun !== null)('pausing', () => {
  test('a program goes on where it was, and does nothing while it is paused', async () => {
    await using box = await Sandbox.create({ client })
    const counter = await box.start(['python3', '-c', COUNTER])
    await until('it counts', async () => (await bytesOf(counter.id)) > 0)
    await box.pause({ depth: 'memory' })
    expect(box.info).toMatchObject({ status: 'paused', pause: { depth: 'memory', memory: 'ram' } })
    const before = [await bytesOf(counter.id), await cpuOf(box.id)]
    await sleep(300)
    expect([await bytesOf(counter.id), await cpuOf(box.id)]).toEqual(before)
    expect((await box.refresh()).info.status).toBe('paused')

    await box.resume()
    expect(box.info).toMatchObject({ status: 'running', pause: null })
    await until('it counts on', async () => (await bytesOf(counter.id)) > before[0]!)
    await counter.kill()
    const numbers = (await counter.wait()).stdout.trim().split('\n').map(Number)
    expect(numbers).toEqual(numbers.map((_, index) => index))
  })

  test.for(['memory', 'filesystem'] as const)(
    'a command resumes a sandbox that is paused to its %s, and says so',
    async (depth) => {
      await using box = await Sandbox.create({ client })
      await box.sh('echo kept > kept; echo gone > /dev/shm/gone')
      await box.pause({ depth })
      const started = await client.call('startExecution', {
        id: box.id,
        argv: ['cat', 'kept', '/dev/shm/gone'],
      })
      expect(started.autoResumed).toBe(true)
      const isOver = async () =>
        (await client.call('getExecution', { execution: started.id })).state === 'ended'
      await until('it has ended', isOver)
      // What is in memory alone is there after a pause of the memory.
      const { exitCode } = await client.call('getExecution', { execution: started.id })
      expect(exitCode).toBe(depth === 'memory' ? 0 : 1)
      expect((await box.sh('cat kept')).stdout).toBe('kept\n')
    },
  )

  test('a pause to the workspace gives everything else back as it was made', async () => {
    await using box = await Sandbox.create({ client })
    await box.sh(
      'mkdir workspace; echo kept > workspace/kept; echo no > other; sudo rm /etc/hostname /etc/issue',
    )
    await box.pause({ depth: 'workspace' })
    const { stdout } = await box.sh('cat workspace/kept; ls; cat /etc/issue | head -c 6')
    expect(stdout).toBe('kept\nworkspace\nDebian')
  })

  test('twenty commands at once share one resume', async () => {
    await using box = await Sandbox.create({ client })
    await box.pause({ depth: 'memory' })
    const results = await Promise.all(Array.from({ length: 20 }, (_, n) => box.exec(['echo', `${n}`])))
    expect(results.map(({ stdout }) => stdout)).toEqual(results.map((_, n) => `${n}\n`))
    expect((await client.call('listEvents', { id: box.id, type: 'resume' })).total).toBe(1)
  })

  test('what is typed while a sandbox is being paused is not lost', async () => {
    await using box = await Sandbox.create({ client })
    const cat = await box.start(['cat'], { stdin: true })
    let expected = ''
    for (let time = 0; time < 10; time++) {
      const line = `${time} `.repeat(5000)
      expected += line
      const paused = box.pause({ depth: 'memory' })
      await Promise.all([paused, cat.stdin.write(line)])
    }
    await cat.stdin.end()
    expect((await cat.wait()).stdout === expected).toBe(true)
  })

  test('a sandbox that is paused survives a restart of the server with all that it did', async ({
    server,
  }) => {
    await using box = await Sandbox.create({ client, ttl: '1h' })
    const counter = await box.start(['python3', '-c', COUNTER])
    await until('it counts', async () => (await bytesOf(counter.id)) > 0)
    await box.pause({ depth: 'memory' })
    const before = await bytesOf(counter.id)
    await server.restart()
    expect((await box.refresh()).info).toMatchObject({ status: 'paused', pause: { memory: 'ram' } })
    expect(await bytesOf(counter.id)).toBe(before)
    await box.resume()
    await until('it counts on', async () => (await bytesOf(counter.id)) > before)
  })
})
