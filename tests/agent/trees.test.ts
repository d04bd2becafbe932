import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  encodeFrame,
  type FieldBuilder,
  type Fields,
  fields,
  parseBulk,
  parseFields,
} from '../../packages/protocol/src/frame-codec.ts'
import { Field, FrameType, LIMITS } from '../../packages/protocol/src/frames.ts'
import { Agent, agentError, BUILDS, type Client, isRoot, openWithFiles, run } from './harness.ts'

const errno = { EACCES: 13, EEXIST: 17, EXDEV: 18, ENOTDIR: 20, EISDIR: 21, EINVAL: 22, ENAMETOOLONG: 36 }
const FILE = 0o100000
const DIRECTORY = 0o040000
const LINK = 0o120000

interface Entry {
  name: string
  type: number
  content?: string | Uint8Array
  link?: string
  mode?: number
  mtimeNs?: bigint
}
const file = (name: string, content: string | Uint8Array = '', mode?: number): Entry => ({
  name,
  type: FILE,
  content,
  ...(mode === undefined ? {} : { mode }),
})
const directory = (name: string, mode?: number): Entry => ({
  name,
  type: DIRECTORY,
  ...(mode === undefined ? {} : { mode }),
})
const link = (name: string, to: string): Entry => ({ name, type: LINK, link: to })

