import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Header, type HeaderData } from 'tar'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type CliOptions, runCli } from '../fixture.ts'

const BLOCK = 512

/** A tar archive of any entries, also such as no honest program writes. */
function tarOf(...entries: (Omit<HeaderData, 'size'> & { content?: string })[]): Buffer {
  const blocks = entries.map(({ content = '', ...data }) => {
    const header = Buffer.alloc(BLOCK)
    const size = Buffer.byteLength(content)
    new Header({ type: 'File', mode: 0o644, uid: 0, gid: 0, mtime: new Date(0), ...data, size }).encode(
      header,
    )
    const body = Buffer.alloc(Math.ceil(size / BLOCK) * BLOCK)
    body.write(content)
    return Buffer.concat([header, body])
  })
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)])
}

const info = (type: 'file' | 'directory', size = 0) => ({
  ...{ name: 'x', path: 'x', type, size, mode: type === 'file' ? 0o6755 : 0o755, uid: 0, gid: 0 },
  ...{ owner: null, group: null, modifiedAt: new Date(0).toISOString(), link: null },
})

/** A server in the hands of somebody else. */
async function hostile(type: 'file' | 'directory', content: RequestListener) {
  const server = createServer((request, response) => {
    if (!request.url?.includes('/files/stat')) return content(request, response)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(info(type, 1000)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    cli: (args: string[], options: CliOptions = {}) =>
      runCli([...args, '--url', `http://127.0.0.1:${port}`], { env: { PATH: process.env.PATH }, ...options }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Where the person works, and a place outside of it that nothing may reach. */
let base: string
let work: string
let outside: string

beforeEach(() => {
  base = mkdtempSync('/tmp/caisson-t-')
  work = join(base, 'work')
  outside = join(base, 'outside')
  mkdirSync(work)
  mkdirSync(outside)
  writeFileSync(join(outside, 'secret'), 'untouched')
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

async function copyTree(archive: Buffer, to = 'got') {
  await using server = await hostile('directory', (_, response) => response.end(archive))
  return await server.cli(['cp', '-r', 'box:tree/.', to], { cwd: work })
}

describe('a directory from a hostile sandbox', () => {
  test.for([
    ['goes upwards', [{ path: '../evil', content: 'x' }]],
    ['goes upwards from within', [{ path: 'a/../../evil', content: 'x' }]],
    ['is absolute', [{ path: '/tmp/evil', content: 'x' }]],
    [
      'goes through a link',
      [
        { path: 'a', type: 'SymbolicLink', linkpath: '../../outside' },
        { path: 'a/secret', content: 'x' },
      ],
    ],
    [
      'makes a directory through a link',
      [
        { path: 'a', type: 'SymbolicLink', linkpath: '../../outside' },
        { path: 'a/b/', type: 'Directory' },
      ],
    ],
    [
      'writes to what a link leads to',
      [
        { path: 'a', type: 'SymbolicLink', linkpath: '../../outside/secret' },
        { path: 'a', content: 'x' },
      ],
    ],
    ['links hard to what is outside', [{ path: 'a', type: 'Link', linkpath: '../../outside/secret' }]],
    [
      'links hard to a link',
      [
        { path: 'a', type: 'SymbolicLink', linkpath: '../../outside/secret' },
        { path: 'b', type: 'Link', linkpath: 'a' },
      ],
    ],
    ['has no name', [{ path: './', content: 'x' }]],
  ] satisfies [string, Parameters<typeof tarOf>[0][]][])(
    'is refused as a whole when an entry %s',
    async ([, bad]) => {
      const { code, stderr, stdout } = await copyTree(tarOf({ path: 'good', content: 'g' }, ...bad))
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(/refused|damaged/)
      expect(readdirSync(work)).toEqual([])
      expect(readdirSync(base).sort()).toEqual(['outside', 'work'])
      expect(readdirSync(outside)).toEqual(['secret'])
      expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('untouched')
    },
  )

  test('does not reach out through links that were here before', async () => {
    mkdirSync(join(work, 'got'))
    symlinkSync('../../outside', join(work, 'got/a'))
    const { code, stderr } = await copyTree(tarOf({ path: 'a/secret', content: 'x' }))
    expect(code).toBe(1)
    expect(stderr).toContain('stands where a directory was to be')
    expect(readdirSync(join(work, 'got'))).toEqual(['a'])
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('untouched')
  })

  test('takes the place of a link, and leaves what it led to', async () => {
    mkdirSync(join(work, 'got'))
    symlinkSync('../../outside/secret', join(work, 'got/a'))
    expect((await copyTree(tarOf({ path: 'a', content: 'new' }))).code).toBe(0)
    expect(readFileSync(join(work, 'got/a'), 'utf8')).toBe('new')
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('untouched')
  })

  test('gets no special permissions, and changes none of directories that were here', async () => {
    mkdirSync(join(work, 'got/kept'), { recursive: true, mode: 0o750 })
    const { code, stderr } = await copyTree(
      tarOf(
        { path: './', type: 'Directory', mode: 0o777 },
        { path: 'kept/', type: 'Directory', mode: 0o777 },
        { path: 'new/', type: 'Directory', mode: 0o2755 },
        { path: 'new/tool', mode: 0o6755, content: 'x' },
        { path: 'new/null', type: 'CharacterDevice', devmaj: 1, devmin: 3 },
      ),
    )
    expect(code).toBe(0)
    expect(stderr).toContain('left out 1')
    const mode = (path: string) => statSync(join(work, 'got', path)).mode & 0o7777
    expect([mode('kept'), mode('new'), mode('new/tool')]).toEqual([0o750, 0o755, 0o755])
    expect(readdirSync(join(work, 'got/new'))).toEqual(['tool'])
  })

  test('that breaks off, or is no archive, leaves nothing', async () => {
    const archive = tarOf({ path: 'a', content: 'x'.repeat(5000) })
    const broken: RequestListener = (_, response) => {
      response.write(archive.subarray(0, 2000))
      setTimeout(() => response.destroy(), 50)
    }
    await using server = await hostile('directory', broken)
    expect((await server.cli(['cp', '-r', 'box:tree', '.'], { cwd: work })).code).toBe(1)
    for (const part of [archive.subarray(0, 2000), Buffer.alloc(4096, 0x61)])
      expect((await copyTree(part)).code).toBe(1)
    expect(readdirSync(work)).toEqual([])
  })
})

describe('a file that does not come to its end', () => {
  const half: RequestListener = (_, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('half of it')
  }

  test('leaves the old one, when the connection breaks', async () => {
    writeFileSync(join(work, 'x'), 'old')
    const broken: RequestListener = (request, response) => {
      half(request, response)
      setTimeout(() => response.destroy(), 50)
    }
    await using server = await hostile('file', broken)
    const { code, stderr } = await server.cli(['cp', 'box:x', '.', '--json'], { cwd: work })
    expect(code).toBe(1)
    expect(JSON.parse(stderr).error.code).toBe('connection_lost')
    expect(readdirSync(work)).toEqual(['x'])
    expect(readFileSync(join(work, 'x'), 'utf8')).toBe('old')
  })

  test.for(['SIGINT', 'SIGTERM'] as const)('leaves nothing at %s', async (signal) => {
    const { promise: asked, resolve } = Promise.withResolvers<void>()
    await using server = await hostile('file', (request, response) => {
      half(request, response)
      resolve()
    })
    const { code, stderr } = await server.cli(['cp', 'box:x', 'sub/y'], {
      cwd: work,
      onSpawn: async (child) => {
        await asked
        await expect.poll(() => readdirSync(join(work, 'sub')), { timeout: 5000 }).toHaveLength(1)
        child.kill(signal)
      },
    })
    expect({ code, stderr }).toEqual({ code: signal === 'SIGINT' ? 130 : 143, stderr: '' })
    expect(readdirSync(join(work, 'sub'))).toEqual([])
  })

  test('leaves nothing after --timeout', async () => {
    await using server = await hostile('file', half)
    const { code, stderr } = await server.cli(['cp', 'box:x', '.', '--timeout', '300ms'], { cwd: work })
    expect(code).toBe(1)
    expect(stderr).toContain('given up')
    expect(readdirSync(work)).toEqual([])
  })

  test('has no special permissions when it does', async () => {
    await using server = await hostile('file', (_, response) => response.end('whole'))
    expect((await server.cli(['cp', 'box:x', '.'], { cwd: work })).code).toBe(0)
    expect(statSync(join(work, 'x')).mode & 0o7777).toBe(0o755)
  })
})
