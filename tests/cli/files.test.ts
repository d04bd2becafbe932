import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { test as base, type CliOptions, type TestServer } from '../fixture.ts'

/** `test` with one sandbox for all tests of this file. */
const test = base.extend<{ id: string }>({
  id: [
    async ({ server }: { server: TestServer }, use: (id: string) => Promise<void>) => {
      await use((await server.cli(['create', '--idle-timeout', '0'])).stdout.trim())
    },
    { scope: 'file' },
  ],
})

let here: string
beforeEach(() => {
  here = mkdtempSync('/tmp/caisson-t-')
})
afterEach(() => rmSync(here, { recursive: true, force: true }))

const at = (path: string): string => join(here, path)

async function ok(server: TestServer, args: string[], options: CliOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await server.cli(args, { cwd: here, ...options })
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return stdout
}

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
const json = async (server: TestServer, ...args: string[]): Promise<any> =>
  JSON.parse(await ok(server, [...args, '--json']))

/** Exit code and the error's code, of a call that must fail. */
async function failure(server: TestServer, ...args: string[]): Promise<[number | null, string]> {
  const { code, stderr } = await server.cli([...args, '--json'], { cwd: here })
  return [code, JSON.parse(stderr).error.code]
}

/** Types, permissions, links and content of everything below a directory. */
function tree(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()
  return Object.fromEntries(
    names.map((name) => {
      const path = join(directory, name)
      const stat = lstatSync(path)
      const mode = (stat.mode & 0o777).toString(8)
      if (stat.isSymbolicLink()) return [name, `-> ${readlinkSync(path)}`]
      return [name, stat.isDirectory() ? `${mode} directory` : `${mode} ${readFileSync(path, 'latin1')}`]
    }),
  )
}

