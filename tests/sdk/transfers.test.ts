import { createHash } from 'node:crypto'
import { type FileChange, Sandbox } from 'caisson'
import { beforeEach, describe, expect } from 'vitest'
import { TestServer, test } from '../fixture.ts'

let sandbox: Sandbox
beforeEach<{ server: TestServer }>(async ({ server }) => {
  sandbox = await Sandbox.create({ client: server.client() })
  return () => sandbox.delete()
})

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const noise = (size: number): Buffer<ArrayBuffer> =>
  Buffer.from(Array.from({ length: size }, (_, i) => (i * i) % 251))

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

describe('many files', () => {
  test('are written at once', async () => {
    const written = await sandbox.files.writeMany({ 'a/b/text': 'tëxt', 'a/bytes': Uint8Array.of(0, 255) })
    expect(written).toMatchObject({ files: 2, bytes: 7 })
    expect(written.directoriesCreated.length).toBe(2)
    await sandbox.files.writeMany([{ path: 'run', content: '#!/bin/sh\necho ran', mode: 0o755 }])
    expect((await sandbox.sh('cat a/b/text; wc -c < a/bytes; ./run')).stdout).toBe('tëxt2\nran\n')
  })

  test('are listed as deep as is asked', async () => {
    await sandbox.files.writeMany({ 'x/1': '', 'x/y/2': '', 'x/y/z/3': '' })
    const names = async (depth?: number) =>
      (await sandbox.files.list('x', { depth })).map(({ path }) => path.replace(/^.*?x\//, ''))
    expect(await names()).toEqual(['1', 'y'])
    expect(await names(2)).toEqual(['1', 'y', 'y/2', 'y/z'])
    expect(await names(9)).toEqual(['1', 'y', 'y/2', 'y/z', 'y/z/3'])
  })
})

describe('checksums', () => {
  test('are those of the content', async () => {
    const bytes = noise(100_000)
    await sandbox.files.write('f', bytes, { sha256: sha256(bytes) })
    expect(await sandbox.files.checksum('f')).toEqual({
      algorithm: 'sha256',
      digest: sha256(bytes),
      size: bytes.length,
    })
    const md5 = createHash('md5').update(bytes).digest('hex')
    expect((await sandbox.files.checksum('f', 'md5')).digest).toBe(md5)
  })

  test.each([false, true])('that do not match leave the old file (in parts: %s)', async (resumable) => {
    await sandbox.files.write('kept', 'old')
    const writing = sandbox.files.write('kept', 'new', { sha256: sha256(Buffer.from('other')), resumable })
    await expect(writing).rejects.toMatchObject({ code: 'checksum_mismatch' })
    expect(await sandbox.files.readText('kept')).toBe('old')
    expect((await sandbox.files.list('.')).filter(({ name }) => name.includes('kept')).length).toBe(1)
  })
})

describe('uploads in parts', () => {
  test.each([
    ['bytes', (bytes: Buffer<ArrayBuffer>) => bytes],
    ['a blob', (bytes: Buffer<ArrayBuffer>) => new Blob([bytes])],
    ['a function', (bytes: Buffer<ArrayBuffer>) => (offset: number) => bytes.subarray(offset)],
  ])('take %s', async (_, sourceOf) => {
    const bytes = noise(900_000)
    const options = { resumable: true, partSize: 200_000, size: bytes.length, mode: 0o600 }
    const written = await sandbox.files.write('deep/f', sourceOf(bytes), {
      ...options,
      sha256: sha256(bytes),
    })
    expect(written).toMatchObject({ name: 'f', size: bytes.length, mode: 0o600 })
    expect(written.directoriesCreated.length).toBe(1)
    expect((await sandbox.files.checksum('deep/f')).digest).toBe(sha256(bytes))
  })

  test('go on after the death and rebirth of the server', async () => {
    await using server = await TestServer.start()
    await using box = await Sandbox.create({ client: server.client() })
    const bytes = noise(3_000_000)
    let restarted: Promise<void> | undefined
    const written = await box.files.write('kept', bytes, {
      resumable: true,
      partSize: 500_000,
      sha256: sha256(bytes),
      onProgress: ({ bytes: sent }) => {
        if (sent > 1_200_000) restarted ??= server.kill9().then(() => server.up())
      },
    })
    await restarted
    expect(restarted).toBeDefined()
    expect(written.size).toBe(bytes.length)
    expect((await box.files.checksum('kept')).digest).toBe(sha256(bytes))
    expect((await box.files.list('.')).filter(({ name }) => name.includes('kept')).length).toBe(1)
  })

  test('that are aborted leave nothing', async () => {
    const stop = new AbortController()
    const writing = sandbox.files.write('gone', noise(900_000), {
      resumable: true,
      partSize: 200_000,
      signal: stop.signal,
      onProgress: ({ bytes }) => bytes >= 400_000 && stop.abort(),
    })
    await expect(writing).rejects.toMatchObject({ code: 'aborted' })
    expect((await sandbox.sh('find . -name "*gone*"')).stdout).toBe('')
  })
})

describe('archives', () => {
  test.each(['tar.gz', 'tar', 'zip'] as const)('go out and in again as %s', async (format) => {
    await sandbox.files.writeMany({ 'from/a': 'a', 'from/ü b/c': 'cc' })
    await sandbox.sh('ln -s a from/link; mkdir from/empty; chmod 700 from/a')
    const archive = await sandbox.files.download('from', { format })
    const bytes = await bytesOf(archive)
    expect(archive.skipped).toBe(0)
    const unpacked = await sandbox.files.upload(bytes, { path: 'to' })
    expect(unpacked).toMatchObject({ files: 2, links: 1, bytes: 3 })
    const tree = 'find . -printf "%P %y %l\\n" | sort; stat -c %a a; cat a "ü b/c"'
    const { stdout } = await sandbox.sh(`cd from; ${tree}; cd ../to; ${tree}`)
    const half = stdout.length / 2
    expect(half).toBeGreaterThan(40)
    expect(stdout.slice(half)).toBe(stdout.slice(0, half))
  })

  test('of what is not there fail before the first byte', async () => {
    await expect(sandbox.files.download('none')).rejects.toMatchObject({ code: 'file_not_found' })
    await expect(sandbox.files.upload('no archive')).rejects.toMatchObject({ status: 422 })
  })
})

describe('a watch', () => {
  const next = async (changes: AsyncIterator<FileChange>, path: string) => {
    for (let step = await changes.next(); !step.done; step = await changes.next())
      if (step.value.path === path) return step.value
    return undefined
  }

  test('sees what happens from the moment it is there, in new directories too', async () => {
    await using watch = await sandbox.files.watch('.', { recursive: true })
    const changes = watch[Symbol.asyncIterator]()
    await sandbox.sh('mkdir -p new/deep; echo 1 > new/deep/f')
    expect(await next(changes, 'new')).toMatchObject({ type: 'create', fileType: 'directory' })
    expect(await next(changes, 'new/deep/f')).toBeDefined()
    await sandbox.files.remove('new', { recursive: true })
    for (let change = await next(changes, 'new/deep/f'); change?.type !== 'remove'; )
      change = await next(changes, 'new/deep/f')
    watch.close()
    expect(await changes.next()).toMatchObject({ done: true })
  })

  test('ends with its loop, its scope or its signal', async () => {
    const watch = await sandbox.files.watch()
    await sandbox.files.write('f', '')
    for await (const _ of watch) break
    const stop = new AbortController()
    const other = await sandbox.files.watch('.', { signal: stop.signal })
    stop.abort()
    await expect(other[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'aborted' })
    await expect(sandbox.files.watch('none')).rejects.toMatchObject({ code: 'file_not_found' })
  })
})

test('a link reads or writes one file without a key', async () => {
  await using server = await TestServer.start({ listen: '127.0.0.1:0' })
  const client = server.client()
  await using box = await Sandbox.create({ client })
  const { url: address } = await client.call('getServer')
  await box.files.write('f', 'content')
  const read = await box.files.link('f')
  expect(Date.parse(read.expiresAt)).toBeGreaterThan(Date.now())
  expect(read.url).toBe(`${address}${read.path}`)
  expect(await (await fetch(read.url!)).text()).toBe('content')
  const write = await box.files.link('f', { operation: 'write', ttl: '5m' })
  expect((await fetch(write.url!, { method: 'PUT', body: 'changed' })).status).toBe(200)
  expect(await box.files.readText('f')).toBe('changed')
  expect((await fetch(read.url!, { method: 'PUT', body: 'again' })).status).toBe(403)
})
