import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { DRIVER, type TestServer, temporaryDirectory, test } from '../fixture.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
async function json(server: TestServer, ...args: string[]): Promise<any> {
  const { stdout, stderr, code } = await server.cli([...args, '--json'])
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return JSON.parse(stdout)
}

/** Volumes are mounted by the driver that root has. */
describe.runIf(DRIVER === 'oci')('volumes', () => {
  test('are made, listed, shown and deleted', async ({ server }) => {
    const made = await server.cli(['volume', 'create', 'records', '--size', '64Mi', '--metadata', 'a=b'])
    const id = made.stdout.trim()
    expect(id).toMatch(/^vol_/)
    expect((await server.cli(['vol', 'ls', 'records'])).stdout).toBe('')
    expect((await server.cli(['volumes', 'list'])).stdout).toMatch(
      /ID +NAME[^\n]*\nvol_\S+ +records .*64 MiB/,
    )
    expect(await json(server, 'volume', 'get', 'records')).toMatchObject({
      id,
      limitBytes: 64 * 1024 ** 2,
      metadata: { a: 'b' },
    })
    expect(await server.cli(['volume', 'create', 'records'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('exists already'),
    })
    expect(await json(server, 'volume', 'delete', id)).toEqual({ deleted: [id] })
    expect((await json(server, 'volume', 'list')).total).toBe(0)
  })

  test('are mounted in several sandboxes, and not deleted meanwhile', async ({ server }) => {
    await server.cli(['volume', 'create', 'shared'])
    const ids: string[] = []
    for (const mount of ['shared:/data', 'shared:/in:ro'])
      ids.push((await server.cli(['create', '--volume', mount])).stdout.trim())
    const [writer = '', reader = ''] = ids
    await server.cli(['exec', writer, '--user', 'root', '--', 'sh', '-c', 'echo hello > /data/f'])
    expect((await server.cli(['exec', reader, '--', 'cat', '/in/f'])).stdout).toBe('hello\n')
    expect(await server.cli(['exec', reader, '--user', 'root', '--', 'touch', '/in/g'])).toMatchObject({
      stderr: expect.stringContaining('Read-only'),
    })
    expect((await server.cli(['get', reader])).stdout).toMatch(/volume +shared at \/in \(read only\)/)
    expect((await server.cli(['volume', 'show', 'shared'])).stdout).toContain(`${writer}:/data`)
    expect(await server.cli(['volume', 'delete', 'shared'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(writer),
    })
    await server.cli(['delete', ...ids])
    expect((await server.cli(['volume', 'delete', 'shared'])).stdout).toBe('deleted shared\n')
  })

  test('have files that no sandbox is needed for', async ({ server }) => {
    await using directory = await temporaryDirectory()
    const local = join(directory.path, 'words.txt')
    writeFileSync(local, 'one two\n', { mode: 0o640 })
    await server.cli(['volume', 'create', 'files'])
    expect((await server.cli(['volume', 'cp', local, 'files:/in/'])).code).toBe(0)
    expect(await json(server, 'volume', 'cp', local, 'files:')).toMatchObject({
      destination: 'files:/words.txt',
    })
    expect((await server.cli(['volume', 'cp', '-', 'files:/in/piped'], { input: 'piped' })).code).toBe(0)
    expect((await server.cli(['volume', 'ls', 'files', '/in'])).stdout).toBe('piped\nwords.txt\n')
    expect((await server.cli(['volume', 'ls', 'files', '-l', '--depth', '2'])).stdout).toMatch(
      /-rw-r-----[^\n]* 8 [^\n]* in\/words\.txt\n/,
    )
    expect((await server.cli(['volume', 'cat', 'files', '/in/words.txt', '--offset', '4'])).stdout).toBe(
      'two\n',
    )
    expect(await json(server, 'volume', 'cat', 'files', '/in/piped')).toMatchObject({
      content: 'piped',
      size: 5,
    })
    const target = join(directory.path, 'copy')
    await server.cli(['volume', 'cp', 'files:/in/words.txt', target])
    expect(readFileSync(target, 'utf8')).toBe('one two\n')
    expect((await server.cli(['volume', 'cp', 'files:in/piped', '-'])).stdout).toBe('piped')
    expect((await server.cli(['volume', 'mkdir', 'files', '-p', '/a/b'])).stdout).toBe('made /a/b\n')
    expect((await server.cli(['volume', 'rm', 'files', '/a'])).code).toBe(1)
    expect((await server.cli(['volume', 'rm', 'files', '-r', '/a'])).stdout).toBe('removed /a\n')
    expect((await server.cli(['volume', 'rm', 'files', '-f', '/a'])).code).toBe(0)
    await server.cli(['volume', 'delete', 'files'])
  })

  test.for([
    [['volume', 'cp', 'a', 'b'], 2, 'One side must be in a volume'],
    [['volume', 'cp', 'a:/x', 'b:/y'], 2, 'Both sides are in volumes'],
    [['volume', 'cp', '.', 'a:/'], 2, 'is a directory'],
    [['volume', 'cp', '/no/such', 'a:/'], 1, 'does not exist on this machine'],
    [['volume', 'cp', '-', 'a:/'], 2, 'has no name'],
    [['volume', 'ls', 'none'], 1, 'does not exist'],
    [['create', '--volume', 'none:/data'], 1, 'does not exist'],
    [['create', '--volume', 'data'], 2, 'name:/path'],
    [['create', '--volume', 'data:relative'], 2, 'name:/path'],
  ] as const)('refuse what can not be: %s', async ([args, code, message], { server }) => {
    const refused = await server.cli([...args])
    expect(refused.stderr).toContain(message)
    expect(refused.code).toBe(code)
  })
})