describe('cp of one file', () => {
  test('goes up and comes back with its mode', async ({ server, id }) => {
    writeFileSync(at('run.sh'), '#!/bin/sh\necho ran\n', { mode: 0o755 })
    expect(await ok(server, ['cp', 'run.sh', `${id}:one/two/run.sh`])).toBe('')
    expect(await ok(server, ['exec', id, '--', './one/two/run.sh'])).toBe('ran\n')
    await ok(server, ['fs', 'cp', `${id}:one/two/run.sh`, 'back/'])
    expect(statSync(at('back/run.sh')).mode & 0o777).toBe(0o755)
    expect(readFileSync(at('back/run.sh'))).toEqual(readFileSync(at('run.sh')))
    expect(readdirSync(at('back'))).toEqual(['run.sh'])
  })

  test('says what it did as JSON', async ({ server, id }) => {
    writeFileSync(at('in.txt'), '12345')
    const up = await json(server, 'cp', './in.txt', `${id}:made/for/it/out.txt`)
    expect(up).toEqual({
      source: './in.txt',
      destination: `${id}:made/for/it/out.txt`,
      bytesTransferred: 5,
      filesTransferred: 1,
      directoriesCreated: [
        expect.stringMatching(/\/made$/),
        expect.stringMatching(/\/made\/for$/),
        expect.stringMatching(/\/made\/for\/it$/),
      ],
    })
    expect(await json(server, 'cp', `${id}:made/for/it/out.txt`, 'new/place.txt')).toEqual({
      source: `${id}:made/for/it/out.txt`,
      destination: 'new/place.txt',
      bytesTransferred: 5,
      filesTransferred: 1,
      directoriesCreated: [at('new')],
    })
  })

  test('takes the name of the source in a directory', async ({ server, id }) => {
    writeFileSync(at('named'), 'x')
    await ok(server, ['fs', 'mkdir', id, 'folder'])
    for (const target of ['', 'folder', 'fresh/'])
      expect((await json(server, 'cp', 'named', `${id}:${target}`)).destination).toMatch(/\/?named$/)
    expect((await json(server, 'cp', `${id}:folder/named`, '.')).destination).toBe('named')
  })

  test('replaces what was there, and writes through a local link', async ({ server, id }) => {
    await ok(server, ['cp', '-', `${id}:same`], { input: 'first, and longer' })
    await ok(server, ['cp', '-', `${id}:same`], { input: 'second' })
    writeFileSync(at('real'), 'old')
    symlinkSync('real', at('link'))
    await ok(server, ['cp', `${id}:same`, 'link'])
    expect(readlinkSync(at('link'))).toBe('real')
    expect(readFileSync(at('real'), 'utf8')).toBe('second')
    expect(readdirSync(here).sort()).toEqual(['link', 'real'])
  })

  test('takes stdin and gives stdout, byte by byte', async ({ server, id }) => {
    const input = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 256))
    await ok(server, ['cp', '-', `${id}:bytes`], { input })
    const { digest } = await json(server, 'fs', 'checksum', id, 'bytes')
    expect(digest).toBe(createHash('sha256').update(input).digest('hex'))
    await ok(server, ['cp', `${id}:bytes`, 'bytes'])
    expect(readFileSync(at('bytes')).equals(input)).toBe(true)
    await ok(server, ['cp', '-', `${id}:text`], { input: 'für dich\n' })
    expect(await ok(server, ['cp', `${id}:text`, '-'])).toBe('für dich\n')
    await ok(server, ['cp', `${id}:text`, '/dev/null'])
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true)
  })

  test('sends a large one in parts', async ({ server, id }) => {
    const content = Buffer.alloc(9 * 1024 * 1024, 'large ')
    writeFileSync(at('large'), content)
    expect(await json(server, 'cp', 'large', `${id}:`)).toMatchObject({ bytesTransferred: content.length })
    expect((await json(server, 'fs', 'checksum', id, 'large')).digest).toBe(
      createHash('sha256').update(content).digest('hex'),
    )
  })

  test('knows a local name with a colon', async ({ server, id }) => {
    writeFileSync(at('a:b'), 'colon')
    await ok(server, ['cp', './a:b', `${id}:c:d`])
    await ok(server, ['cp', 'a:b', `${id}:e`])
    await ok(server, ['cp', `${id}:c:d`, './x:y'])
    expect(readFileSync(at('x:y'), 'utf8')).toBe('colon')
    expect(await ok(server, ['fs', 'cat', id, 'e'])).toBe('colon')
  })

  test('fails with --strict where the directory is missing, and leaves nothing', async ({ server, id }) => {
    writeFileSync(at('f'), 'x')
    expect(await failure(server, 'cp', '--strict', 'f', `${id}:no/such/f`)).toEqual([1, 'file_not_found'])
    expect(await failure(server, 'fs', 'stat', id, 'no')).toEqual([1, 'file_not_found'])
    await ok(server, ['cp', 'f', `${id}:f`])
    expect(await failure(server, 'cp', '--strict', `${id}:f`, 'none/f')).toEqual([1, 'local_failure'])
    expect(readdirSync(here)).toEqual(['f'])
  })

  test('refuses what makes no sense, with the reason', async ({ server, id }) => {
    writeFileSync(at('f'), 'x')
    mkdirSync(at('folder'))
    expect(await failure(server, 'cp', 'f', 'g')).toEqual([2, 'usage'])
    expect(await failure(server, 'cp', `${id}:a`, `${id}:b`)).toEqual([2, 'usage'])
    expect(await failure(server, 'cp', 'folder', `${id}:x`)).toEqual([2, 'usage'])
    expect(await failure(server, 'cp', `${id}:.`, 'x')).toEqual([2, 'usage'])
    expect(await failure(server, 'cp', `${id}:.`, '-')).toEqual([2, 'usage'])
    expect(await failure(server, 'cp', '-', `${id}:folder/`)).toEqual([2, 'usage'])
    expect(await failure(server, 'cp', 'f', `${id}:x`, '--timeout', 'soon')).toEqual([2, 'usage'])
    expect(await failure(server, 'cp', 'missing', `${id}:x`)).toEqual([1, 'local_failure'])
    expect(await failure(server, 'cp', `${id}:missing`, 'x')).toEqual([1, 'file_not_found'])
    expect(await failure(server, 'cp', 'f', 'nowhere:x')).toEqual([1, 'sandbox_not_found'])
    expect(await failure(server, 'cp', 'f', `${id}:/etc/hosts/x`)).toEqual([
      1,
      expect.stringMatching(/^file_/),
    ])
    expect(readdirSync(here).sort()).toEqual(['f', 'folder'])
  })
})

