import { afterAll, beforeAll, describe, expect } from 'vitest'
import { type TestServer, test } from '../fixture.ts'
import { cannotNetwork, PUBLIC, World } from '../network/world.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
async function json(server: TestServer, ...args: string[]): Promise<any> {
  const { stdout, stderr, code } = await server.cli([...args, '--json'])
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return JSON.parse(stdout)
}

describe('without a network', () => {
  test('a sandbox shows that, and what would change it', async ({ server }) => {
    const id = (await server.cli(['create'])).stdout.trim()
    expect((await server.cli(['get', id])).stdout).toMatch(/network +none\n/)
    expect((await server.cli(['network', 'show', id])).stdout).toMatch(/network +none\n/)
    expect(await json(server, 'net', 'show', id)).toMatchObject({ network: { mode: 'none' }, addresses: [] })
    const explained = await server.cli(['network', 'explain', id, 'example.com:443'])
    expect(explained).toMatchObject({ code: 0, stderr: '' })
    expect(explained.stdout).toMatch(/^example\.com:443: refused by "no network"\n.*network/)
    expect((await server.cli(['network', 'explain', '--exit-code', id, '1.1.1.1'])).code).toBe(3)
    expect(await server.cli(['network', 'explain', id, 'https://example.com'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('"https://example.com"'),
    })
    expect((await server.cli(['network', 'log', id])).stderr).toContain('nothing was refused')
    expect((await server.cli(['network', 'destinations', id])).stderr).toContain('connected to nothing')
    expect((await server.cli(['network', 'learned', id])).stderr).toContain('used nothing')
    expect(await json(server, 'network', 'learned', id)).toEqual({ learned: [] })
    expect((await server.cli(['network', 'set', id, '--none'])).stdout).toMatch(/network +none\n/)
    await server.cli(['delete', id])
  })

  test('a log that is followed ends with its sandbox', async ({ server }) => {
    const id = (await server.cli(['create'])).stdout.trim()
    const followed = server.cli(['network', 'log', id, '--follow'])
    await server.cli(['delete', id])
    expect(await followed).toMatchObject({ code: 0, stdout: '' })
  })
})

describe('mistakes', () => {
  test('contradictions are wrong usage, and make nothing', async ({ server }) => {
    for (const args of [
      ['create', '--no-network', '--allow', 'a.example'],
      ['create', '--network', '--allow', 'a.example'],
      ['create', '--upload-rate', '1Mi'],
      ['run', '--learn', '--no-network', '--', 'true'],
      ['run', '--learn', '--allow', 'a.example', '--', 'true'],
      ['network', 'set', 'x'],
      ['network', 'set', 'x', '--none', '--network'],
      ['network', 'set', 'x', '--none', '--deny', 'a.example'],
      ['network', 'log', 'x', '--follow', '--reverse'],
      ['network', 'explain', 'x'],
    ])
      expect(await server.cli(args)).toMatchObject({ code: 2, stdout: '' })
    expect(
      (await json(server, 'list', '--all')).sandboxes.map(({ name }: { name: string }) => name),
    ).not.toContain('x')
  })

  test.for([
    ['https://example.com/', 'example.com'],
    ['a b', 'blank'],
    ['*', 'default'],
    ['bücher .example', 'blank'],
    ['169.254.169.254', 'metadata'],
  ])('an entry such as %j is refused in words that help', async ([entry, word], { server }) => {
    const { code, stdout, stderr } = await server.cli(['create', '--allow', 'ok.example', '--allow', entry!])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('network.allow[1]')
    expect(stderr).toContain(word)
  })
})

describe.skipIf(cannotNetwork !== null)('with a network', () => {
  let world: World
  let server: TestServer
  beforeAll(async () => {
    world = await World.create()
    server = await world.server()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  test('rules are given, shown, changed and explained', async () => {
    const id = (
      await server.cli(['create', '--allow', '*.example.com', '--deny', 'api.example.com'])
    ).stdout.trim()
    expect((await server.cli(['get', id])).stdout).toMatch(
      /network +only what is allowed, allow \*\.example\.com, deny api\.example\.com\n/,
    )
    expect((await server.cli(['list'])).stdout).toMatch(new RegExp(`${id}.* rules `))
    const explain = async (destination: string) =>
      (await server.cli(['network', 'explain', '--exit-code', id, destination])).code
    expect(await explain('www.example.com')).toBe(0)
    expect(await explain('api.example.com')).toBe(3)
    expect(await explain('example.com')).toBe(3)

    expect((await server.cli(['exec', id, '--', 'curl', '-sS', 'http://www.example.com/'])).stdout).toContain(
      '"host":"www.example.com"',
    )
    expect((await server.cli(['exec', id, '--', 'curl', '-sS', 'http://other.test/'])).code).toBe(6)
    await expect
      .poll(async () => (await server.cli(['network', 'log', id])).stdout)
      .toMatch(/^\d{4}-\S+ {2}dns other\.test.* {2}other\.test is refused/m)
    expect((await server.cli(['network', 'destinations', id])).stdout).toMatch(
      /NAME.*\nwww\.example\.com +\S+:80 +tcp/,
    )

    const changed = await server.cli([
      'network',
      'set',
      id,
      '--network',
      '--deny',
      PUBLIC.evil.v4,
      '--max-connections',
      '9',
    ])
    expect(changed.stdout).toMatch(/network +the public internet but for what is denied\n/)
    expect(changed.stdout).toMatch(/connections +at most 9 at once\n/)
    expect((await server.cli(['network', 'set', id, '--none'])).stdout).toMatch(/network +none\n/)
    await server.cli(['delete', id])
  })

  test('--learn tells what a command used, ready to be used', async () => {
    const command = ['--', 'curl', '-sS', 'http://www.example.com/', 'http://other.test/']
    const learned = await server.cli(['run', '--learn', ...command])
    expect(learned).toMatchObject({ code: 0, stdout: expect.stringContaining('"host":"other.test"') })
    expect(learned.stderr).toContain('--allow other.test --allow www.example.com\n')
    const allowed = ['--allow', 'other.test', '--allow', 'www.example.com']
    expect((await server.cli(['run', ...allowed, ...command])).stdout).toBe(learned.stdout)
    const direct = 'import socket; socket.create_connection(("other.test", 22))'
    const { stderr } = await server.cli(['run', '--learn', '--', 'python3', '-c', direct])
    expect(stderr).toContain('--allow other.test:22\n')
    const { exitCode, learned: list } = JSON.parse(
      (await server.cli(['run', '--learn', '--json', '--', 'sh', '-c', 'exit 5'])).stdout,
    )
    expect({ exitCode, list }).toEqual({ exitCode: 5, list: [] })
    expect((await server.cli(['run', '--learn', '--', 'sh', '-c', 'kill -TERM $$'])).code).toBe(143)
    expect((await json(server, 'list')).sandboxes).toEqual([])
  })

  test('--learn ends with its command on a signal, and tells what was used until then', async () => {
    const script = 'curl -s http://www.example.com/; exec sleep 600'
    const ended = server.cli(['run', '--learn', '--', 'sh', '-c', script], {
      onSpawn: (child) => child.stdout!.once('data', () => child.kill('SIGINT')),
    })
    expect(await ended).toMatchObject({
      code: 130,
      stderr: expect.stringContaining('--allow www.example.com\n'),
    })
    expect((await json(server, 'list')).sandboxes).toEqual([])
  })

  test('a log that is followed tells what comes', async () => {
    const id = (await server.cli(['create', '--allow', 'example.com'])).stdout.trim()
    await server.cli(['exec', id, '--', 'getent', 'hosts', 'first.test'])
    const followed = server.cli(['network', 'log', id, '-f', '--json'])
    await server.cli(['exec', id, '--', 'getent', 'hosts', 'second.test'])
    await expect.poll(async () => (await json(server, 'network', 'log', id)).total).toBeGreaterThanOrEqual(2)
    await server.cli(['delete', id])
    const { code, stdout } = await followed
    const names = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).name)
    expect(code).toBe(0)
    expect(names).toEqual(expect.arrayContaining(['first.test', 'second.test']))
  })
})
