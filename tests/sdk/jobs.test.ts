import { Sandbox } from 'caisson'
import { beforeEach, describe, expect } from 'vitest'
import { type TestServer, test } from '../fixture.ts'

let sandbox: Sandbox
beforeEach<{ server: TestServer }>(async ({ server }) => {
  sandbox = await Sandbox.create({ client: server.client() })
  return () => sandbox.delete()
})

async function textOf(pieces: AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}

describe('jobs', () => {
  test('run to their end, and are found again', async () => {
    const job = await sandbox.jobs.start('echo one; read line; echo $line', { stdin: true, tag: 'reader' })
    expect(job).toMatchObject({ status: 'running', tag: 'reader' })
    expect(job.pid).toBeGreaterThan(0)
    await job.stdin.write('two\n')
    expect(await job.wait()).toMatchObject({ stdout: 'one\ntwo\n', exitCode: 0 })
    expect(job.status).toBe('completed')
    expect((await sandbox.jobs.get(job.id)).status).toBe('completed')
    expect((await sandbox.jobs.list()).map(({ id }) => id)).toEqual([job.id])
    await expect(sandbox.jobs.get('job_none')).rejects.toMatchObject({ code: 'execution_not_found' })
  })

  test('are stopped, once and for all', async () => {
    const [soft, hard] = await Promise.all([
      sandbox.jobs.start(['sleep', '86399']),
      sandbox.jobs.start("trap '' TERM; sleep 86399"),
    ])
    expect(await soft.stop()).toBe('cancelled')
    expect(await hard.stop({ force: true })).toBe('cancelled')
    expect(await soft.stop()).toBe('cancelled')
    expect(await sandbox.processes()).toEqual([])
  })

  test('that fail say so', async () => {
    const job = await sandbox.jobs.start('exit 4')
    expect((await job.wait()).exitCode).toBe(4)
    expect(job.status).toBe('failed')
  })
})

describe('logs', () => {
  const script = 'echo out 1; echo err 1 >&2; sleep 0.05; echo out 2; echo err 2 >&2; printf "ä end"'

  test('are text: one stream, the last lines, those that match', async () => {
    const job = await sandbox.jobs.start(script)
    await job.wait()
    expect(await textOf(job.logs({ stream: 'stderr' }))).toBe('err 1\nerr 2\n')
    expect(await textOf(job.logs({ stream: 'stdout' }))).toBe('out 1\nout 2\nä end')
    expect(await textOf(job.logs({ stream: 'stdout', tail: 2 }))).toBe('out 2\nä end')
    expect(await textOf(job.logs({ grep: 'out \\d' }))).toBe('out 1\nout 2\n')
    expect(await textOf(job.logs({ timestamps: true, grep: 'out 1' }))).toMatch(
      /^\d{4}-\d\d-\d\dT[^ ]+Z out 1\n$/,
    )
    await expect(textOf(job.logs({ grep: '(' }))).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test('are followed to the end', async () => {
    const job = await sandbox.jobs.start('read a; echo $a; read b; echo $b', { stdin: true })
    let text = ''
    await job.stdin.write('first\n')
    for await (const piece of job.logs({ follow: true })) {
      if (text === '') await job.stdin.write('second\n')
      text += piece
    }
    expect(text).toBe('first\nsecond\n')
  })
})

describe('what runs', () => {
  test('is listed, and found by id or by tag', async () => {
    const { id } = await sandbox.start(['sleep', '86399'], { tag: 'a nap' })
    const other = await sandbox.start(['sleep', '86399'])
    expect((await sandbox.processes()).map((process) => process.id).sort()).toEqual([id, other.id].sort())
    expect((await sandbox.attach('a nap')).id).toBe(id)
    expect((await sandbox.attach(other.id)).id).toBe(other.id)
    await expect(sandbox.attach('no such')).rejects.toMatchObject({ code: 'execution_not_found' })
    await expect(sandbox.attach('exe_none')).rejects.toMatchObject({ code: 'execution_not_found' })
    expect((await sandbox.executions({ tag: 'a nap' })).map((info) => info.id)).toEqual([id])
    expect(await sandbox.executions({ kind: 'job' })).toEqual([])
    await other.kill()
    await other.wait()
    expect((await sandbox.executions({ state: 'running' })).map((info) => info.id)).toEqual([id])
  })

  test('keeps the end of its output when that is asked for, and readers are told of the gap', async () => {
    const size = 3_000_000
    const options = { outputLimit: 200_000, outputKeep: 'tail' as const }
    const { execution } = await sandbox.sh(`head -c ${size} /dev/zero; printf end`, {
      ...options,
      maxBuffer: 0,
    })
    const again = await (await sandbox.attach(execution.id)).wait()
    expect(again.outputTruncated).toBe(true)
    expect(again.stdout.endsWith('end')).toBe(true)
    expect(again.stdoutBytes.length).toBeLessThan(size)
    for await (const { offset } of await sandbox.attach(execution.id)) {
      expect(offset).toBe(size + 3 - again.stdoutBytes.length)
      break
    }
    const tail = await (await sandbox.attach(execution.id, { tail: 4 })).wait()
    expect(tail.stdout).toBe('\0end')
  })
})

describe('a sandbox tells', () => {
  test('its environment, which later commands see', async () => {
    const running = await sandbox.start('read go; echo "$A"', { stdin: true })
    const before = await sandbox.env.list()
    expect(await sandbox.env.set({ A: 'a b', B: "'" })).toEqual({ ...before, A: 'a b', B: "'" })
    expect((await sandbox.sh('echo "$A$B"')).stdout).toBe("a b'\n")
    expect(await sandbox.env.delete('A', 'NONE')).toEqual({ ...before, B: "'" })
    expect(await sandbox.env.list()).toEqual({ ...before, B: "'" })
    await running.stdin.write('\n')
    expect((await running.wait()).stdout).toBe('\n')
    await expect(sandbox.env.set({ CAISSON_X: '1' })).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test('what happened, and what it uses', async () => {
    await sandbox.env.set({ SECRET: 'value' })
    const events = await sandbox.events()
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['create', 'env']))
    expect(JSON.stringify(events)).not.toContain('value')
    expect((await sandbox.events({ type: 'env' })).length).toBe(1)
    const usage = await sandbox.usage()
    expect(usage.memoryLimitBytes).toBe(sandbox.info.resources.granted.memoryBytes)
    expect(usage.pids).toBeGreaterThan(0)
    const stats = await sandbox.client.call('getStats')
    expect(stats.totalActive).toBeGreaterThan(0)
  })
})