describe('cp of a directory', () => {
  function plant(): Record<string, string> {
    mkdirSync(at('src/deep/er'), { recursive: true })
    mkdirSync(at('src/empty'), { mode: 0o700 })
    writeFileSync(at('src/plain'), 'plain', { mode: 0o640 })
    writeFileSync(at('src/tool'), 'tool', { mode: 0o755 })
    for (const name of ['new\nline', '-dash', '@at', ' space', 'ünï', 'back\\slash', "quote'd"])
      writeFileSync(at(`src/deep/${name}`), name)
    writeFileSync(at(`src/deep/er/${'n'.repeat(200)}`), 'long')
    symlinkSync('plain', at('src/link'))
    symlinkSync('/nowhere', at('src/dangling'))
    linkSync(at('src/plain'), at('src/twin'))
    return tree(at('src'))
  }

  test('is the same after up and down, links and odd names included', async ({ server, id }) => {
    const before = plant()
    const up = await json(server, 'cp', '-r', 'src', `${id}:trees/one`)
    expect(up).toMatchObject({ destination: `${id}:trees/one`, filesTransferred: 11 })
    expect(up.directoriesCreated).toHaveLength(2)
    const down = await json(server, 'cp', '-r', `${id}:trees/one`, 'back')
    expect(down).toMatchObject({ filesTransferred: 11, bytesTransferred: up.bytesTransferred })
    expect(tree(at('back'))).toEqual(before)
  })

  test('goes below a directory that is there, or beside what it holds', async ({ server, id }) => {
    const before = plant()
    mkdirSync(at('into'))
    writeFileSync(at('into/kept'), 'kept')
    await ok(server, ['fs', 'mkdir', id, 'into'])
    expect((await json(server, 'cp', '-r', 'src', `${id}:into`)).destination).toBe(`${id}:into/src`)
    await ok(server, ['cp', '-r', `${id}:into/src`, 'into'])
    expect(tree(at('into/src'))).toEqual(before)
    // Once more, over what is there.
    writeFileSync(at('into/src/plain'), 'changed')
    await ok(server, ['cp', '-r', `${id}:into/src/.`, 'into/src'])
    expect(tree(at('into/src'))).toEqual(before)
    await ok(server, ['cp', '-r', `${id}:into/src/.`, 'into'])
    expect(readFileSync(at('into/kept'), 'utf8')).toBe('kept')
    expect(readFileSync(at('into/tool'), 'utf8')).toBe('tool')
  })

  test('leaves out what is no file, and does not wait for it', async ({ server, id }) => {
    mkdirSync(at('src'))
    writeFileSync(at('src/f'), 'x')
    execFileSync('mkfifo', [at('src/pipe')])
    const { stderr, code } = await server.cli(['cp', '-r', 'src', `${id}:pipes`], { cwd: here })
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('left out 1') })
    expect((await json(server, 'fs', 'ls', id, 'pipes')).files).toHaveLength(1)
  })

  test('may be empty', async ({ server, id }) => {
    mkdirSync(at('void'))
    expect(await json(server, 'cp', '-r', 'void', `${id}:voids/`)).toMatchObject({ filesTransferred: 0 })
    await ok(server, ['cp', '-r', `${id}:voids/void`, 'back'])
    expect(readdirSync(at('back'))).toEqual([])
  })
})

