import { describe, expect } from 'vitest'
import { DRIVER, type TestServer, test } from '../fixture.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
async function json(server: TestServer, ...args: string[]): Promise<any> {
  const { stdout, stderr, code } = await server.cli([...args, '--json'])
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return JSON.parse(stdout)
}

describe('a sandbox from create to delete', () => {
  test('is shown, changed, used and deleted by its name', async ({ server }) => {
    const { stdout } = await server.cli(['create', '--name', 'work', '--metadata', 'team=a', '--ttl', '1h'])
    const id = stdout.trim()
    expect(id).toMatch(/^sbx_/)

    expect(await json(server, 'get', 'work')).toMatchObject({ id, status: 'idle', metadata: { team: 'a' } })
    expect((await server.cli(['show', 'work'])).stdout).toContain(id)
    const { sandboxes } = await json(server, 'ls', '--status', 'idle', '--metadata', '{"team":"a"}')
    expect(sandboxes.map((sandbox: { id: string }) => sandbox.id)).toEqual([id])
    expect((await server.cli(['list'])).stdout).toMatch(/ID +NAME +STATUS[^\n]*\n[^\n]*work/)

    expect(await json(server, 'extend', 'work', '--ttl', '2h', '--description', 'mine')).toMatchObject({
      description: 'mine',
    })

    expect((await server.cli(['exec', 'work', '--', 'sh', '-c', 'echo kept > f; exit 6'])).code).toBe(6)
    expect((await server.cli(['exec', 'work', '--timeout', '1m', '--', 'cat', 'f'])).stdout).toBe('kept\n')
    expect((await server.cli(['exec', 'work', 'cat', 'f'])).stdout).toBe('kept\n')
    expect((await server.cli(['exec', 'work', '--', 'cat'], { input: 'piped' })).stdout).toBe('piped')

    const { executions, total } = await json(server, 'executions', 'list', 'work')
    expect(total).toBe(4)
    const first = executions.at(-1)
    expect(await json(server, 'execution', 'get', first.id)).toMatchObject({ exitCode: 6 })

    expect((await server.cli(['rm', 'work', '--confirm'])).stdout).toBe(`deleted ${id}\n`)
    expect((await json(server, 'delete', id)).sandboxes[0].status).toBe('terminated')
    expect(await server.cli(['get', 'work'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('does not exist'),
    })
    expect((await json(server, 'list', '--all')).sandboxes[0].id).toBe(id)
  })

  test('runs commands that nobody waits for', async ({ server }) => {
    const id = (await server.cli(['create'])).stdout.trim()
    const started = await server.cli([
      'exec',
      id,
      '--detach',
      '--',
      'sh',
      '-c',
      'echo a; echo b; exec sleep 86399',
    ])
    const execution = started.stdout.trim()
    expect(execution).toMatch(/^exe_/)
    const attached = server.cli(['attach', execution, '--offset', '2'])
    await server.cli(['kill', execution, '--signal', 'term'])
    expect(await attached).toMatchObject({ code: 143, stdout: 'b\n' })
    expect(await json(server, 'kill', execution)).toMatchObject({ state: 'ended', signal: 'SIGTERM' })
    await server.cli(['delete', id])
  })

  test.runIf(DRIVER === 'oci')('has the limits that were asked for', async ({ server }) => {
    const { id, resources } = await json(
      server,
      'create',
      '--memory',
      '256Mi',
      '--cpu',
      '500m',
      '--pids',
      '64',
    )
    expect(resources.granted).toMatchObject({ memoryBytes: 256 * 1024 ** 2, cpuMillis: 500, pids: 64 })
    await server.cli(['delete', id])
  })
})

describe('keys', () => {
  test('are made, listed and revoked', async ({ server }) => {
    const made = await json(server, 'keys', 'create', 'ci', '--scope', 'read,exec')
    expect(made).toMatchObject({ name: 'ci', scopes: ['read', 'exec'], key: expect.stringMatching(/^csk_/) })
    const listed = await server.cli(['keys', 'ls'])
    expect(listed.stdout).toContain(made.id)
    expect(listed.stdout).not.toContain(made.key)
    await server.cli(['keys', 'delete', made.id])
    expect((await json(server, 'keys', 'list')).keys).toEqual([])
  })
})

describe('help and mistakes', () => {
  test('a misspelt verb and a misspelt option get a proposal', async ({ server }) => {
    expect(await server.cli(['creat'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Did you mean create?'),
    })
    expect(await server.cli(['list', '--statu', 'idle'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--status'),
    })
  })

  test('every verb explains itself with an example', async ({ server }) => {
    const { stdout } = await server.cli(['--help'])
    const verbs = [...stdout.matchAll(/^ {2}([a-z]+)(?:\|| )/gm)].map((match) => match[1]!)
    const taught = verbs.filter((verb) => verb !== 'help' && verb !== 'caisson')
    expect(taught.length).toBeGreaterThan(12)
    for (const verb of taught) {
      const help = await server.cli([verb, '--help'])
      expect(help.code).toBe(0)
      expect(help.stdout).toMatch(/Examples?:\n {2}.*caisson/)
    }
  })

  test('version says its number at once, in words and as JSON', async ({ server }) => {
    expect((await server.cli(['version'])).stdout).toMatch(/^caisson \d+\.\d+\.\d+\n$/)
    expect(JSON.parse((await server.cli(['version', '--json'])).stdout).version).toMatch(/^\d/)
  })

  test('config and doctor answer without changing anything', async ({ server }) => {
    expect((await json(server, 'config')).dataDir).toBe(server.dataDir)
    const doctor = await server.cli(['doctor', '--json'])
    expect(JSON.parse(doctor.stdout).checks.length).toBeGreaterThan(3)
  })

  test('control characters from a sandbox do not reach the terminal through a table', async ({ server }) => {
    const id = (await server.cli(['create'])).stdout.trim()
    await server.cli(['exec', id, '--', 'echo', '\u001b]0;owned\u0007'])
    const { stdout } = await server.cli(['executions', 'list', id])
    expect(stdout).toContain('echo')
    expect(stdout).not.toContain('\u001b')
    expect(stdout).not.toContain('\u0007')
    await server.cli(['delete', id])
  })
})
