import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type FieldBuilder,
  type Fields,
  fields,
  parseBulk,
  parseFields,
} from '../../packages/protocol/src/frame-codec.ts'
import { Field, FrameType, LIMITS } from '../../packages/protocol/src/frames.ts'
import { Agent, AgentError, agentError, BUILDS, type Client, isRoot, openWithFiles, run } from './harness.ts'

const errno = {
  EPERM: 1,
  ENOENT: 2,
  EAGAIN: 11,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENAMETOOLONG: 36,
  ENOTEMPTY: 39,
  ELOOP: 40,
}

describe.each(BUILDS)('files ($name)', ({ binary }) => {
  const open = () => openWithFiles(binary)
  const at = (path: string) => fields().string(Field.PATH, path)

  async function ask(client: Client, type: FrameType, payload: FieldBuilder): Promise<Fields> {
    return client.expect(client.request(type, payload.encode()), FrameType.OK)
  }

  async function read(client: Client, payload: FieldBuilder): Promise<Buffer> {
    const stream = client.request(FrameType.FILE_READ, payload.encode())
    await client.expect(stream, FrameType.OK)
    const parts: Uint8Array[] = []
    for (let offset = 0; ; ) {
      const frame = await client.next(stream)
      if (frame.type === FrameType.END) return Buffer.concat(parts)
      if (frame.type === FrameType.ERROR) throw agentError(frame)
      const bulk = parseBulk(frame.payload)
      expect(bulk.offset).toBe(offset)
      parts.push(bulk.bytes)
      offset += bulk.bytes.length
      client.ack(stream, offset)
    }
  }

  async function write(client: Client, payload: FieldBuilder, content: Uint8Array): Promise<Fields> {
    const stream = client.request(FrameType.FILE_WRITE, payload.encode())
    await client.expect(stream, FrameType.OK)
    let acknowledged = 0
    for (let offset = 0; offset < content.length; offset += LIMITS.MAX_CHUNK) {
      while (offset + LIMITS.MAX_CHUNK - acknowledged > LIMITS.WINDOW) {
        const frame = await client.next(stream)
        if (frame.type === FrameType.ERROR) throw agentError(frame)
        acknowledged = parseBulk(frame.payload).offset
      }
      client.bulk(FrameType.DATA, stream, offset, content.subarray(offset, offset + LIMITS.MAX_CHUNK))
    }
    client.send(FrameType.END, stream)
    for (;;) {
      const frame = await client.next(stream)
      if (frame.type === FrameType.ERROR) throw agentError(frame)
      if (frame.type === FrameType.OK) return parseFields(frame.payload)
    }
  }

  async function list(client: Client, payload: FieldBuilder): Promise<Map<string, Fields>> {
    const stream = client.request(FrameType.FILE_LIST, payload.encode())
    const entries = new Map<string, Fields>()
    for (;;) {
      const frame = await client.next(stream)
      if (frame.type === FrameType.END) return entries
      if (frame.type === FrameType.ERROR) throw agentError(frame)
      const entry = parseFields(frame.payload)
      entries.set(entry.string(Field.NAME)!, entry)
    }
  }

  const refusal = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => undefined,
      (e) => e,
    )
    expect(error).toBeInstanceOf(AgentError)
    return error as AgentError
  }
  const refused = async (promise: Promise<unknown>) => (await refusal(promise)).errno

  test('what is written is read, in whole and in part', async () => {
    await using o = await open()
    const content = Buffer.from(crypto.getRandomValues(new Uint8Array(65536)))
    const big = Buffer.concat(Array(50).fill(content))
    const path = join(o.root, 'big')
    const stat = await write(o.client, at(path), big)
    expect([stat.u64(Field.SIZE), stat.u64(Field.MODE)]).toEqual([big.length, 0o644])
    expect(readFileSync(path).equals(big)).toBe(true)
    expect((await read(o.client, at(path))).equals(big)).toBe(true)
    const part = await read(o.client, at(path).u64(Field.OFFSET, 100_000).u64(Field.LENGTH, 200_000))
    expect(part.equals(big.subarray(100_000, 300_000))).toBe(true)
    expect((await read(o.client, at(path).u64(Field.OFFSET, big.length + 5))).length).toBe(0)
    await write(o.client, at(join(o.root, 'empty')), Buffer.alloc(0))
    expect((await read(o.client, at(join(o.root, 'empty')))).length).toBe(0)
    expect(readdirSync(o.root).sort()).toEqual(['big', 'empty'])
  })

  test('no more than a window of a file is sent without acknowledgement', async () => {
    await using o = await open()
    writeFileSync(join(o.root, 'f'), Buffer.alloc(2 << 20))
    const stream = o.client.request(FrameType.FILE_READ, at(join(o.root, 'f')).encode())
    for (let i = 0; i < 20; i++) await run(o.client, { argv: ['true'] })
    const data = o.client.waiting(stream).filter((f) => f.type === FrameType.DATA)
    expect(data.reduce((sum, f) => sum + f.payload.length - 8, 0)).toBeLessThanOrEqual(LIMITS.WINDOW)
    o.client.send(FrameType.CANCEL, stream)
    await run(o.client, { argv: ['true'] })
  })

  test('a replaced file keeps its mode unless another is asked for', async () => {
    await using o = await open()
    const path = join(o.root, 'script')
    writeFileSync(path, 'old')
    chmodSync(path, 0o750)
    expect((await write(o.client, at(path), Buffer.from('new'))).u64(Field.MODE)).toBe(0o750)
    expect((await write(o.client, at(path).u64(Field.MODE, 0o4711), Buffer.from('x'))).u64(Field.MODE)).toBe(
      0o4711,
    )
    expect(readFileSync(path, 'utf8')).toBe('x')
  })

  test('a symbolic link is written through, also one that dangles, but not for ever', async () => {
    await using o = await open()
    mkdirSync(join(o.root, 'd'))
    writeFileSync(join(o.root, 'd/target'), 'old')
    symlinkSync('d/target', join(o.root, 'one'))
    symlinkSync('./one', join(o.root, 'two'))
    symlinkSync(join(o.root, 'd/later'), join(o.root, 'dangling'))
    symlinkSync('loop', join(o.root, 'loop'))
    await write(o.client, at(join(o.root, 'two')), Buffer.from('new'))
    await write(o.client, at(join(o.root, 'dangling')), Buffer.from('made'))
    expect(readlinkSync(join(o.root, 'two'))).toBe('./one')
    expect(readFileSync(join(o.root, 'd/target'), 'utf8')).toBe('new')
    expect(readFileSync(join(o.root, 'd/later'), 'utf8')).toBe('made')
    expect(await refused(write(o.client, at(join(o.root, 'loop')), Buffer.from('x')))).toBe(errno.ELOOP)
    expect((await read(o.client, at(join(o.root, 'two')))).toString()).toBe('new')
  })

  test('only regular files are read and replaced; a FIFO makes nobody wait', async () => {
    await using o = await open()
    execFileSync('mkfifo', [join(o.root, 'fifo')])
    const path = join(o.root, 'fifo')
    const reading = await refusal(read(o.client, at(path)))
    expect([reading.errno, reading.message]).toEqual([errno.EINVAL, `read ${path}: it is a FIFO`])
    const writing = await refusal(write(o.client, at(path), Buffer.from('x')))
    expect([writing.errno, writing.message]).toEqual([errno.EINVAL, `write ${path}: it is a FIFO`])
    expect((await refusal(read(o.client, at('/dev/zero')))).message).toBe(
      'read /dev/zero: it is a character device',
    )
    expect((await refusal(read(o.client, at(o.root)))).message).toBe(`read ${o.root}: it is a directory`)
    expect((await refusal(read(o.client, at(o.agent.socket)))).message).toContain('it is a socket')
    expect(await refused(write(o.client, at(o.root), Buffer.from('x')))).toBe(errno.EISDIR)
    expect(lstatSync(path).isFIFO()).toBe(true)
  })

  test("the agent's own files below /proc are out of reach", async () => {
    await using o = await open()
    symlinkSync('/proc/self/environ', join(o.root, 'trap'))
    for (const path of [
      '/proc/self/environ',
      `/proc/${o.agent.pid}/maps`,
      '/proc/self/mem',
      join(o.root, 'trap'),
    ])
      expect([errno.EACCES, errno.ENOENT]).toContain(await refused(read(o.client, at(path))))
    for (const path of ['/proc/self/root/etc/passwd', '/proc/self/cwd/x', '/proc/thread-self/fd/3'])
      expect([errno.ELOOP, errno.EINVAL, errno.ENOENT]).toContain(await refused(read(o.client, at(path))))
    expect((await read(o.client, at('/proc/version'))).toString()).toContain('Linux')
  })

  test('a transfer that is given up leaves nothing behind', async () => {
    await using o = await open()
    const path = join(o.root, 'half')
    writeFileSync(path, 'whole')
    for (const way of ['cancel', 'disconnect'] as const) {
      const stream = o.client.request(FrameType.FILE_WRITE, at(path).encode())
      await o.client.expect(stream, FrameType.OK)
      o.client.bulk(FrameType.DATA, stream, 0, Buffer.from('ha'))
      await o.client.next(stream)
      expect(readdirSync(o.root).length).toBe(2)
      if (way === 'cancel') {
        o.client.send(FrameType.CANCEL, stream)
        await run(o.client, { argv: ['true'] })
      } else {
        o.client.close()
        const next = await o.agent.connect()
        await next.expect(0, FrameType.HELLO)
        await run(next, { argv: ['true'] })
      }
      expect(readdirSync(o.root)).toEqual(['half'])
      expect(readFileSync(path, 'utf8')).toBe('whole')
    }
  })

  test('crumbs of several uploads that come together go to each', async () => {
    await using o = await open()
    const uploads = await Promise.all(
      ['a', 'b'].map(async (name) => {
        const stream = o.client.request(FrameType.FILE_WRITE, at(join(o.root, name)).encode())
        await o.client.expect(stream, FrameType.OK)
        return { name, stream, sent: 0 }
      }),
    )
    for (let i = 0; i < 300; i++) {
      for (const upload of uploads) {
        // Runs of one upload, longer than what is gathered, and turns of both.
        if (upload.name === 'b' && i % 100 > 20) continue
        const crumb = Buffer.from(`${upload.name}${i},`)
        o.client.bulk(FrameType.DATA, upload.stream, upload.sent, crumb)
        upload.sent += crumb.length
      }
    }
    for (const { stream } of uploads) o.client.send(FrameType.END, stream)
    for (const { name, stream, sent } of uploads) {
      let frame = await o.client.next(stream)
      while (frame.type === FrameType.ACK) frame = await o.client.next(stream)
      expect([frame.type, parseFields(frame.payload).u64(Field.SIZE)]).toEqual([FrameType.OK, sent])
      const numbers = Array.from({ length: 300 }, (_, i) => i).filter((i) => name === 'a' || i % 100 <= 20)
      expect(readFileSync(join(o.root, name), 'utf8')).toBe(numbers.map((i) => `${name}${i},`).join(''))
    }
  })

  describe('a resumable upload', () => {
    const upload = (path: string, size: number, offset?: number) => {
      const payload = at(path).string(Field.RESUME, 'upl_1-x').u64(Field.SIZE, size).u64(Field.MODE, 0o640)
      return offset === undefined ? payload : payload.u64(Field.OFFSET, offset)
    }
    const of = (path: string) => at(path).string(Field.RESUME, 'upl_1-x')

    /** Opens it, sends the bytes, ends; what the first OK says, and the last one. */
    async function send(client: Client, payload: FieldBuilder, bytes: Uint8Array) {
      const stream = client.request(FrameType.FILE_WRITE, payload.encode())
      const held = (await client.expect(stream, FrameType.OK)).u64(Field.OFFSET)!
      if (bytes.length > 0) {
        client.bulk(FrameType.DATA, stream, held, bytes)
        expect(parseBulk((await client.next(stream)).payload).offset).toBe(held + bytes.length)
      }
      client.send(FrameType.END, stream)
      return { held, end: await client.expect(stream, FrameType.OK) }
    }

    test('goes on over another connection, and replaces the file when it is whole', async () => {
      await using o = await open()
      const path = join(o.root, 'file')
      writeFileSync(path, 'old')
      const first = await send(o.client, upload(path, 10), Buffer.from('0123'))
      expect([first.held, first.end.u64(Field.OFFSET), first.end.u64(Field.MODE)]).toEqual([0, 4, undefined])
      const broken = o.client.request(FrameType.FILE_WRITE, upload(path, 10, 4).encode())
      await o.client.expect(broken, FrameType.OK)
      o.client.bulk(FrameType.DATA, broken, 4, Buffer.from('4x'))
      await o.client.next(broken)
      o.client.close()
      const next = await o.agent.connect()
      await next.expect(0, FrameType.HELLO)
      expect(readFileSync(path, 'utf8')).toBe('old')
      const held = await ask(next, FrameType.FILE_READ, of(path).u64(Field.LENGTH, 0))
      expect([held.u64(Field.SIZE), held.u64(Field.MODE)]).toEqual([6, 0o600])
      expect((await read(next, of(path))).toString()).toBe('01234x')
      const last = await send(next, upload(path, 10, 5), Buffer.from('56789'))
      expect([last.held, last.end.u64(Field.SIZE), last.end.u64(Field.MODE)]).toEqual([5, 10, 0o640])
      expect(readFileSync(path, 'utf8')).toBe('0123456789')
      expect(readdirSync(o.root)).toEqual(['file'])
    })

    test('does not go on above what it holds, and begins anew at 0', async () => {
      await using o = await open()
      const path = join(o.root, 'file')
      const above = await refusal(send(o.client, upload(path, 10, 3), Buffer.alloc(0)))
      expect([above.errno, above.message]).toEqual([errno.EINVAL, `write ${path}: the upload holds 0 bytes`])
      expect(readdirSync(o.root)).toEqual([])
      await send(o.client, upload(path, 3), Buffer.from('ab'))
      const more = await refusal(send(o.client, upload(path, 3, 3), Buffer.alloc(0)))
      expect(more.message).toBe(`write ${path}: the upload holds 2 bytes`)
      expect((await send(o.client, upload(path, 3, 0), Buffer.from('xyz'))).held).toBe(0)
      expect(readFileSync(path, 'utf8')).toBe('xyz')
    })

    test('is one request at a time, and is removed by its name', async () => {
      await using o = await open()
      const path = join(o.root, 'n'.repeat(255))
      const stream = o.client.request(FrameType.FILE_WRITE, upload(path, 3).encode())
      await o.client.expect(stream, FrameType.OK)
      expect(await refused(send(o.client, upload(path, 3), Buffer.alloc(0)))).toBe(errno.EBUSY)
      o.client.send(FrameType.CANCEL, stream)
      await send(o.client, upload(path, 3), Buffer.from('ab'))
      await ask(o.client, FrameType.FILE_REMOVE, of(path))
      expect(await refused(ask(o.client, FrameType.FILE_REMOVE, of(path)))).toBe(errno.ENOENT)
      expect(await refused(read(o.client, of(path)))).toBe(errno.ENOENT)
      expect(readdirSync(o.root)).toEqual([])
      for (const name of ['', '../x', 'a.b', 'x'.repeat(65)])
        expect(await refused(send(o.client, at(path).string(Field.RESUME, name), Buffer.alloc(0)))).toBe(
          errno.EINVAL,
        )
    })

    test.runIf(isRoot)('is not found in what another user, or a link, has put there', async () => {
      await using o = await open()
      const path = join(o.root, 'file')
      await send(o.client, upload(path, 9).string(Field.USER, 'nobody'), Buffer.from('theirs'))
      expect(await refused(send(o.client, upload(path, 9), Buffer.alloc(0)))).toBe(errno.EEXIST)
      const [name] = readdirSync(o.root)
      await ask(o.client, FrameType.FILE_REMOVE, of(path))
      symlinkSync('/etc/caisson-test', join(o.root, name!))
      expect(await refused(send(o.client, upload(path, 9), Buffer.alloc(0)))).toBe(errno.ELOOP)
      expect(existsSync('/etc/caisson-test')).toBe(false)
    })
  })

  test('parents are made when asked for', async () => {
    await using o = await open()
    const path = join(o.root, 'a/b/c')
    expect(await refused(write(o.client, at(path), Buffer.from('x')))).toBe(errno.ENOENT)
    await write(o.client, at(path).u64(Field.PARENTS, 1), Buffer.from('x'))
    expect(readFileSync(path, 'utf8')).toBe('x')
  })

  test('stat tells everything, of a link itself unless told to follow', async () => {
    await using o = await open()
    const path = join(o.root, 'link')
    writeFileSync(join(o.root, 'file'), 'four')
    symlinkSync('file', path)
    const link = await ask(o.client, FrameType.FILE_STAT, at(path))
    expect([link.u64(Field.FILE_TYPE), link.string(Field.LINK)]).toEqual([0o120000, 'file'])
    const file = await ask(o.client, FrameType.FILE_STAT, at(path).u64(Field.FOLLOW, 1))
    const real = statSync(path, { bigint: true })
    expect([file.u64(Field.FILE_TYPE), file.u64(Field.SIZE), file.i64(Field.MTIME_NS)]).toEqual([
      0o100000,
      4,
      real.mtimeNs,
    ])
    expect([file.u64(Field.UID), file.u64(Field.GID)]).toEqual([Number(real.uid), Number(real.gid)])
    if (isRoot) expect([file.string(Field.OWNER), file.string(Field.GROUP)]).toEqual(['root', 'root'])
    const slash = await ask(o.client, FrameType.FILE_STAT, at('/'))
    expect(slash.u64(Field.FILE_TYPE)).toBe(0o040000)
    expect(await refused(ask(o.client, FrameType.FILE_STAT, at(join(o.root, 'none'))))).toBe(errno.ENOENT)
    expect(await refused(ask(o.client, FrameType.FILE_STAT, at(join(path, 'below'))))).toBe(errno.ENOTDIR)
  })

  test('a relative path begins at the home', async () => {
    await using o = await open()
    const stat = await ask(o.client, FrameType.FILE_STAT, at('.').string(Field.USER, isRoot ? 'daemon' : ''))
    const home = isRoot ? '/usr/sbin' : process.env.HOME!
    expect(stat.i64(Field.MTIME_NS)).toBe(statSync(home, { bigint: true }).mtimeNs)
  })

  test('list gives every entry, ten thousand of them, odd names too', async () => {
    await using o = await open()
    for (let i = 0; i < 10_000; i++) writeFileSync(join(o.root, `file-${i}`), '')
    writeFileSync(join(o.root, '-rf \n*'), 'x')
    symlinkSync('nowhere', join(o.root, 'link'))
    mkdirSync(join(o.root, '.hidden'))
    const entries = await list(o.client, at(o.root))
    expect(entries.size).toBe(10_003)
    expect(entries.get('-rf \n*')!.u64(Field.SIZE)).toBe(1)
    expect(entries.get('link')!.string(Field.LINK)).toBe('nowhere')
    expect(entries.get('.hidden')!.u64(Field.FILE_TYPE)).toBe(0o040000)
    expect(await refused(list(o.client, at(join(o.root, 'file-1'))))).toBe(errno.ENOTDIR)
    expect(await refused(list(o.client, at(join(o.root, 'none'))))).toBe(errno.ENOENT)
  })

  test('mkdir makes one directory, or the missing ones with their names', async () => {
    await using o = await open()
    const path = (name: string) => at(join(o.root, name))
    expect(
      (await ask(o.client, FrameType.FILE_MKDIR, path('one').u64(Field.MODE, 0o700))).strings(Field.CREATED),
    ).toEqual([join(o.root, 'one')])
    expect(statSync(join(o.root, 'one')).mode & 0o777).toBe(0o700)
    expect(await refused(ask(o.client, FrameType.FILE_MKDIR, path('one')))).toBe(errno.EEXIST)
    expect(await refused(ask(o.client, FrameType.FILE_MKDIR, path('x/y')))).toBe(errno.ENOENT)
    const made = await ask(o.client, FrameType.FILE_MKDIR, path('one//two/./three/').u64(Field.PARENTS, 1))
    expect(made.strings(Field.CREATED).map((p) => p.replace('//', '/').replace('/./', '/'))).toEqual([
      join(o.root, 'one/two'),
      join(o.root, 'one/two/three'),
    ])
    expect(
      (await ask(o.client, FrameType.FILE_MKDIR, path('one/two').u64(Field.PARENTS, 1))).strings(
        Field.CREATED,
      ),
    ).toEqual([])
    writeFileSync(join(o.root, 'file'), '')
    expect(await refused(ask(o.client, FrameType.FILE_MKDIR, path('file/x').u64(Field.PARENTS, 1)))).toBe(
      errno.ENOTDIR,
    )
    expect(await refused(ask(o.client, FrameType.FILE_MKDIR, path('file').u64(Field.PARENTS, 1)))).toBe(
      errno.ENOTDIR,
    )
  })

  test('rename moves and replaces', async () => {
    await using o = await open()
    writeFileSync(join(o.root, 'a'), 'A')
    writeFileSync(join(o.root, 'b'), 'B')
    await ask(o.client, FrameType.FILE_RENAME, at(join(o.root, 'a')).string(Field.TARGET, join(o.root, 'b')))
    expect([readFileSync(join(o.root, 'b'), 'utf8'), existsSync(join(o.root, 'a'))]).toEqual(['A', false])
    const gone = at(join(o.root, 'a')).string(Field.TARGET, join(o.root, 'c'))
    expect(await refused(ask(o.client, FrameType.FILE_RENAME, gone))).toBe(errno.ENOENT)
    expect(await refused(ask(o.client, FrameType.FILE_RENAME, at(join(o.root, 'b'))))).toBe(errno.ENOENT)
  })

  test('remove takes files, links and empty directories, and trees only when told', async () => {
    await using o = await open()
    const outside = join(o.agent.directory, 'outside')
    mkdirSync(outside)
    writeFileSync(join(outside, 'precious'), '')
    mkdirSync(join(o.root, 'tree/deep/er'), { recursive: true })
    for (let i = 0; i < 500; i++) writeFileSync(join(o.root, 'tree/deep', `f${i}`), '')
    symlinkSync(outside, join(o.root, 'tree/link'))
    symlinkSync(outside, join(o.root, 'link'))
    const remove = (path: string, recursive = 0) =>
      ask(o.client, FrameType.FILE_REMOVE, at(path).u64(Field.RECURSIVE, recursive))
    expect(await refused(remove(join(o.root, 'tree')))).toBe(errno.ENOTEMPTY)
    await remove(join(o.root, 'link'), 1)
    await remove(join(o.root, 'tree'), 1)
    expect(readdirSync(o.root)).toEqual([])
    expect(readdirSync(outside)).toEqual(['precious'])
    mkdirSync(join(o.root, 'empty'))
    await remove(join(o.root, 'empty/'))
    expect(await refused(remove(join(o.root, 'empty'), 1))).toBe(errno.ENOENT)
    for (const path of ['/', '//', '/.', '/tmp/..', `${o.root}/.`, '/../..'])
      expect(await refused(remove(path, 1))).toBe(errno.EBUSY)
  })

  test('remove takes a tree that is deeper than any path, and a wide one without holding others up', async () => {
    await using o = await open()
    const deep = `
import os, sys
os.chdir(sys.argv[1]); os.mkdir('tree'); os.chdir('tree')
for i in range(3000):
  open('f', 'w').close()
  os.mkdir('d'); os.chdir('d')`
    execFileSync('python3', ['-c', deep, o.root])
    for (let i = 0; i < 5000; i++) writeFileSync(join(o.root, 'tree', `wide-${i}`), '')
    const stream = o.client.request(
      FrameType.FILE_REMOVE,
      at(join(o.root, 'tree')).u64(Field.RECURSIVE, 1).encode(),
    )
    const stat = o.client.request(FrameType.FILE_STAT, at(o.root).encode())
    await o.client.expect(stat, FrameType.OK)
    expect(o.client.waiting(stream)).toEqual([])
    await o.client.expect(stream, FrameType.OK)
    expect(readdirSync(o.root)).toEqual([])
  })

  test.runIf(isRoot)('remove does not enter another mount', async () => {
    await using o = await open()
    const script = `mount -t tmpfs none "$1/tree/mnt" && touch "$1/tree/mnt/precious" && exec "$2" --listen-fd 3 --subreaper`
    mkdirSync(join(o.root, 'tree/mnt'), { recursive: true })
    writeFileSync(join(o.root, 'tree/other'), '')
    // An agent in a mount namespace of its own, so that no mount is left behind whatever happens.
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
    const payload = at(join(o.root, 'tree')).u64(Field.RECURSIVE, 1)
    expect(await refused(ask(client, FrameType.FILE_REMOVE, payload))).toBe(errno.EBUSY)
    const entries = await list(client, at(join(o.root, 'tree/mnt')))
    expect([...entries.keys()]).toEqual(['precious'])
    const direct = at(join(o.root, 'tree/mnt')).u64(Field.RECURSIVE, 1)
    expect(await refused(ask(client, FrameType.FILE_REMOVE, direct))).toBe(errno.EBUSY)
  })

  test('chmod changes what a link points to', async () => {
    await using o = await open()
    writeFileSync(join(o.root, 'file'), '')
    symlinkSync('file', join(o.root, 'link'))
    await ask(o.client, FrameType.FILE_CHMOD, at(join(o.root, 'link')).u64(Field.MODE, 0o2640))
    expect(statSync(join(o.root, 'file')).mode & 0o7777).toBe(0o2640)
    expect(await refused(ask(o.client, FrameType.FILE_CHMOD, at(join(o.root, 'file'))))).toBe(errno.EINVAL)
    expect(
      await refused(ask(o.client, FrameType.FILE_CHMOD, at(join(o.root, 'file')).u64(Field.MODE, 0o10000))),
    ).toBe(errno.EINVAL)
  })

  test.runIf(isRoot)('everything is done as the user who asks', async () => {
    await using o = await open()
    const nobody = (path: string) => at(path).string(Field.USER, 'nobody')
    const mine = join(o.root, 'mine')
    const stat = await write(o.client, nobody(mine), Buffer.from('x'))
    expect([stat.u64(Field.UID), stat.u64(Field.GID), stat.string(Field.OWNER)]).toEqual([
      65534,
      65534,
      'nobody',
    ])
    await ask(o.client, FrameType.FILE_MKDIR, nobody(join(o.root, 'dir')))
    expect(statSync(join(o.root, 'dir')).uid).toBe(65534)
    const secret = join(o.root, 'secret')
    writeFileSync(secret, 'root only', { mode: 0o600 })
    mkdirSync(join(o.root, 'locked'), { mode: 0o700 })
    writeFileSync(join(o.root, 'locked/in'), '')
    linkSync(secret, join(o.root, 'locked/hard'))
    expect(await refused(read(o.client, nobody(secret)))).toBe(errno.EACCES)
    expect(await refused(read(o.client, nobody('/etc/shadow')))).toBe(errno.EACCES)
    expect(await refused(list(o.client, nobody(join(o.root, 'locked'))))).toBe(errno.EACCES)
    expect(await refused(write(o.client, nobody('/etc/caisson-test'), Buffer.from('x')))).toBe(errno.EACCES)
    expect(await refused(ask(o.client, FrameType.FILE_CHMOD, nobody(secret).u64(Field.MODE, 0o666)))).toBe(
      errno.EPERM,
    )
    expect(await refused(ask(o.client, FrameType.FILE_CHOWN, nobody(mine).u64(Field.UID, 0)))).toBe(
      errno.EPERM,
    )
    const locked = nobody(join(o.root, 'locked')).u64(Field.RECURSIVE, 1)
    expect(await refused(ask(o.client, FrameType.FILE_REMOVE, locked))).toBe(errno.EACCES)
    // Root again afterwards.
    expect((await read(o.client, at(secret))).toString()).toBe('root only')
    await ask(o.client, FrameType.FILE_CHOWN, at(mine).u64(Field.UID, 1).u64(Field.GID, 2))
    expect([statSync(mine).uid, statSync(mine).gid]).toEqual([1, 2])
    await ask(o.client, FrameType.FILE_CHOWN, at(mine).u64(Field.GID, 8))
    expect([statSync(mine).uid, statSync(mine).gid]).toEqual([1, 8])
    chownSync(mine, 65534, 65534)
    await write(o.client, at(mine), Buffer.from('by root'))
    expect(statSync(mine).uid).toBe(65534)
  })

  test('paths that are too long, empty or cut by a NUL are refused', async () => {
    await using o = await open()
    const stat = (path: string) => refused(ask(o.client, FrameType.FILE_STAT, at(path)))
    expect(await stat('/'.padEnd(LIMITS.MAX_PATH, 'x/'))).toBe(errno.ENAMETOOLONG)
    expect(await stat(`/${'x'.repeat(256)}`)).toBe(errno.ENAMETOOLONG)
    expect(await stat('')).toBe(errno.ENOENT)
    expect(await stat('/etc\0/passwd')).toBe(errno.EINVAL)
    expect(await refused(ask(o.client, FrameType.FILE_STAT, fields()))).toBe(errno.ENOENT)
  })

  test('a request too many is refused, and the others go on', async () => {
    await using o = await open()
    const path = join(o.root, 'f')
    const streams = Array.from({ length: LIMITS.MAX_REQUESTS }, () =>
      o.client.request(FrameType.FILE_WRITE, at(path).encode()),
    )
    for (const stream of streams) await o.client.expect(stream, FrameType.OK)
    expect(await refused(write(o.client, at(path), Buffer.from('x')))).toBe(errno.EAGAIN)
    for (const stream of streams.slice(1)) o.client.send(FrameType.CANCEL, stream)
    o.client.bulk(FrameType.DATA, streams[0]!, 0, Buffer.from('last'))
    o.client.send(FrameType.END, streams[0]!)
    await o.client.next(streams[0]!)
    await o.client.expect(streams[0]!, FrameType.OK)
    expect(readFileSync(path, 'utf8')).toBe('last')
    expect(readdirSync(o.root)).toEqual(['f'])
  })
})
