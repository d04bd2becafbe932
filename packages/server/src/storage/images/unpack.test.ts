import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { unpackInto } from './unpack.ts'

const run = promisify(execFile)

let directory: string
let server: Server
let tarball: Buffer
let integrity: string
let asked: string[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-unpack-'))
  asked = []
  server = createServer((request, response) => {
    asked.push(request.url!)
    if (request.url!.endsWith('.tgz')) response.end(tarball)
    else response.end(JSON.stringify(packument()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  for (const path of ['package/bin', 'package/lib']) await mkdir(join(directory, path), { recursive: true })
  await writeFile(join(directory, 'package/bin/tool'), '#!/bin/sh\n', { mode: 0o644 })
  await writeFile(join(directory, 'package/lib/rest'), 'rest')
  await pack('package')
})
afterEach(async () => {
  server.close()
  await rm(directory, { recursive: true, force: true })
})

const registry = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`

function packument() {
  const version = (text: string) => [
    text,
    { dist: { tarball: `${registry()}tool-x64/-/tool-x64-${text}.tgz`, integrity } },
  ]
  return {
    'dist-tags': { latest: '2.0.0' },
    versions: Object.fromEntries(['1.9.0', '1.10.0', '1.11.0-rc.1', '2.0.0'].map(version)),
  }
}

async function pack(...args: string[]): Promise<void> {
  await run('tar', ['-czf', join(directory, 'package.tgz.made'), '-C', directory, ...args])
  tarball = await readFile(join(directory, 'package.tgz.made'))
  integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
}

/** The tree is this machine, since a tree has a shell and tar of its own; what is unpacked stays in the test's directory. */
async function unpack(
  more: Partial<Parameters<typeof unpackInto>[1]> = {},
  proxy: string | null = null,
): Promise<string[]> {
  const steps: string[] = []
  const wanted = { package: 'tool-x64', version: '1', into: join(directory, 'into/deep'), links: {}, ...more }
  const source = { registry: registry(), proxy, caFile: null }
  await unpackInto('/', wanted, source, directory, { progress: (step) => steps.push(step) })
  return steps
}

describe.skipIf(process.getuid?.() !== 0)('a package that is unpacked', () => {
  test('is the newest release of what was asked for, as it is, with its links', async () => {
    const link = join(directory, 'links/tool')
    const target = join(directory, 'into/deep/bin/tool')
    expect(await unpack({ links: { [link]: target } })).toEqual([
      'unpacking tool-x64@1',
      'unpacked tool-x64@1.10.0',
    ])
    expect(asked).toEqual(['/tool-x64', '/tool-x64/-/tool-x64-1.10.0.tgz'])
    expect(await readlink(link)).toBe(target)
    expect((await stat(target)).mode & 0o777).toBe(0o755)
    expect(await readFile(join(directory, 'into/deep/lib/rest'), 'utf8')).toBe('rest')
    expect(await readdir(directory)).not.toContain('package.tgz')
  })

  test('comes by the proxy of the operator', async () => {
    const { host } = new URL(registry())
    const [before, password] = [registry(), 'se"cret']
    server.prependListener('request', (request) =>
      asked.push(request.headers['proxy-authorization'] ?? 'none'),
    )
    await unpack({}, `http://me:${encodeURIComponent(password)}@${host}`)
    const credentials = `Basic ${Buffer.from(`me:${password}`).toString('base64')}`
    expect(asked).toEqual([
      credentials,
      `${before}tool-x64`,
      credentials,
      `${before}tool-x64/-/tool-x64-1.10.0.tgz`,
    ])
  })

  test('may be a part of it', async () => {
    await unpack({ only: ['bin/tool'], version: 'latest' })
    expect(asked.at(-1)).toContain('2.0.0')
    expect(await readdir(join(directory, 'into/deep'))).toEqual(['bin'])
  })

  test('is what the registry says, or nothing of it is unpacked', async () => {
    tarball = Buffer.concat([tarball, Buffer.from('x')])
    await expect(unpack()).rejects.toThrow('SHA-512')
    await expect(lstat(join(directory, 'into'))).rejects.toThrow('ENOENT')
    await expect(unpack({ version: '3' })).rejects.toThrow('has no tool-x64@3')
  })

  test('cannot have names that lead out, nor bits that make somebody root', async () => {
    await run('chmod', ['4777', join(directory, 'package/bin/tool')])
    await pack('package')
    await unpack()
    expect((await stat(join(directory, 'into/deep/bin/tool'))).mode & 0o7777).toBe(0o755)
    await pack('--transform', 's#^package/lib/rest#package/../../../out#', '-P', 'package/lib/rest')
    await expect(unpack()).rejects.toThrow(/unpacking ended with/)
    expect(await readdir(directory)).not.toContain('out')
  })
})
