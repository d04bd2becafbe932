import { execFileSync } from 'node:child_process'
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Field, FrameType } from '../../packages/protocol/src/frames.ts'
import { connectGuest } from '../../packages/server/src/guest/connect.ts'
import type { ExactEntry, ExactRead } from '../../packages/server/src/guest/exact-tree.ts'
import { BUILDS, isRoot, openWithFiles } from './harness.ts'

const MTIME = 981_173_106_123_456_789n
const meta = (path: string, more: object = {}) => ({
  ...{ path, mode: 0o644, uid: 0, gid: 0, mtimeNs: MTIME, xattrs: new Map<string, string>() },
  ...more,
})
const file = (path: string, text: string, more: object = {}): ExactEntry => ({
  ...meta(path, more),
  type: 'file',
  size: text.length,
  data: Buffer.from(text, 'latin1'),
})
const directory = (path: string, more: object = {}): ExactEntry => ({
  ...meta(path, { mode: 0o755, ...more }),
  type: 'directory',
})

describe.skipIf(!isRoot).each(BUILDS)('exact trees ($name)', ({ binary }) => {
  async function open() {
    const opened = await openWithFiles(binary)
    const guest = await connectGuest(connect(opened.agent.socket), { sandbox: 'sbx_test' })
    return { ...opened, files: guest.files, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() }
  }
  async function* source(entries: ExactEntry[]) {
    yield* entries
  }
  async function all(entries: AsyncIterable<ExactRead>) {
    const found = new Map<string, Omit<ExactRead, 'data'> & { text: string | null }>()
    for await (const { data, ...entry } of entries) {
      const parts: Uint8Array[] = []
      for await (const part of data ?? []) parts.push(part)
      found.set(entry.path, { ...entry, text: data && Buffer.concat(parts).toString('latin1') })
    }
    return found
  }

  const xattrs = new Map([
    ['user.bytes', '\x00\xff\x01'],
    ['user.empty', ''],
  ])
  const tree: ExactEntry[] = [
    directory('.', { mode: 0o1777, uid: 7, gid: 8 }),
    directory('d', { mode: 0o2550, uid: 1234, gid: 2345, xattrs }),
    file('d/suid', 'program', { mode: 0o6755, uid: 1234, gid: 2345, xattrs }),
    file('d/bytes \xff\n', 'x'.repeat(200_000)),
    file('empty', '', { mode: 0o4711 }),
    { ...meta('link', { mode: 0o777, uid: 65, gid: 66 }), type: 'symlink', link: '/d/no\xffwhere' },
    { ...meta('pipe', { mode: 0o620, uid: 5, gid: 6 }), type: 'fifo' },
    { ...meta('d/hard'), type: 'hardlink', target: 'd/suid' },
  ]

  test('what is written is what is read', async () => {
    await using o = await open()
    expect(await o.files.writeExactly(o.root, source(tree))).toEqual({ entries: 8, bytes: 200_007, lost: 0 })
    const reading = await o.files.readExactly(o.root)
    const found = await all(reading.entries)
    expect(reading.skipped).toBe(0)
    for (const entry of tree) {
      if (entry.path === '.' || entry.type === 'hardlink') continue
      const { path, mode, uid, gid, type } = entry
      expect(found.get(path)).toMatchObject({ mode, uid, gid, type, mtimeNs: MTIME, xattrs: entry.xattrs })
    }
    expect(found.size).toBe(7)
    expect(found.get('d/suid')?.fileId).toBe(found.get('d/hard')?.fileId)
    expect(found.get('d/suid')?.text).toBe('program')
    expect(found.get('d/bytes \xff\n')).toMatchObject({ fileId: null, text: 'x'.repeat(200_000) })
    expect(found.get('link')?.link).toBe('/d/no\xffwhere')
    expect(lstatSync(o.root)).toMatchObject({ uid: 7, gid: 8, mode: 0o041777 })
    expect(lstatSync(join(o.root, 'd/suid')).nlink).toBe(2)
    expect(readdirSync(o.root).sort()).toEqual(['d', 'empty', 'link', 'pipe'])
  })

  test('a second tree changes what is there, and takes the place of what is of another kind', async () => {
    await using o = await open()
    await o.files.writeExactly(o.root, source(tree))
    mkdirSync(join(o.root, 'away'))
    symlinkSync('away', join(o.root, 'turned'))
    const { lost } = await o.files.writeExactly(
      o.root,
      source([
        directory('d', { mode: 0o700, uid: 1, gid: 2 }),
        directory('turned', { uid: 9 }),
        file('turned/in', 'here'),
        file('link', 'now a file'),
        { ...meta('empty'), type: 'hardlink', target: 'pipe' },
        { ...meta('d/hard'), type: 'hardlink', target: 'd/suid' },
      ]),
    )
    expect(lost).toBe(0)
    expect(lstatSync(join(o.root, 'd'))).toMatchObject({ mode: 0o040700, uid: 1, gid: 2 })
    expect(lstatSync(join(o.root, 'd')).mtimeMs).toBeCloseTo(981_173_106_123, -1)
    expect(lstatSync(join(o.root, 'turned')).isDirectory()).toBe(true)
    expect(readdirSync(join(o.root, 'away'))).toEqual([])
    expect(readFileSync(join(o.root, 'link'), 'utf8')).toBe('now a file')
    expect(lstatSync(join(o.root, 'empty')).isFIFO()).toBe(true)
    expect(readdirSync(join(o.root, 'd')).length).toBe(3)
  })

  test('links are followed as if the directory were the root', async () => {
    await using o = await open()
    mkdirSync(join(o.root, 'usr/lib'), { recursive: true })
    symlinkSync('/usr/lib', join(o.root, 'lib'))
    symlinkSync('../../../../..', join(o.root, 'up'))
    await o.files.writeExactly(o.root, source([file('lib/a', 'a'), file('up/b', 'b')]))
    expect(readFileSync(join(o.root, 'usr/lib/a'), 'utf8')).toBe('a')
    expect(readFileSync(join(o.root, 'b'), 'utf8')).toBe('b')
  })

  const refused: [string, ExactEntry][] = [
    ['a name with ".."', file('../out', 'x')],
    ['an absolute name', file('/out', 'x')],
    ['a hard link that leads out', { ...meta('h'), type: 'hardlink', target: '../../etc/passwd' }],
    ['a hard link to nothing', { ...meta('h'), type: 'hardlink', target: 'none' }],
    ['an attribute of the system', file('f', 'x', { xattrs: new Map([['trusted.overlay.opaque', 'y']]) })],
    ['a file in the place of a directory', file('there', 'x')],
    ['a mount below', file('proc/sys/x', 'x')],
  ]
  for (const [what, entry] of refused)
    test(`${what} is refused`, async () => {
      await using o = await open()
      mkdirSync(join(o.root, 'there'))
      const at = what.includes('mount') ? '/' : o.root
      const error = await o.files.writeExactly(at, source([entry])).catch((each) => each)
      expect(error.cause).toMatchObject({ entry: entry.path, entries: 0 })
      expect(readdirSync(o.root)).toEqual(['there'])
    })

  test('only root writes trees as they are', async () => {
    await using o = await openWithFiles(binary)
    const stream = o.client.request(
      FrameType.TREE_WRITE,
      Buffer.concat([field(Field.PATH, o.root), field(Field.USER, '1000'), number(Field.EXACT, 1)]),
    )
    expect((await o.client.next(stream)).type).toBe(FrameType.ERROR)
  })

  test('devices are skipped, and told', async () => {
    await using o = await open()
    writeFileSync(join(o.root, 'f'), '')
    linkSync(join(o.root, 'f'), join(o.root, 'g'))
    execFileSync('mknod', [join(o.root, 'null'), 'c', '1', '3'])
    const reading = await o.files.readExactly(o.root)
    expect([...(await all(reading.entries)).keys()]).toEqual(['f', 'g'])
    expect(reading.skipped).toBe(1)
  })
})

function field(tag: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value)
  const head = Buffer.alloc(5)
  head[0] = tag
  head.writeUInt32LE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

function number(tag: number, value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return field(tag, bytes)
}
