import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Client, Sandbox } from 'caisson'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../fixture.ts'
import { cannotSave, garbage, startSaving, text } from '../saved/world.ts'
import { dockerArchive, layer, layout, type MadeLayer } from './image.ts'
import { type Entry, failure, gzip, sha256, tar, zstd } from './world.ts'

const BUSYBOX = '/bin/busybox'
const isStatic = existsSync(BUSYBOX) && !readFileSync(BUSYBOX).includes('/ld-linux')
const PASSWD = 'root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv:/bin/sh\n'
const directory = (path: string, more: Partial<Entry> = {}): Entry => ({ path, type: 'directory', ...more })

describe.skipIf(cannotSave !== null)('images', () => {
  let server: TestServer
  let client: Client
  let first: MadeLayer
  let second: MadeLayer

  beforeAll(async () => {
    server = await startSaving({ env: { CAISSON_POOL_SIZE: '300Mi' } })
    client = server.client()
    first = await layer([
      directory('./'),
      directory('./etc/'),
      { path: './etc/passwd', text: PASSWD },
      directory('old'),
      { path: 'old/a', text: 'a' },
      { path: 'old/b', text: 'b' },
      directory('opaque'),
      { path: 'opaque/x', text: 'x' },
      directory('turned'),
      { path: 'turned/in', text: 'in' },
      { path: 'lib', type: 'symlink', link: '/usr/lib' },
      directory('usr/lib'),
      { path: 'suid', text: 's', mode: 0o4755, uid: 33, gid: 44, mtimeNs: 981_173_106_123_456_789n },
      { path: 'again', type: 'hardlink', link: './suid' },
      { path: 'null', type: 'device' },
      { path: 'dev/console', type: 'device' },
      directory('srv', { mode: 0o1750, uid: 33, gid: 33 }),
    ])
    second = await layer(
      [
        { path: 'old/.wh.a' },
        { path: 'opaque/.wh..wh..opq' },
        { path: 'opaque/y', text: 'y' },
        { path: 'turned', text: 'a file now' },
        { path: 'lib/in.so', text: 'so' },
        { path: '.wh.never' },
      ],
      false,
    )
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })
  afterEach(async () => {
    const { runtimes } = await client.call('listRuntimes', { limit: 100 })
    for (const { id, source } of runtimes) if (source === 'image') await client.runtimes.delete(id)
    await client.call('collectGarbage', {})
    expect(await readdir(join(server.dataDir, 'imports'))).toEqual([])
    expect((await client.call('getDiskUsage', {})).saved.count).toBe(0)
  })

  test('layers lie above each other as their whiteouts say', async () => {
    const image = await layout([first, second], {
      config: { config: { User: 'web', Env: ['A=b=c', 'EMPTY='], Cmd: ['sh'], WorkingDir: '/srv' } },
    })
    const steps: string[] = []
    const made = await client.runtimes.import('made:1', image, { onStep: (step) => steps.push(step) })
    expect(steps).toContain('layer 2 of 2')
    expect(made).toMatchObject({ id: 'made:1', source: 'image', built: true })
    expect(made.notes).toBe(
      'A sandbox does not take over its command, its working directory. It lacks 1 device files of the image.',
    )
    await using box = await Sandbox.create({
      client,
      runtime: 'made:1',
      files: [{ path: '/srv/own', content: 'x' }],
    })
    const names = async (path: string) => (await box.files.list(path)).map(({ name }) => name).sort()
    expect(await names('/old')).toEqual(['b'])
    expect(await names('/opaque')).toEqual(['y'])
    expect(await names('/usr/lib')).toEqual(['in.so'])
    expect(await box.files.readText('/turned')).toBe('a file now')
    expect(await box.files.stat('/lib')).toMatchObject({ type: 'symlink', link: '/usr/lib' })
    expect(await box.files.stat('/again')).toMatchObject({ mode: 0o4755, uid: 33, gid: 44 })
    expect((await box.files.stat('/suid')).modifiedAt).toBe('2001-02-03T04:05:06.123Z')
    expect(await box.files.stat('/srv')).toMatchObject({ mode: 0o1750, uid: 33 })
    expect(await box.files.stat('/srv/own')).toMatchObject({ owner: 'web' })
    expect(await names('/')).not.toContain('null')
  })

  test.skipIf(!isStatic)('commands run as its user and with its environment', async () => {
    const tools = ['sh', 'id', 'cat', 'ls'].map(
      (name): Entry => ({ path: `bin/${name}`, type: 'hardlink', link: 'bin/busybox' }),
    )
    const busybox = { path: 'bin/busybox', text: readFileSync(BUSYBOX), mode: 0o755 }
    const image = [await layer([directory('bin'), busybox, ...tools]), first]
    const config = { User: 'web', Env: ['PATH=/bin', 'GREETING=hello'] }
    await client.runtimes.import('busy', gzip(await dockerArchive(image, config)))
    const box = (await Sandbox.create({ client, runtime: 'busy:latest' })).keep()
    expect(await text(box, 'id -un; echo $GREETING; cat /old/a')).toBe('web\nhello\na')
    await client.call('createSnapshot', { id: box.id, name: 'busy' })
    await client.runtimes.delete('busy')
    await client.call('collectGarbage', {})
    const [fork] = (await client.call('forkSandbox', { id: box.id })).sandboxes
    await using above = await Sandbox.create({ client, snapshot: 'busy' })
    expect(await text(above, 'cat /old/b')).toBe('b')
    await client.call('deleteSandbox', { id: fork!.id })
    await box.delete()
    await client.call('deleteSnapshot', { snapshot: 'busy' })
  })

  test('an archive may be compressed, and have an index within its index', async () => {
    const zipped = { ...first, stored: zstd(first.tar), type: `${second.type}+zstd` }
    const inner = Buffer.from(await layout([zipped]))
    const index = readEntry(inner, 'index.json')
    const nested = await layout([zipped], {
      index: {
        manifests: [descriptor('application/vnd.oci.image.index.v1+json', ofOthers(index))],
      },
      files: { [`blobs/sha256/${sha256(ofOthers(index))}`]: ofOthers(index) },
    })
    expect(await client.runtimes.import('nested:1', zstd(nested))).toMatchObject({ id: 'nested:1' })
  })

  test('a name that is taken is refused', async () => {
    const image = await layout([first])
    await client.runtimes.import('taken:1', image)
    expect(await failure(client.runtimes.import('taken:1', image))).toMatchObject({ code: 'runtime_exists' })
    expect(await failure(client.runtimes.import('base', image))).toMatchObject({ code: 'runtime_exists' })
  })

  test('a reference is nothing else', async () => {
    for (const reference of [
      '--help',
      '-v',
      'a b',
      'dir:/etc',
      'http://x/y',
      'x/../y',
      'UPPER',
      'a:b:c',
      'é',
      'x\n',
    ]) {
      const found = await failure(client.runtimes.import('odd:1', { reference }))
      expect([reference, found.code]).toEqual([reference, 'image_invalid'])
    }
  })

  describe('is refused', () => {
    const NONE = `sha256:${'0'.repeat(64)}`
    const one = (change?: Parameters<typeof layout>[1]) => layout([first], change)
    const bad = async (...entries: Entry[]) => layout([first, await layer(entries)])
    const cases: Record<string, () => Promise<Buffer>> = {
      'an image without layers': () => layout([]),
      'one for another architecture': () => one({ config: { architecture: 's390x' } }),
      'one for another system': () => one({ config: { os: 'windows' } }),
      'a digest that is a path': () => one({ layers: { digest: 'sha256:../../../etc/passwd' } }),
      'a digest of another kind': () => one({ layers: { digest: 'md5:abc' } }),
      'a layer that is missing': () => one({ layers: { digest: NONE } }),
      'a size that is a lie': () => one({ layers: { size: 5 } }),
      'a layer that lies elsewhere': () => one({ layers: { urls: ['http://127.0.0.1/'] } }),
      'a foreign layer': () =>
        one({ layers: { mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' } }),
      'a layer of an unknown type': () => one({ layers: { mediaType: 'text/plain' } }),
      'a wrong compression': () => layout([{ ...first, type: second.type }]),
      'a layer that is not what its digest says': async () => {
        const name = `blobs/sha256/${sha256(first.stored)}`
        const other = Buffer.from(first.stored)
        other[other.length - 1]! ^= 1
        return one({ files: { [name]: other } })
      },
      'contents that are not what their digest says': () =>
        one({ config: { rootfs: { type: 'layers', diff_ids: [NONE] } } }),
      'digests of too few layers': () => one({ config: { rootfs: { type: 'layers', diff_ids: [] } } }),
      'a configuration that is none': () => one({ config: { rootfs: 5 } }),
      'an environment that is none': () => one({ config: { config: { Env: ['=x'] } } }),
      'a user that is none': () => one({ config: { config: { User: '../root' } } }),
      'a manifest that is missing': () => one({ index: { manifests: [] } }),
      'an index for others only': () =>
        one({
          index: { manifests: [{ digest: NONE, size: 1, platform: { os: 'linux', architecture: 'mips' } }] },
        }),
      'an index that is no JSON': () => one({ files: { 'index.json': '{' } }),
      'an index that is too large': () => one({ files: { 'index.json': ' '.repeat(5 * 2 ** 20) } }),
      'no index at all': () => one({ files: { 'index.json': null } }),
      'several images': async () => {
        const names = readEntry(await one(), 'index.json')
        const [image] = JSON.parse(names.toString()).manifests
        return one({ index: { manifests: [image, { ...image, digest: NONE }] } })
      },
      'a path that leads out': () => bad({ path: '../out' }),
      'a hard link that leads out': () => bad({ path: 'h', type: 'hardlink', link: '../../etc/shadow' }),
      'a hard link to nothing': () => bad({ path: 'h', type: 'hardlink', link: 'none' }),
      'a file through a link to a mount': () =>
        bad({ path: 'l', type: 'symlink', link: '/proc' }, { path: 'l/x' }),
      'a whiteout without a name': () => bad({ path: 'old/.wh.' }),
      'a whiteout of what is above': () => bad({ path: 'old/.wh...' }),
      'an owner that no sandbox has': () => bad({ path: 'o', uid: 4_000_000_000 }),
      'an /etc that leads elsewhere': () => bad({ path: 'etc', type: 'symlink', link: '/proc' }),
      'a layer that is cut': async () => {
        const cut = first.tar.subarray(0, 2000)
        return layout([{ tar: cut, stored: cut, type: second.type }])
      },
      'a layer that is no archive': async () => {
        const no = Buffer.from('no archive'.repeat(200))
        return layout([{ tar: no, stored: no, type: second.type }])
      },
      'a bomb': async () => {
        const bomb = await tar([{ path: 'zeros', text: Buffer.alloc(310 * 2 ** 20) }])
        return layout([{ tar: bomb, stored: zstd(bomb), type: `${second.type}+zstd` }])
      },
      'an archive that is cut': async () => (await one()).subarray(0, 3000),
      'what is no archive': async () => Buffer.from('no archive at all'.repeat(100)),
      nothing: async () => Buffer.alloc(0),
      'a docker archive without a configuration': () =>
        tar([{ path: 'manifest.json', text: '[{"Config":"../x","Layers":["a"]}]' }]),
      'a docker archive of several': () =>
        tar([{ path: 'manifest.json', text: '[{"Config":"a","Layers":[]},{"Config":"b","Layers":[]}]' }]),
    }
    for (const [what, make] of Object.entries(cases))
      test(what, async () => {
        const found = await failure(client.runtimes.import('bad:1', await make()))
        expect(found).toMatchObject({ code: 'image_invalid' })
        const { runtimes } = await client.call('listRuntimes', { limit: 100 })
        expect(runtimes.filter(({ source }) => source === 'image')).toEqual([])
        expect(await garbage(client)).toEqual([])
      })
  })
})

function descriptor(mediaType: string, bytes: Buffer) {
  return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length }
}

/** A file of an archive of small files. */
function readEntry(archive: Buffer, path: string): Buffer {
  for (let at = 0; at < archive.length; ) {
    const name = archive.toString('latin1', at, archive.indexOf(0, at))
    const size = Number.parseInt(archive.toString('latin1', at + 124, at + 135), 8) || 0
    if (name === path) return archive.subarray(at + 512, at + 512 + size)
    at += 512 + Math.ceil(size / 512) * 512
  }
  throw new Error(`${path} is not in the archive`)
}

/** An index with another system's image beside ours. */
function ofOthers(index: Buffer): Buffer {
  const value = JSON.parse(index.toString())
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const [ours] = value.manifests
  const other = {
    ...ours,
    digest: `sha256:${'1'.repeat(64)}`,
    platform: { os: 'linux', architecture: 's390x' },
  }
  return Buffer.from(
    JSON.stringify({ ...value, manifests: [other, { ...ours, platform: { os: 'linux', architecture } }] }),
  )
}
