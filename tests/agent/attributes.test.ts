import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  type FieldBuilder,
  type Fields,
  fields,
  parseFields,
} from '../../packages/protocol/src/frame-codec.ts'
import { Change, Field, FrameType, LIMITS } from '../../packages/protocol/src/frames.ts'
import { type AgentError, BUILDS, type Client, isRoot, openWithFiles, run } from './harness.ts'

const { errno } = constants
const NOBODY = 1234

const ofPath = (path: string) => fields().string(Field.PATH, path)
const attribute = (name: string, value: string | Uint8Array) =>
  Buffer.concat([Buffer.from(`${name}\0`), Buffer.from(value as string)])

async function ask(client: Client, type: FrameType, payload: FieldBuilder): Promise<Fields> {
  return client.expect(client.request(type, payload.encode()), FrameType.OK)
}

const stat = (client: Client, path: string) =>
  ask(client, FrameType.FILE_STAT, ofPath(path).u64(Field.ATTRIBUTES, 1))

function told(answer: Fields): Record<string, string> {
  const pairs = answer.all(Field.XATTR).map((field) => {
    const text = Buffer.from(field).toString('latin1')
    return [text.slice(0, text.indexOf('\0')), text.slice(text.indexOf('\0') + 1)]
  })
  return Object.fromEntries(pairs)
}

async function write(client: Client, path: string, payload: FieldBuilder, text: string): Promise<Fields> {
  const stream = client.request(FrameType.FILE_WRITE, payload.string(Field.PATH, path).encode())
  await client.expect(stream, FrameType.OK)
  client.bulk(FrameType.DATA, stream, 0, Buffer.from(text))
  await client.expect(stream, FrameType.ACK).catch(() => {})
  client.send(FrameType.END, stream)
  return client.expect(stream, FrameType.OK)
}

async function all(client: Client, stream: number): Promise<Fields[]> {
  const entries: Fields[] = []
  for (;;) {
    const frame = await client.next(stream)
    if (frame.type === FrameType.END) return entries
    if (frame.type === FrameType.ENTRY) entries.push(parseFields(frame.payload))
  }
}

