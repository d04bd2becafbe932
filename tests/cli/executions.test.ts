import { once } from 'node:events'
import { describe, expect } from 'vitest'
import { test as base, type TestServer } from '../fixture.ts'

/** `test` with one sandbox for all tests of this file. */
const test = base.extend<{ id: string }>({
  id: [
    async ({ server }: { server: TestServer }, use: (id: string) => Promise<void>) => {
      await use((await server.cli(['create', '--idle-timeout', '0'])).stdout.trim())
    },
    { scope: 'file' },
  ],
})

async function ok(server: TestServer, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await server.cli(args)
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return stdout
}

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
const json = async (server: TestServer, ...args: string[]): Promise<any> =>
  JSON.parse(await ok(server, ...args, '--json'))

const shell = (script: string): string[] => ['--', 'sh', '-c', script]

describe('job', () => {
  test('goes on alone, is listed, shown and stopped', async ({ server, id }) => {
    const started = await ok(
      server,
      'job',
      'create',
      id,
      '--tag',
      'web',
      ...shell('echo up; exec sleep 86399'),
    )
    const job = started.trim()
    expect(job).toMatch(/^job_/)
    expect(await json(server, 'job', 'get', id, job)).toMatchObject({
      status: 'running',
      tag: 'web',
      kind: 'job',
    })
    expect(await ok(server, 'job', 'show', id, job)).toMatch(/status +running/)
    expect((await json(server, 'job', 'ls', id)).jobs[0].id).toBe(job)
    expect(await ok(server, 'jobs', 'list', id, '--limit', '1')).toMatch(
      /ID +STATUS[^\n]*\n[^\n]*running +web/,
    )
    expect(await ok(server, 'ps', id)).toContain(job)
    expect((await json(server, 'ps', id)).executions.map((one: { id: string }) => one.id)).toContain(job)

    expect(await ok(server, 'job', 'stop', id, job)).toBe(`${job} cancelled\n`)
    expect(await json(server, 'job', 'destroy', id, job, '--force')).toMatchObject({ status: 'cancelled' })
    expect(await ok(server, 'ps', id)).not.toContain(job)
  })

  test('takes its command with and without --, variables and limits', async ({ server, id }) => {
    const args = ['--env', 'A=1 2', '--cwd', '/tmp', '--output-limit', '4']
    const created = await ok(server, 'job', 'new', ...args, id, ...shell('echo "$A $PWD"; exit 3'))
    const job = created.trim()
    const { code, stdout } = await server.cli(['attach', job])
    expect({ code, stdout: stdout.slice(-4) }).toEqual({ code: 3, stdout: 'tmp\n' })
    expect(await json(server, 'job', 'get', id, job)).toMatchObject({
      status: 'failed',
      outputTruncated: true,
    })
    const plain = (await ok(server, 'job', 'create', id, 'echo', '--json')).trim()
    expect((await server.cli(['attach', plain])).stdout).toBe('--json\n')
  })

  test('says what is wrong', async ({ server, id }) => {
    expect((await server.cli(['job', 'create', id])).code).toBe(2)
    expect((await server.cli(['job', 'create', id, '--', 'no-such-program'])).code).toBe(1)
    const other = (await ok(server, 'create')).trim()
    const job = (await ok(server, 'job', 'create', other, '--', 'true')).trim()
    for (const verb of ['get', 'stop', 'logs'])
      expect(await server.cli(['job', verb, id, job])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('does not exist'),
      })
    await ok(server, 'delete', other)
  })
})

