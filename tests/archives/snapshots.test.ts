import { mkdtemp, rm } from 'node:fs/promises'
import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../fixture.ts'
import { cannotSave, digest, garbage, plant, startSaving, text } from '../saved/world.ts'
import { type Entry, exported, failure, pack, snapshotArchive, unpack, unzstd, zstd } from './world.ts'

/** Names, types, modes, owners, sizes, links and times of the whole file system, but for what a start makes. */
const SYSTEM = `
  cd / && sudo find . -xdev \\( -path ./proc -o -path ./dev -o -path ./sys -o -path ./.caisson \\) -prune -o \\
    \\( -path ./etc/hosts -o -path ./etc/hostname -o -path ./etc/resolv.conf -o -path ./etc/machine-id \\) -prune -o \\
    ! -type d -printf '%P %y %m %U %G %s %n %l %T@\\n' -o ! -path . ! -path ./etc -printf '%P %y %m %U %G %T@\\n' |
    sort | sha256sum`

describe.skipIf(cannotSave !== null)('snapshots as files', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  test('one is the same on a server that has no images', async () => {
    await using images = await emptyDirectory()
    await using elsewhere = await startSaving({ env: { CAISSON_IMAGES_DIR: images.path } })
    await using box = await Sandbox.create({ client, env: { KEPT: 'yes' } })
    const tree = await plant(box)
    await text(box, `sudo chown 70:80 /srv; touch "$(printf 'bad\\377name')"`)
    const system = await text(box, SYSTEM)
    await client.call('createSnapshot', { id: box.id, name: 'gone', env: true, metadata: { a: 'b' } })
    const other = elsewhere.client()
    const file = await exported(client, 'gone')
    const made = await other.snapshots.import(file, { tag: 'v2' })
    expect(made).toMatchObject({
      name: 'gone',
      tag: 'v2',
      sandboxId: null,
      metadata: { a: 'b' },
      public: false,
    })
    await using copy = await Sandbox.create({ client: other, snapshot: 'gone:v2' })
    expect(await text(copy, SYSTEM)).toBe(system)
    expect(await digest(copy)).toBe(tree)
    expect(await text(copy, 'echo $KEPT; whoami')).toBe('yes\nagent')
  })

  test('one that was imported is one like others', async () => {
    const { id } = await client.snapshots.import(zstd(await snapshotArchive(await small(client))), {
      name: 'like',
    })
    const before = await client.call('getSnapshot', { snapshot: id })
    expect(before).toMatchObject({ runtime: 'base:latest', parentId: null })
    const box = (await Sandbox.create({ client, snapshot: id })).keep()
    await box.sh('echo a > /a')
    await client.call('createCheckpoint', { id: box.id, name: 'one' })
    await box.sh('echo b > /a')
    await client.call('restoreCheckpoint', { id: box.id, checkpoint: 'one' })
    const { sandboxes } = await client.call('forkSandbox', { id: box.id })
    await client.call('createSnapshot', { id: box.id, name: 'above' })
    await client.call('deleteSnapshot', { snapshot: id })
    await client.call('collectGarbage', {})
    expect(await text(box, 'cat /a')).toBe('a')
    await box.delete()
    for (const each of sandboxes) await client.call('deleteSandbox', { id: each.id })
    await using above = await Sandbox.create({ client, snapshot: 'above' })
    expect(await text(above, 'cat /a')).toBe('a')
    await client.call('deleteSnapshot', { snapshot: 'above' })
    expect(await garbage(client)).toEqual([])
  })

  test('only one that is public is for everybody', async () => {
    await using box = await Sandbox.create({ client })
    await client.call('createSnapshot', { id: box.id, name: 'open', public: true })
    await client.call('createSnapshot', { id: box.id, name: 'closed' })
    const get = (snapshot: string) => client.open('exportPublicSnapshot', { snapshot })
    const { body } = await get('open')
    const others = await Promise.all([1, 2, 3].map(() => get('open')))
    expect(await failure(get('open'))).toMatchObject({ code: 'too_many' })
    for (const each of [body, ...others.map((other) => other.body)]) for await (const _ of each) break
    const again = async () => {
      for await (const _ of (await get('open')).body) break
      return true
    }
    await expect.poll(() => again().catch(() => false)).toBe(true)
    expect(await failure(get('closed'))).toMatchObject({ code: 'snapshot_not_found' })
    expect(await failure(get('none'))).toMatchObject({ code: 'snapshot_not_found' })
  })

  test('an export that is left ends what it was made by', async () => {
    await using box = await Sandbox.create({ client })
    await client.call('createSnapshot', { id: box.id, name: 'left' })
    const before = (await client.call('listSandboxes', {})).total
    for await (const _ of client.snapshots.export('left')) break
    await expect.poll(async () => (await client.call('listSandboxes', {})).total).toBe(before)
    expect(await garbage(client)).toEqual([])
  })

  describe('is refused', () => {
    const good: Entry[] = [
      { path: 'rootfs/a', text: 'contents' },
      { path: 'rootfs/d/', type: 'directory' },
      { path: 'rootfs/d/b', text: 'more' },
    ]
    const file = (change: Parameters<typeof snapshotArchive>[1] = {}, entries = good) =>
      snapshotArchive(entries, change)
    const bad = (entry: Entry) => file({}, [...good, entry])
    const flipped = async (at: number) => {
      const bytes = Buffer.from(await file())
      bytes[at]! ^= 1
      return bytes
    }
    const cases: Record<string, () => Promise<Buffer>> = {
      'a changed manifest': async () =>
        file({ manifest: { name: 'other' }, digests: { manifest: '0'.repeat(64) } }),
      'a changed byte of contents': () => flipped(512 * 4),
      'a changed header': () => flipped(512 * 3 + 100),
      'a byte between entries': () => flipped(512 * 5 - 1),
      'a byte behind the end': async () => Buffer.concat([await file(), Buffer.from('x')]),
      'an end that is missing': async () => (await file()).subarray(0, -1024),
      'an entry behind the digests': () => file({ after: [{ path: 'rootfs/z' }] }),
      'an entry before the manifest': () => file({ first: [{ path: 'rootfs/z' }] }),
      'digests that are missing': () => file({ digests: null }),
      'a count that is wrong': () => file({ digests: { entries: 2 } }),
      'digests with more in them': () => file({ digests: { extra: 1 } }),
      'another version': () => file({ manifest: { version: 3 } }),
      'another architecture': () => file({ manifest: { arch: 'mips' } }),
      'a manifest that is no JSON': () => file({ manifest: '{' }),
      'a name that is none': () => file({ manifest: { name: '../x' } }),
      'a path with ..': () => bad({ path: 'rootfs/../../etc/passwd' }),
      'a path outside': () => bad({ path: 'etc/passwd' }),
      'an absolute path': () => bad({ path: '/etc/passwd' }),
      'the root itself': () => bad({ path: 'rootfs/', type: 'directory' }),
      'a path with an empty name': () => bad({ path: 'rootfs//a' }),
      'a device': () => bad({ path: 'rootfs/null', type: 'device' }),
      'a file of a start': () => bad({ path: 'rootfs/etc/hosts' }),
      'a file in a mount': () => bad({ path: 'rootfs/proc/x' }),
      'a hard link outside': () => bad({ path: 'rootfs/h', type: 'hardlink', link: '../etc/shadow' }),
      'a hard link to nothing': () => bad({ path: 'rootfs/h', type: 'hardlink', link: 'rootfs/none' }),
      'a file through a link to a mount': () =>
        file({}, [{ path: 'rootfs/l', type: 'symlink', link: '/proc' }, { path: 'rootfs/l/x' }]),
      'an owner that no sandbox has': () => bad({ path: 'rootfs/o', uid: 4_000_000_000 }),
      'an attribute of the system': () =>
        bad({ path: 'rootfs/x', xattrs: new Map([['trusted.overlay.opaque', 'y']]) }),
      'a file that no storage has room for': async () => {
        const head = await pack({ path: 'rootfs/big', text: '' })
        const zeros = Buffer.alloc(64 * 2 ** 20)
        head.write('00040000000\0', 124, 'latin1')
        return Buffer.concat([(await file()).subarray(0, 1536), checked(head), ...Array(20).fill(zeros)])
      },
    }
    for (const [what, make] of Object.entries(cases))
      test(what, async () => expectRefused(zstd(await make())))

    test('a file that is cut anywhere', async () => {
      const whole = zstd(await file())
      for (const part of [0.1, 0.5, 0.9, 0.999]) await expectRefused(whole.subarray(0, whole.length * part))
    })

    test('what is no zstd, and what comes behind it', async () => {
      await expectRefused(await file())
      await expectRefused(Buffer.from('no archive'))
      await expectRefused(Buffer.alloc(0))
      await expectRefused(Buffer.concat([zstd(await file()), Buffer.from('behind')]))
    })

    async function expectRefused(bytes: Buffer): Promise<void> {
      const before = await client.call('listSnapshots', {})
      expect(await failure(client.snapshots.import(bytes, {}))).toMatchObject({ code: 'archive_invalid' })
      expect((await client.call('listSnapshots', {})).total).toBe(before.total)
      expect(await garbage(client)).toEqual([])
    }

    test('the same without a mistake is not', async () => {
      const { id, name } = await client.snapshots.import(zstd(await file()), {})
      expect(name).toBe('made')
      await client.call('deleteSnapshot', { snapshot: id })
    })
  })
})

async function emptyDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp('/tmp/caisson-none-')
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** The numbers of a header, with the sum that is right for them. */
function checked(header: Buffer): Buffer {
  header.write('        ', 148, 'latin1')
  const sum = header.subarray(0, 512).reduce((all, byte) => all + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}

/** The files of the base image that make a shell, from an export. */
async function small(client: Client): Promise<Entry[]> {
  await using box = await Sandbox.create({ client })
  const { id } = await client.call('createSnapshot', { id: box.id })
  const entries = await unpack(unzstd(await exported(client, id)))
  await client.call('deleteSnapshot', { snapshot: id })
  const kept =
    /^rootfs\/(bin|lib|lib64|etc|tmp|root)(\/(passwd|group|nsswitch\.conf)?)?$|^rootfs\/usr\/(bin|lib|lib64)\/$|^rootfs\/usr\/$|usr\/bin\/(bash|dash|sh|cat)$|ld-linux|\/libc\.so|libtinfo|x86_64-linux-gnu\/$|aarch64-linux-gnu\/$/
  return entries.filter(({ path }) => kept.test(path)).map(({ head: _, ...entry }) => entry)
}