describe.each(BUILDS)('attributes ($name)', ({ binary }) => {
  it('sets, tells and removes them', async () => {
    await using files = await openWithFiles(binary)
    const { client, root } = files
    const path = join(root, 'f')
    writeFileSync(path, 'x')
    const set = ofPath(path)
      .bytes(Field.XATTR, attribute('user.a', 'one'))
      .bytes(Field.XATTR, attribute('user.b', Buffer.from([0, 255, 10])))
    await ask(client, FrameType.FILE_ATTRIBUTES, set)
    const answer = await stat(client, path)
    expect(told(answer)).toEqual({ 'user.a': 'one', 'user.b': '\0\xff\n' })
    expect(answer.u64(Field.SKIPPED)).toBe(0)
    const removal = ofPath(path).string(Field.REMOVED, 'user.a').string(Field.REMOVED, 'user.never')
    await ask(client, FrameType.FILE_ATTRIBUTES, removal.bytes(Field.XATTR, attribute('user.c', '')))
    expect(told(await stat(client, path))).toEqual({ 'user.b': '\0\xff\n', 'user.c': '' })
  })

  it('tells them only when they are asked for, and of links nothing', async () => {
    await using files = await openWithFiles(binary)
    const { client, root } = files
    writeFileSync(join(root, 'f'), 'x')
    mkdirSync(join(root, 'd'))
    symlinkSync('f', join(root, 'l'))
    symlinkSync('gone', join(root, 'nowhere'))
    for (const name of ['f', 'd'])
      await ask(
        client,
        FrameType.FILE_ATTRIBUTES,
        ofPath(join(root, name)).bytes(Field.XATTR, attribute('user.n', name)),
      )
    const plain = await ask(client, FrameType.FILE_STAT, ofPath(join(root, 'f')))
    expect(plain.all(Field.XATTR)).toEqual([])
    expect(plain.u64(Field.SKIPPED)).toBeUndefined()
    for (const type of [FrameType.FILE_LIST, FrameType.TREE_READ]) {
      const entries = await all(client, client.request(type, ofPath(root).u64(Field.ATTRIBUTES, 1).encode()))
      const byName = new Map(entries.map((entry) => [entry.string(Field.NAME), entry]))
      expect(told(byName.get('f')!)).toEqual({ 'user.n': 'f' })
      expect(told(byName.get('d')!)).toEqual({ 'user.n': 'd' })
      const link = byName.get('l')!
      expect(link.u64(Field.SKIPPED)).toBeUndefined()
      expect(link.string(Field.RESOLVED)).toBe(join(root, 'f'))
      expect(link.u64(Field.RESOLVED_TYPE)).toBe(0o100000)
      expect(link.u64(Field.RESOLVED_MODE)).toBe(statSync(join(root, 'f')).mode & 0o7777)
      expect(byName.get('nowhere')!.bytes(Field.RESOLVED)).toBeUndefined()
      const without = await all(client, client.request(type, ofPath(root).encode()))
      expect(without.flatMap((entry) => entry.all(Field.XATTR))).toEqual([])
    }
  })

  it('tells as many as fit and counts the rest', async (test) => {
    await using files = await openWithFiles(binary)
    const { client } = files
    // Few file systems take more than some KiB.
    const root = mkdtempSync('/dev/shm/caisson-agent-')
    test.onTestFinished(() => rmSync(root, { recursive: true }))
    const path = join(root, 'f')
    writeFileSync(path, 'x')
    const set = (name: string) => ofPath(path).bytes(Field.XATTR, attribute(name, 'x'.repeat(20_000)))
    try {
      for (const name of ['user.a', 'user.b', 'user.c'])
        await ask(client, FrameType.FILE_ATTRIBUTES, set(name))
    } catch (error) {
      // Linux before 6.6.
      if ((error as AgentError).errno === errno.ENOTSUP)
        return test.skip('this kernel keeps no attributes on a tmpfs')
      throw error
    }
    const answer = await stat(client, path)
    expect(answer.all(Field.XATTR)).toHaveLength(2)
    expect(answer.u64(Field.SKIPPED)).toBe(1)
  })

  it.each([
    [
      'another name space',
      (to: FieldBuilder) => to.bytes(Field.XATTR, attribute('trusted.x', '1')),
      errno.EINVAL,
    ],
    ['the prefix alone', (to: FieldBuilder) => to.bytes(Field.XATTR, attribute('user.', '1')), errno.EINVAL],
    ['no value', (to: FieldBuilder) => to.bytes(Field.XATTR, Buffer.from('user.x')), errno.EINVAL],
    ['an empty field', (to: FieldBuilder) => to.bytes(Field.XATTR, Buffer.alloc(0)), errno.EINVAL],
    [
      'a long name',
      (to: FieldBuilder) => to.bytes(Field.XATTR, attribute(`user.${'x'.repeat(300)}`, '1')),
      errno.EINVAL,
    ],
    [
      'a removal with a NUL',
      (to: FieldBuilder) => to.bytes(Field.REMOVED, attribute('user.x', '1')),
      errno.EINVAL,
    ],
    [
      'the removal of another',
      (to: FieldBuilder) => to.string(Field.REMOVED, 'security.capability'),
      errno.EINVAL,
    ],
    [
      'too much',
      (to: FieldBuilder) => to.bytes(Field.XATTR, attribute('user.x', 'x'.repeat(LIMITS.MAX_XATTRS))),
      errno.E2BIG,
    ],
  ])('refuses %s and sets none', async (_what, add, number) => {
    await using files = await openWithFiles(binary)
    const { client, root } = files
    const path = join(root, 'f')
    writeFileSync(path, 'old')
    const good = () => fields().bytes(Field.XATTR, attribute('user.good', '1'))
    for (const type of [FrameType.FILE_ATTRIBUTES, FrameType.FILE_WRITE])
      await expect(ask(client, type, add(good()).string(Field.PATH, path))).rejects.toMatchObject({
        errno: number,
      })
    expect(told(await stat(client, path))).toEqual({})
    expect(readFileSync(path, 'utf8')).toBe('old')
    expect(client.closed).toBe(false)
  })

  it('refuses what is neither file nor directory, and what is not there', async () => {
    await using files = await openWithFiles(binary)
    const { client, root } = files
    const set = (path: string) => ofPath(path).bytes(Field.XATTR, attribute('user.a', '1'))
    const device = ask(client, FrameType.FILE_ATTRIBUTES, set('/dev/null'))
    await expect(device).rejects.toMatchObject({
      errno: errno.EINVAL,
      message: expect.stringContaining('a character device'),
    })
    const missing = ask(client, FrameType.FILE_ATTRIBUTES, set(join(root, 'no')))
    await expect(missing).rejects.toMatchObject({ errno: errno.ENOENT })
    const none = ask(client, FrameType.FILE_ATTRIBUTES, set('/proc/version'))
    await expect(none).rejects.toThrow()
  })

  it('sets those of a written file before it takes its place, and drops those of the old one', async () => {
    await using files = await openWithFiles(binary)
    const { client, root } = files
    const path = join(root, 'f')
    await write(client, path, fields().bytes(Field.XATTR, attribute('user.a', '1')), 'one')
    expect(told(await stat(client, path))).toEqual({ 'user.a': '1' })
    await write(client, path, fields(), 'two')
    expect(told(await stat(client, path))).toEqual({})
    const resumed = ofPath(path).string(Field.RESUME, 'u').bytes(Field.XATTR, attribute('user.a', '1'))
    await expect(ask(client, FrameType.FILE_WRITE, resumed)).rejects.toMatchObject({ errno: errno.EINVAL })
  })

  it.runIf(isRoot)('needs the right to write', async () => {
    await using files = await openWithFiles(binary)
    const { client, root } = files
    const path = join(root, 'f')
    writeFileSync(path, 'x')
    const set = ofPath(path).string(Field.USER, `${NOBODY}`).bytes(Field.XATTR, attribute('user.a', '1'))
    await expect(ask(client, FrameType.FILE_ATTRIBUTES, set)).rejects.toMatchObject({ errno: errno.EACCES })
    expect(told(await stat(client, path))).toEqual({})
  })
})

