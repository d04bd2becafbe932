import { describe, expect } from 'vitest'
import { test as base, DRIVER, type TestServer } from '../fixture.ts'

/** `test` with one sandbox for all tests of this file. */
const test = base.extend<{ id: string }>({
  id: [
    async ({ server }: { server: TestServer }, use: (id: string) => Promise<void>) => {
      await use((await server.cli(['create', '--project-id', 'p1', '--env', 'FIRST=1'])).stdout.trim())
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

describe('env', () => {
  test('is listed, set and deleted, and the next command sees it', async ({ server, id }) => {
    expect(await ok(server, 'env', id)).toContain('FIRST=1\n')
    expect((await json(server, 'env', id, 'A=1=2', 'EMPTY=', 'LINES=a\nb')).env).toMatchObject({
      ...{ FIRST: '1', A: '1=2', EMPTY: '', LINES: 'a\nb' },
    })
    expect(await ok(server, 'exec', id, '--', 'sh', '-c', 'echo "$A [$EMPTY]"')).toBe('1=2 []\n')
    const { env } = await json(server, 'env', id, '-d', 'A', '--delete', 'FIRST', 'B=2')
    expect(env).toMatchObject({ B: '2' })
    expect(env).not.toHaveProperty('A')
    expect(env).not.toHaveProperty('FIRST')
  })

  test('refuses what is no variable', async ({ server, id }) => {
    for (const [code, ...args] of [
      [2, 'A'],
      [2, '=x'],
      [2, 'A=1', '-d', 'A'],
      [1, 'not-a-name=1'],
    ] as const)
      expect((await server.cli(['env', id, ...args])).code).toBe(code)
    expect((await server.cli(['env', 'nowhere'])).stderr).toContain('does not exist')
  })
})

describe('events', () => {
  test('are told in order, newest first when asked, and by type', async ({ server, id }) => {
    const { events, total } = await json(server, 'events', id)
    expect(total).toBe(events.length)
    const types = events.map((event: { type: string }) => event.type)
    expect(types.slice(0, 2)).toEqual(['create', 'lifecycle:started'])
    const newest = await json(server, 'events', id, '--reverse', '--limit', '1')
    expect(newest.events).toEqual([events.at(-1)])
    expect((await json(server, 'events', id, '--type', 'create')).total).toBe(1)
    const { stdout, stderr } = await server.cli(['events', id, '--limit', '1'])
    expect(stdout).toMatch(/TIME +TYPE +DETAIL\n\d{4}.*create/)
    expect(stderr).toContain('--offset 1')
  })
})

describe('what is used', () => {
  test.runIf(DRIVER === 'oci')('by a sandbox now', async ({ server, id }) => {
    expect(await json(server, 'usage', id)).toMatchObject({
      memoryBytes: expect.any(Number),
      pidsLimit: 1024,
      oomKills: 0,
    })
    expect(await ok(server, 'usage', id)).toMatch(/memory +.*of 4 GiB/)
  })

  test('by all, and by a project', async ({ server, id }) => {
    await ok(server, 'exec', id, '--', 'true')
    expect(await json(server, 'stats')).toMatchObject({ totalActive: 1, totalExecutions: expect.any(Number) })
    expect((await json(server, 'stats', '--project-id', 'p1')).totalActive).toBe(1)
    expect((await json(server, 'stats', '--project-id', 'p2')).totalActive).toBe(0)
    const early = ['--start', '2020-01-01T00:00:00Z', '--end', '2020-01-02T00:00:00Z']
    expect((await json(server, 'stats', ...early)).totalExecutions).toBe(0)
    expect(await ok(server, 'stats')).toMatch(/sandboxes now +1/)
    expect((await server.cli(['stats', '--start', 'once'])).code).toBe(1)
  })
})

describe('runtimes', () => {
  test('are listed in pages and orders', async ({ server }) => {
    const { runtimes, total } = await json(server, 'runtimes', 'list', '--sort', 'name')
    expect(total).toBe(runtimes.length)
    expect((await json(server, 'rt', 'ls', '--direction', 'desc')).runtimes[0]).toEqual(runtimes.at(-1))
    expect((await json(server, 'runtime', 'list', '--offset', String(total))).runtimes).toEqual([])
    expect(await ok(server, 'runtimes')).toMatch(/ID +BUILT/)
    expect((await server.cli(['runtimes', 'list', '--sort', 'size'])).code).toBe(2)
  })
})