describe('fs', () => {
  test('lists, exactly as JSON and as names', async ({ server, id }) => {
    await ok(server, ['fs', 'mkdir', id, '-p', 'list/sub'])
    for (const name of ['b', 'a\nb', '\u001b[31mred'])
      await ok(server, ['cp', '-', `${id}:list/${name}`], { input: 'xyz' })
    await ok(server, ['cp', '-', `${id}:list/sub/deep`], { input: '' })
    const { files } = await json(server, 'fs', 'ls', id, 'list')
    expect(files.map((file: { name: string }) => file.name).sort()).toEqual(
      ['\u001b[31mred', 'a\nb', 'b', 'sub'].sort(),
    )
    expect(await ok(server, ['files', 'list', id, 'list'])).toContain('sub/\n')
    expect(await ok(server, ['fs', 'ls', id, 'list/', '--depth', '2'])).toContain('sub/deep\n')
    expect(await ok(server, ['fs', 'ls', id, 'list/b'])).toContain('b\n')
    expect(await ok(server, ['file', 'ls', id, 'list', '-l'])).toMatch(
      /-rw-r--r-- .* 3 {2}\d{4}-\d\d-\d\d .* b\n/,
    )
    expect(await failure(server, 'fs', 'ls', id, 'list/none')).toEqual([1, 'file_not_found'])
  })

  test('makes, moves, changes, describes and removes', async ({ server, id }) => {
    expect(await ok(server, ['fs', 'mkdir', id, '-p', 'm/n/o'])).toMatch(/^made .*m\nmade .*n\nmade .*o\n$/)
    expect((await server.cli(['fs', 'mkdir', id, 'x/y'])).stderr).toContain('does not exist')
    expect(await ok(server, ['fs', 'mv', id, 'm/n', 'm/p'])).toBe('moved m/n to m/p\n')
    expect(await ok(server, ['fs', 'chmod', id, '700', 'm/p'])).toBe('0700 m/p\n')
    expect(await json(server, 'fs', 'stat', id, 'm/p')).toMatchObject({ type: 'directory', mode: 0o700 })
    expect(await ok(server, ['fs', 'stat', id, 'm/p'])).toContain('0700 (rwx------)')

    expect(await server.cli(['fs', 'rm', id, 'm'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('rmdir'),
    })
    expect((await server.cli(['fs', 'rmdir', id, 'm'])).stderr).toContain('not empty')
    await ok(server, ['cp', '-', `${id}:m/--odd`], { input: 'x' })
    expect(await server.cli(['fs', 'rmdir', id, 'm/--odd'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"caisson fs rm"'),
    })
    await ok(server, ['fs', 'mv', id, 'm/--odd', '--', '--odd'])
    expect(await json(server, 'fs', 'rm', id, '--force', 'none')).toEqual({ removed: [] })
    expect(await ok(server, ['fs', 'rm', id, '--', '--odd'])).toBe('removed --odd\n')
    expect(await json(server, 'fs', 'rmdir', id, '-r', 'm')).toEqual({ removed: ['m'] })
    expect((await server.cli(['fs', 'rm', id, 'm'])).stderr).toContain('does not exist')
    expect((await server.cli(['fs', 'chmod', id, '9', 'x'])).code).toBe(2)
  })

  test('prints files, parts of them, and bytes as base64', async ({ server, id }) => {
    await ok(server, ['cp', '-', `${id}:cat`], { input: '0123456789' })
    expect(await ok(server, ['fs', 'cat', id, 'cat', '--offset', '2', '--length', '3'])).toBe('234')
    expect(await json(server, 'fs', 'cat', id, 'cat')).toEqual({
      path: 'cat',
      size: 10,
      content: '0123456789',
    })
    await ok(server, ['cp', '-', `${id}:cat`], { input: Buffer.from([255, 0]) })
    expect((await json(server, 'fs', 'cat', id, 'cat')).contentBase64).toBe('/wA=')
    expect(await ok(server, ['fs', 'checksum', id, 'cat', '--algorithm', 'md5'])).toMatch(/^[0-9a-f]{32}\n$/)
  })

  test.for(['tar.gz', 'tar', 'zip'])('downloads and uploads %s', async (format, { server, id }) => {
    await ok(server, ['cp', '-', `${id}:packed/in/f`], { input: 'packed' })
    expect(await json(server, 'fs', 'download', id, `a.${format}`, '--path', 'packed')).toMatchObject({
      output: `a.${format}`,
      format,
      bytes: statSync(at(`a.${format}`)).size,
      skipped: 0,
    })
    const target = `unpacked-${format}`
    expect(await json(server, 'fs', 'ul', id, `a.${format}`, '--path', target)).toMatchObject({
      files: 1,
      bytes: 6,
    })
    expect(await ok(server, ['fs', 'cat', id, `${target}/in/f`])).toBe('packed')
  })

  test('passes archives through pipes', async ({ server, id }) => {
    mkdirSync(at('piped'))
    writeFileSync(at('piped/f'), 'through')
    const input = execFileSync('tar', ['cz', '-C', here, 'piped'])
    expect(await ok(server, ['fs', 'upload', id, '-', '--path', 'p'], { input })).toContain('1 files')
    expect(await ok(server, ['fs', 'dl', id, '-', '--format', 'tar', '--path', 'p'])).toContain('through')
    expect(await failure(server, 'fs', 'upload', id, 'none.tar')).toEqual([1, 'local_failure'])
    expect((await server.cli(['fs', 'upload', id, '-'], { input: 'no archive' })).code).toBe(1)
    expect((await server.cli(['fs', 'download', id, 'out.zip', '--path', 'none'], { cwd: here })).code).toBe(
      1,
    )
    expect(existsSync(at('out.zip'))).toBe(false)
  })

  test('makes links that need no key', async ({ server, id }) => {
    const link = await json(server, 'fs', 'link', id, 'cat', '--ttl', '10m')
    expect(link).toMatchObject({ path: expect.stringMatching(/^\/v1\/signed\//), url: null })
    const { stdout, stderr } = await server.cli(['fs', 'link', id, 'cat', '--write'])
    expect(stdout).toMatch(/^\/v1\/signed\//)
    expect(stderr).toContain('does not listen')
  })

  test('prints changes while they happen', async ({ server, id }) => {
    await ok(server, ['fs', 'mkdir', id, '-p', 'watched'])
    let seen = ''
    const { signal } = await server.cli(['fs', 'watch', id, 'watched', '-r', '--json'], {
      onSpawn: (child) =>
        child.stdout!.on('data', (data) => {
          if (seen === '') void server.cli(['cp', '-', `${id}:watched/new`], { input: 'x' })
          seen += data
          if (seen.includes('"new"')) child.kill('SIGINT')
        }),
    })
    expect(signal).toBe('SIGINT')
    expect(JSON.parse(seen.split('\n')[0]!)).toEqual({ type: 'ready' })
  })
})