describe('logs', () => {
  const script = 'for i in 1 2 3; do echo out $i; done; sleep 0.1; echo err >&2'

  test('are chosen by stream, end, expression and time', async ({ server, id }) => {
    const job = (await ok(server, 'job', 'create', id, ...shell(script))).trim()
    await server.cli(['attach', job])
    expect(await ok(server, 'logs', job)).toBe('out 1\nout 2\nout 3\nerr\n')
    expect(await ok(server, 'job', 'logs', id, job, '--stdout', '--tail', '2')).toBe('out 2\nout 3\n')
    expect(await ok(server, 'executions', 'logs', job, '--stderr')).toBe('err\n')
    expect(await ok(server, 'logs', job, '--grep', '[12]$')).toBe('out 1\nout 2\n')
    expect(await ok(server, 'logs', job, '--offset', '12', '--timestamps')).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z out 3\n\d{4}-\d\d-\d\dT[\d:.]+Z err\n$/,
    )
    expect(await json(server, 'logs', job, '--tail', '1')).toEqual({
      execution: job,
      stream: 'all',
      output: 'err\n',
      truncated: false,
    })
    expect((await server.cli(['logs', job, '--stdout', '--stderr'])).code).toBe(2)
    expect((await server.cli(['logs', job, '--grep', '('])).code).toBe(1)
    expect((await server.cli(['logs', 'exe_none'])).stderr).toContain('does not exist')
  })

  test('are followed to the end', async ({ server, id }) => {
    const job = (await ok(server, 'job', 'create', id, ...shell('echo first; sleep 1; echo last'))).trim()
    expect(await ok(server, 'job', 'logs', id, job, '-f')).toBe('first\nlast\n')
  })
})

describe('executions', () => {
  test('are chosen by tag, kind, state, time and order', async ({ server, id }) => {
    for (const word of ['one', 'two']) await ok(server, 'exec', id, '--tag', 'chosen', '--', 'echo', word)
    await ok(server, 'job', 'create', id, '--tag', 'chosen', '--', 'true')
    const ask = async (...args: string[]) =>
      (await json(server, 'executions', 'list', id, '--tag', 'chosen', ...args)).executions
    const commands = await ask('--kind', 'command', '--direction', 'asc')
    expect(commands.map((one: { argv: string[] }) => one.argv[1])).toEqual(['one', 'two'])
    expect(await ask('--kind', 'job')).toHaveLength(1)
    expect(await ask('--since', commands[1].createdAt)).toHaveLength(2)
    expect(await ask('--state', 'ended', '--kind', 'command', '--limit', '1')).toHaveLength(1)
    expect(await ok(server, 'execution', 'ls', id, '--tag', 'chosen')).toContain('chosen')
    expect(await ok(server, 'executions', 'get', commands[0].id)).toMatch(/tag +chosen/)
    expect((await server.cli(['executions', 'list', id, '--kind', 'none'])).code).toBe(2)
    expect((await server.cli(['executions', 'list', id, '--since', 'yesterday'])).code).toBe(1)
  })
})

describe('attach', () => {
  test('gives the end only, with --tail', async ({ server, id }) => {
    const job = (await ok(server, 'job', 'create', id, '--', 'printf', '0123456789')).trim()
    await server.cli(['attach', job])
    expect(await ok(server, 'attach', job, '--tail', '4')).toBe('6789')
    expect((await server.cli(['attach', job, '--tail', '4', '--offset', '1'])).code).toBe(2)
    expect((await server.cli(['attach', job, '-t'])).stderr).toContain('without a terminal')
  })

  test('sends input, and leaves stdin open for the next', async ({ server, id }) => {
    const job = (await ok(server, 'job', 'create', id, '-i', '--', 'cat')).trim()
    const first = server.cli(['attach', job, '-i'], {
      input: 'from one\n',
      onSpawn: async (child) => {
        await once(child.stdout!, 'data')
        second = server.cli(['attach', job, '-i', '--close-stdin'], { input: 'from two\n' })
      },
    })
    let second: ReturnType<typeof server.cli> | undefined
    expect(await first).toMatchObject({ code: 0, stdout: 'from one\nfrom two\n' })
    expect(await second).toMatchObject({ code: 0, stdout: 'from one\nfrom two\n' })
  })
})