describe.each(BUILDS)('an owner for what root makes ($name)', ({ binary }) => {
  const owned = () =>
    fields()
      .u64(Field.UID, NOBODY)
      .u64(Field.GID, NOBODY + 1)
  const ownerOf = (path: string) => {
    const { uid, gid, mode } = statSync(path)
    return { uid, gid, mode: mode & 0o7777 }
  }

  it.runIf(isRoot)(
    'gives files and directories away, where the owner has no right to make them',
    async () => {
      await using files = await openWithFiles(binary)
      const { client, root } = files
      const closed = join(root, 'closed')
      mkdirSync(closed, { mode: 0o700 })
      const made = await ask(
        client,
        FrameType.FILE_MKDIR,
        owned().string(Field.PATH, join(closed, 'a/b')).u64(Field.PARENTS, 1),
      )
      expect(made.strings(Field.CREATED)).toEqual([join(closed, 'a'), join(closed, 'a/b')])
      await write(client, join(closed, 'f'), owned(), 'text')
      for (const name of ['a', 'a/b'])
        expect(ownerOf(join(closed, name))).toMatchObject({ uid: NOBODY, gid: NOBODY + 1 })
      expect(ownerOf(join(closed, 'f'))).toEqual({ uid: NOBODY, gid: NOBODY + 1, mode: 0o644 })
      expect(ownerOf(closed)).toMatchObject({ uid: 0, gid: 0 })
      // What comes after is root's again.
      await write(client, join(closed, 'g'), fields(), 'text')
      expect(ownerOf(join(closed, 'g'))).toMatchObject({ uid: 0, gid: 0 })
      const { stdout } = await run(client, { argv: ['/usr/bin/id', '-u'] })
      expect(stdout.toString()).toBe('0\n')
    },
  )

  it.runIf(isRoot)('takes a file over with its mode, but not the bits that lend rights', async () => {
    await using files = await openWithFiles(binary)
    const { client, root } = files
    const path = join(root, 'f')
    writeFileSync(path, 'old')
    chmodSync(path, 0o4751)
    await write(client, path, owned(), 'new')
    expect(ownerOf(path)).toEqual({ uid: NOBODY, gid: NOBODY + 1, mode: 0o751 })
    expect(readFileSync(path, 'utf8')).toBe('new')
  })

  it.runIf(isRoot)('is for root alone, and both numbers together', async () => {
    await using files = await openWithFiles(binary)
    const { client, root } = files
    const path = join(root, 'f')
    for (const type of [FrameType.FILE_WRITE, FrameType.FILE_MKDIR]) {
      const other = owned().string(Field.PATH, path).string(Field.USER, '4321')
      await expect(ask(client, type, other)).rejects.toMatchObject({ errno: errno.EPERM })
      const half = ofPath(path).u64(Field.UID, NOBODY)
      await expect(ask(client, type, half)).rejects.toMatchObject({ errno: errno.EINVAL })
    }
    const resumed = owned().string(Field.PATH, path).string(Field.RESUME, 'u')
    await expect(ask(client, FrameType.FILE_WRITE, resumed)).rejects.toMatchObject({ errno: errno.EINVAL })
  })
})

describe.each(BUILDS)('what comes whole ($name)', ({ binary }) => {
  it('is told as such: written by the agent, or before its directory was looked into', async () => {
    await using files = await openWithFiles(binary)
    const { client, root } = files
    const watch = client.request(FrameType.FILE_WATCH, ofPath(root).u64(Field.RECURSIVE, 1).encode())
    await client.expect(watch, FrameType.OK)
    const next = async () => {
      const event = await client.expect(watch, FrameType.EVENT)
      return [event.u64(Field.CHANGE), event.string(Field.NAME), event.u64(Field.CONTENT)]
    }
    await write(client, join(root, 'whole'), fields(), 'text')
    expect(await next()).toEqual([Change.create, 'whole', 1])
    writeFileSync(join(root, 'touched'), '')
    expect(await next()).toEqual([Change.create, 'touched', undefined])
  })
})