describe.each(BUILDS)('trees ($name)', ({ binary }) => {
  const open = () => openWithFiles(binary)
  const at = (path: string) => fields().string(Field.PATH, path)
  const patience = 60_000

  function encodeEntry(entry: Entry): Uint8Array {
    const builder = fields().string(Field.NAME, entry.name).u64(Field.FILE_TYPE, entry.type)
    if (entry.mode !== undefined) builder.u64(Field.MODE, entry.mode)
    if (entry.mtimeNs !== undefined) builder.u64(Field.MTIME_NS, entry.mtimeNs)
    if (entry.link !== undefined) builder.string(Field.LINK, entry.link)
    if (entry.content !== undefined) builder.u64(Field.SIZE, Buffer.from(entry.content).length)
    return builder.encode()
  }

  /** Sends a tree within the window; the last OK, or the ERROR's fields thrown by its number. */
  async function write(client: Client, payload: FieldBuilder, entries: Iterable<Entry>): Promise<Fields> {
    const stream = client.request(FrameType.TREE_WRITE, payload.encode())
    await client.expect(stream, FrameType.OK)
    let sent = 0
    let kept = 0
    const ended = () =>
      client.waiting(stream).some((f) => f.type === FrameType.ERROR || f.type === FrameType.OK)
    const take = async () => {
      const frame = await client.next(stream)
      if (frame.type === FrameType.ERROR) throw Object.assign(agentError(frame), fail(frame.payload))
      if (frame.type === FrameType.OK) return parseFields(frame.payload)
      kept = parseBulk(frame.payload).offset
      return undefined
    }
    const room = async (size: number) => {
      while (!ended() && sent + size - kept > LIMITS.WINDOW) await take()
    }
    for (const entry of entries) {
      const head = encodeEntry(entry)
      await room(head.length)
      if (ended()) break
      client.send(FrameType.ENTRY, stream, head)
      sent += head.length
      const content = Buffer.from(entry.content ?? '')
      for (let from = 0; from < content.length && !ended(); from += LIMITS.MAX_CHUNK) {
        const part = content.subarray(from, from + LIMITS.MAX_CHUNK)
        await room(part.length)
        client.bulk(FrameType.DATA, stream, sent, part)
        sent += part.length
      }
    }
    client.send(FrameType.END, stream)
    for (;;) {
      const done = await take()
      if (done) return done
    }
  }
  const fail = (payload: Uint8Array) => {
    const got = parseFields(payload)
    return { entry: got.string(Field.NAME), count: got.u64(Field.COUNT) }
  }
  const refusal = async (promise: Promise<unknown>) =>
    (await promise.then(
      () => undefined,
      (e) => e,
    )) as { errno: number; message: string; entry: string; count: number }

  interface Told {
    type: number
    content: string
    size: number
    link: string | undefined
  }
  async function read(client: Client, payload: FieldBuilder) {
    const stream = client.request(FrameType.TREE_READ, payload.encode())
    const stat = await client.expect(stream, FrameType.OK)
    const withContent = parseFields(payload.encode()).u64(Field.CONTENT) === 1
    const entries = new Map<string, Told>()
    let offset = 0
    for (;;) {
      const frame = await client.next(stream)
      if (frame.type === FrameType.ERROR) throw agentError(frame)
      if (frame.type === FrameType.END)
        return { stat, entries, skipped: parseFields(frame.payload).u64(Field.SKIPPED)! }
      expect(frame.type).toBe(FrameType.ENTRY)
      const entry = parseFields(frame.payload)
      offset += frame.payload.length
      const told: Told = {
        type: entry.u64(Field.FILE_TYPE)!,
        size: entry.u64(Field.SIZE)!,
        content: '',
        link: entry.string(Field.LINK),
      }
      const parts: Uint8Array[] = []
      for (let left = withContent && told.type === FILE ? told.size : 0; left > 0; ) {
        const bulk = parseBulk((await client.next(stream)).payload)
        expect(bulk.offset).toBe(offset)
        offset += bulk.bytes.length
        left -= bulk.bytes.length
        expect(left).toBeGreaterThanOrEqual(0)
        parts.push(bulk.bytes)
        client.ack(stream, offset)
      }
      told.content = Buffer.concat(parts).toString('latin1')
      entries.set(entry.string(Field.NAME)!, told)
      client.ack(stream, offset)
    }
  }
  const whole = (path: string) => at(path).u64(Field.CONTENT, 1)

  test('a tree is written: files, directories, links, modes, times, missing parents', async () => {
    await using o = await open()
    const big = Buffer.alloc(300_000, 'abcdefg')
    const done = await write(o.client, at(join(o.root, 'new/base')), [
      directory('./a', 0o750),
      file('a/b/c.txt', 'text', 0o6754),
      file('a/empty'),
      { ...file('big', big), mtimeNs: 1_234_567_890_123_456_789n },
      { ...link('a/link', '../big'), mtimeNs: -1_500_000_000n },
      directory('a/', 0o700),
      file('a//b/./d', 'd', 0o600),
    ])
    const base = join(o.root, 'new/base')
    expect([done.u64(Field.COUNT), done.u64(Field.SIZE)]).toEqual([7, big.length + 5])
    expect(done.strings(Field.CREATED)).toEqual([join(o.root, 'new'), base, `${base}/./a`, `${base}/a/b`])
    expect(statSync(join(base, 'a')).mode & 0o7777).toBe(0o750)
    expect(statSync(join(base, 'a/b')).mode & 0o7777).toBe(0o755)
    expect(statSync(join(base, 'a/b/c.txt')).mode & 0o7777).toBe(0o754)
    expect(statSync(join(base, 'a/b/d')).mode & 0o7777).toBe(0o600)
    expect(statSync(join(base, 'a/empty')).mode & 0o7777).toBe(0o644)
    expect(readFileSync(join(base, 'big')).equals(big)).toBe(true)
    expect(statSync(join(base, 'big'), { bigint: true }).mtimeNs).toBe(1_234_567_890_123_456_789n)
    expect(readlinkSync(join(base, 'a/link'))).toBe('../big')
    expect(lstatSync(join(base, 'a/link'), { bigint: true }).mtimeNs).toBe(-1_500_000_000n)
    expect(readdirSync(join(base, 'a')).sort()).toEqual(['b', 'empty', 'link'])
  })

  test('directories get their mode and time once everything is in them', async () => {
    await using o = await open()
    const mtimeNs = 1_000_000_000_000_000_000n
    const done = await write(o.client, at(o.root).string(Field.USER, isRoot ? 'nobody' : ''), [
      { ...directory('locked', 0o555), mtimeNs },
      { ...directory('locked/in', 0o500), mtimeNs },
      file('locked/in/file', 'x'),
      file('locked/file', 'x'),
      directory('gone', 0o555),
    ])
    expect(done.u64(Field.COUNT)).toBe(5)
    for (const [name, mode] of [
      ['locked', 0o555],
      ['locked/in', 0o500],
    ] as const) {
      const info = statSync(join(o.root, name), { bigint: true })
      expect([Number(info.mode) & 0o7777, info.mtimeNs]).toEqual([mode, mtimeNs])
    }
    expect(readdirSync(join(o.root, 'locked')).sort()).toEqual(['file', 'in'])
    for (const name of ['locked', 'locked/in']) chmodSync(join(o.root, name), 0o755)
  })

  test('hostile names and types are refused by name, and what came before stays', async () => {
    await using o = await open()
    for (const [entry, message] of [
      [file('/etc/x'), 'write /etc/x: the name is absolute'],
      [file('a/../../x'), 'write a/../../x: the name has a ".." in it'],
      [directory('..'), 'write ..: the name has a ".." in it'],
      [file(''), 'write : the name is empty'],
      [link('l', ''), 'write l: the link points nowhere'],
      [{ name: 'dev', type: 0o020000 }, 'write dev: a character device'],
      [{ name: 'fifo', type: 0o010000 }, 'write fifo: a FIFO'],
    ] as [Entry, string][]) {
      const error = await refusal(write(o.client, at(o.root), [file('first', '1'), entry, file('later')]))
      expect([error.errno, error.message, error.entry, error.count]).toEqual([
        errno.EINVAL,
        message,
        entry.name,
        1,
      ])
    }
    const long = await refusal(write(o.client, at(o.root), [file(`d/${'x'.repeat(256)}`)]))
    expect(long.errno).toBe(errno.ENAMETOOLONG)
    expect(readdirSync(o.root).sort()).toEqual(['first'])
    for (const name of ['.', './', 'd/.'])
      expect((await refusal(write(o.client, at(o.root), [file(name, 'x')]))).errno).toBe(errno.EISDIR)
  })

  test('nothing gets out of the base, through links that were there or that came along', async () => {
    await using o = await open()
    const outside = join(o.agent.directory, 'outside')
    const base = join(o.root, 'base')
    mkdirSync(outside)
    mkdirSync(base)
    symlinkSync(outside, join(base, 'absolute'))
    symlinkSync('../../outside', join(base, 'relative'))
    symlinkSync('/proc/self/cwd', join(base, 'magic'))
    for (const entries of [
      [file('absolute/x', 'x')],
      [file('relative/x', 'x')],
      [directory('relative/x')],
      [link('relative/x', 'y')],
      [
        directory('d'),
        file('d/inside', 'x'),
        link('l', 'd'),
        file('l/through', 'x'),
        link('l', outside),
        file('l/x', 'x'),
      ],
      [link('up', '..'), file('up/x', 'x')],
    ]) {
      const error = await refusal(write(o.client, at(base), entries))
      expect([error.errno, error.entry]).toEqual([errno.EXDEV, entries.at(-1)!.name])
    }
    expect((await refusal(write(o.client, at(base), [file('magic/x', 'x')]))).entry).toBe('magic/x')
    expect(readdirSync(outside)).toEqual([])
    expect(readdirSync(join(base, 'd')).sort()).toEqual(['inside', 'through'])
    // In the place of a file, a link is replaced and not followed.
    writeFileSync(join(outside, 'target'), 'precious')
    symlinkSync(join(outside, 'target'), join(base, 'file'))
    await write(o.client, at(base), [file('file', 'new')])
    expect(lstatSync(join(base, 'file')).isFile()).toBe(true)
    expect(readFileSync(join(outside, 'target'), 'utf8')).toBe('precious')
    // The base itself may be a link.
    symlinkSync('base', join(o.root, 'alias'))
    await write(o.client, at(join(o.root, 'alias')), [file('by-alias', 'x')])
    expect(existsSync(join(base, 'by-alias'))).toBe(true)
  })

  test('what is in the way is replaced, but directories are kept', async () => {
    await using o = await open()
    mkdirSync(join(o.root, 'dir'), { mode: 0o711 })
    mkdirSync(join(o.root, 'real'))
    symlinkSync('real', join(o.root, 'to-dir'))
    writeFileSync(join(o.root, 'old'), 'old', { mode: 0o640 })
    execFileSync('mkfifo', [join(o.root, 'fifo')])
    symlinkSync('nowhere', join(o.root, 'dangling'))
    await write(o.client, at(o.root), [
      directory('dir', 0o777),
      directory('to-dir'),
      file('to-dir/in', 'x'),
      file('old', 'new'),
      file('fifo', 'file'),
      link('dangling', 'old'),
    ])
    expect(statSync(join(o.root, 'dir')).mode & 0o777).toBe(0o711)
    expect(readdirSync(join(o.root, 'real'))).toEqual(['in'])
    expect([readFileSync(join(o.root, 'old'), 'utf8'), statSync(join(o.root, 'old')).mode & 0o777]).toEqual([
      'new',
      0o640,
    ])
    expect(readFileSync(join(o.root, 'fifo'), 'utf8')).toBe('file')
    expect(readlinkSync(join(o.root, 'dangling'))).toBe('old')
    const refused = async (entry: Entry) => (await refusal(write(o.client, at(o.root), [entry]))).errno
    expect(await refused(file('dir', 'x', 0o600))).toBe(errno.EISDIR)
    expect(await refused(link('dir', 'x'))).toBe(errno.EISDIR)
    expect(await refused(directory('old'))).toBe(errno.ENOTDIR)
    expect(await refused(file('old/x', 'x'))).toBe(errno.ENOTDIR)
    expect(await refused(directory('gone/../x'))).toBe(errno.EINVAL)
    expect(readdirSync(o.root).filter((name) => name.includes('caisson'))).toEqual([])
  })

  test('without a base, each name is a path of its own and links are written through', async () => {
    await using o = await open()
    const outside = join(o.agent.directory, 'outside')
    mkdirSync(outside)
    symlinkSync(join(outside, 'file'), join(o.root, 'link'))
    symlinkSync(outside, join(o.root, 'out'))
    const done = await write(o.client, fields(), [
      file(join(o.root, 'a/b'), 'b'),
      file(join(o.root, 'link'), 'through'),
      file(join(o.root, 'out/x'), 'x'),
      file(join(o.root, 'a/../c'), 'c'),
    ])
    expect(done.strings(Field.CREATED)).toEqual([join(o.root, 'a')])
    expect(readdirSync(outside).sort()).toEqual(['file', 'x'])
    expect(readdirSync(o.root).sort()).toEqual(['a', 'c', 'link', 'out'])
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('through')
  })

  test.runIf(isRoot)('a tree is written and read as the user who asks', async () => {
    await using o = await open()
    const nobody = (path: string) => at(path).string(Field.USER, 'nobody')
    await write(o.client, nobody(o.root), [directory('d'), file('d/f', 'x'), link('l', 'd/f')])
    for (const name of ['d', 'd/f', 'l']) expect(lstatSync(join(o.root, name)).uid).toBe(65534)
    mkdirSync(join(o.root, 'locked'), { mode: 0o700 })
    writeFileSync(join(o.root, 'secret'), 'secret', { mode: 0o600 })
    expect((await refusal(write(o.client, nobody(o.root), [file('locked/x', 'x')]))).errno).toBe(errno.EACCES)
    expect((await refusal(write(o.client, nobody('/etc/caisson-test'), []))).errno).toBe(errno.EACCES)
    const got = await read(o.client, whole(o.root).string(Field.USER, 'nobody'))
    expect([[...got.entries.keys()], got.skipped]).toEqual([['d', 'd/f', 'l', 'locked'], 2])
    expect((await read(o.client, whole(o.root))).skipped).toBe(0)
  })

  test('a writer that gives up or disappears leaves what was complete and no more', async () => {
    await using o = await open()
    for (const way of ['cancel', 'disconnect', 'early end'] as const) {
      const stream = o.client.request(FrameType.TREE_WRITE, at(o.root).encode())
      await o.client.expect(stream, FrameType.OK)
      const first = encodeEntry(file('first', 'one'))
      const second = fields().string(Field.NAME, 'second').u64(Field.FILE_TYPE, FILE).u64(Field.SIZE, 10)
      const head = second.encode()
      o.client.send(FrameType.ENTRY, stream, first)
      o.client.bulk(FrameType.DATA, stream, first.length, Buffer.from('one'))
      o.client.send(FrameType.ENTRY, stream, head)
      o.client.bulk(FrameType.DATA, stream, first.length + 3 + head.length, Buffer.from('half'))
      await run(o.client, { argv: ['true'] })
      expect(readdirSync(o.root).length).toBe(2)
      if (way === 'early end') {
        o.client.send(FrameType.END, stream)
        const error = await refusal(o.client.expect(stream, FrameType.OK))
        expect([error.errno, error.message]).toEqual([errno.EINVAL, 'write second: the file is not complete'])
      } else if (way === 'cancel') {
        o.client.send(FrameType.CANCEL, stream)
        await run(o.client, { argv: ['true'] })
      } else {
        o.client.close()
        o.client = await o.agent.connect()
        await o.client.expect(0, FrameType.HELLO)
        await run(o.client, { argv: ['true'] })
      }
      expect(readdirSync(o.root)).toEqual(['first'])
    }
  })

  test('bytes without a file, or more than it has, break the protocol', async () => {
    await using o = await open()
    for (const extra of [
      (client: Client, stream: number) => client.bulk(FrameType.DATA, stream, 0, Buffer.from('x')),
      (client: Client, stream: number) => {
        const head = encodeEntry({ ...file('f'), content: 'abc' })
        client.send(FrameType.ENTRY, stream, head)
        client.bulk(FrameType.DATA, stream, head.length, Buffer.from('abcd'))
      },
      (client: Client, stream: number) => {
        const head = encodeEntry({ ...file('f'), content: 'abc' })
        client.raw(
          Buffer.concat([
            encodeFrame(FrameType.ENTRY, stream, head),
            encodeFrame(FrameType.ENTRY, stream, head),
          ]),
        )
      },
    ]) {
      const client = await o.agent.connect()
      await client.expect(0, FrameType.HELLO)
      const stream = client.request(FrameType.TREE_WRITE, at(o.root).encode())
      await client.expect(stream, FrameType.OK)
      extra(client, stream)
      await expect(client.next(stream)).rejects.toThrow('closed')
    }
    expect(readdirSync(o.root)).toEqual([])
  })

  test('twenty thousand entries go both ways, in order, while others are served', {
    timeout: patience,
  }, async () => {
    await using o = await open()
    const names = Array.from({ length: 20_000 }, (_, i) => `d${i % 7}/file-${i}`)
    const writing = write(
      o.client,
      at(o.root),
      names.map((name) => file(name, name)),
    )
    await run(o.client, { argv: ['true'] })
    expect((await writing).u64(Field.COUNT)).toBe(20_000)
    const got = await read(o.client, whole(o.root))
    const files = [...got.entries].filter(([, told]) => told.type === FILE)
    expect([files.length, got.skipped]).toEqual([20_000, 0])
    for (const [name, told] of files) if (told.content !== name) throw new Error(`${name}: ${told.content}`)
    const bytes = (name: string) => Buffer.from(name).toString('latin1')
    for (let d = 0; d < 7; d++) {
      const inside = files.map(([name]) => bytes(name)).filter((name) => name.startsWith(`d${d}/`))
      expect(inside).toEqual([...inside].sort())
    }
  })

  test('a directory larger than one sorting run is told in order', { timeout: patience }, async () => {
    await using o = await open()
    for (let i = 0; i < 9000; i++) writeFileSync(join(o.root, `f${(i * 7919) % 9000}`), '')
    const names = [...(await read(o.client, at(o.root))).entries.keys()]
    expect(names).toEqual(readdirSync(o.root).sort())
  })

  test('a tree is read: depth, contents, links unfollowed, what no archive holds is counted', async () => {
    await using o = await open()
    mkdirSync(join(o.root, 'a/b'), { recursive: true })
    writeFileSync(join(o.root, 'a/b/deep'), 'deep')
    writeFileSync(join(o.root, 'a-file'), Buffer.alloc(200_000, 'x'))
    writeFileSync(join(o.root, 'sparse'), '')
    truncateSync(join(o.root, 'sparse'), 100_000)
    symlinkSync('/etc', join(o.root, 'link'))
    execFileSync('mkfifo', [join(o.root, 'fifo')])
    const got = await read(o.client, whole(o.root))
    expect([...got.entries.keys()]).toEqual(['a', 'a/b', 'a/b/deep', 'a-file', 'link', 'sparse'])
    expect(got.skipped).toBe(1)
    expect(got.stat.u64(Field.FILE_TYPE)).toBe(DIRECTORY)
    expect(got.entries.get('a/b/deep')!.content).toBe('deep')
    expect(got.entries.get('a-file')!.content).toBe('x'.repeat(200_000))
    expect(got.entries.get('sparse')!.content).toBe('\0'.repeat(100_000))
    expect(got.entries.get('link')!.link).toBe('/etc')
    const own = await read(o.client, at(o.root).u64(Field.DEPTH, 1))
    expect([...own.entries.keys()]).toEqual(['a', 'a-file', 'fifo', 'link', 'sparse'])
    expect([...(await read(o.client, at(o.root).u64(Field.DEPTH, 2))).entries.keys()]).toContain('a/b')
    const one = await read(o.client, whole(join(o.root, 'a/b/deep')))
    expect([[...one.entries.keys()], one.entries.get('deep')!.content]).toEqual([['deep'], 'deep'])
    expect((await refusal(read(o.client, at(join(o.root, 'fifo'))))).message).toContain('it is a FIFO')
    symlinkSync('a', join(o.root, 'alias'))
    expect([...(await read(o.client, at(join(o.root, 'alias')))).entries.keys()]).toEqual(['b', 'b/deep'])
    expect((await read(o.client, whole('/proc/self/fdinfo'))).entries.size).toBe(0)
  })

  test('a file that shrinks while it is read is filled up and counted', async () => {
    await using o = await open()
    const path = join(o.root, 'shrinking')
    writeFileSync(path, Buffer.alloc(2 << 20, 'x'))
    const stream = o.client.request(FrameType.TREE_READ, whole(o.root).encode())
    await o.client.expect(stream, FrameType.OK)
    const entry = await o.client.next(stream)
    await run(o.client, { argv: ['true'] })
    truncateSync(path, 1000)
    let offset = entry.payload.length
    let total = 0
    for (;;) {
      o.client.ack(stream, offset)
      const frame = await o.client.next(stream)
      if (frame.type === FrameType.END) {
        expect([total, parseFields(frame.payload).u64(Field.SKIPPED)]).toEqual([2 << 20, 1])
        return
      }
      const { bytes } = parseBulk(frame.payload)
      offset += bytes.length
      total += bytes.length
    }
  })

  test('a deep tree needs few descriptors, and one deeper than any path is counted', {
    timeout: patience,
  }, async () => {
    await using o = await open()
    const deep = `
import os, sys
os.chdir(sys.argv[1])
for i in range(2500):
  open('f', 'w').close()
  os.mkdir('d'); os.chdir('d')`
    execFileSync('python3', ['-c', deep, o.root])
    const got = await read(o.client, whole(o.root))
    const deepest = [...got.entries.keys()].reduce((a, b) => (a.length > b.length ? a : b))
    expect(deepest.length).toBeGreaterThan(4000)
    expect(got.skipped).toBeGreaterThan(0)
    expect([...got.entries.keys()].slice(-2)).toEqual(['d/f', 'f'])
    await run(o.client, { argv: ['rm', '-rf', join(o.root, 'd')] })
  })

  test('no more than a window is sent without acknowledgement, and a reader may give up', async () => {
    await using o = await open()
    for (let i = 0; i < 50; i++) writeFileSync(join(o.root, `f${i}`), Buffer.alloc(30_000))
    const stream = o.client.request(FrameType.TREE_READ, whole(o.root).encode())
    for (let i = 0; i < 20; i++) await run(o.client, { argv: ['true'] })
    const sent = o.client.waiting(stream).slice(1)
    const sizes = sent.map((f) => f.payload.length - (f.type === FrameType.DATA ? 8 : 0))
    const total = sizes.reduce((sum, size) => sum + size, 0)
    expect(total).toBeGreaterThan(LIMITS.WINDOW / 2)
    expect(total).toBeLessThanOrEqual(LIMITS.WINDOW)
    o.client.send(FrameType.CANCEL, stream)
    await run(o.client, { argv: ['true'] })
  })

  test.runIf(isRoot)('another mount is told and not entered', async () => {
    await using o = await open()
    const script = `mount -t tmpfs none "$1/mnt" && touch "$1/mnt/in" && mount --bind "$1/mnt" "$1/bound" && exec "$2" --listen-fd 3 --subreaper`
    for (const name of ['mnt', 'bound']) mkdirSync(join(o.root, name))
    await using inner = await Agent.start('/usr/bin/unshare', [
      '-m',
      'sh',
      '-c',
      script,
      'sh',
      o.root,
      binary,
    ])
    const client = await inner.connect()
    await client.expect(0, FrameType.HELLO)
    const got = await read(client, whole(o.root))
    expect([[...got.entries.keys()], got.skipped]).toEqual([['bound', 'mnt'], 0])
    expect([...(await read(client, at(join(o.root, 'mnt')))).entries.keys()]).toEqual(['in'])
  })
})
