import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fields, parseFields } from '../../packages/protocol/src/frame-codec.ts'
import { Change, Field, type Frame, FrameType, LIMITS } from '../../packages/protocol/src/frames.ts'
import { AgentError, BUILDS, type Client, isRoot, openWithFiles, run, until } from './harness.ts'

const errno = { ENOENT: 2, EACCES: 13, ENOTDIR: 20 }
const names = Object.fromEntries(Object.entries(Change).map(([name, value]) => [value, name]))

describe.each(BUILDS)('watch ($name)', ({ binary }) => {
  const open = () => openWithFiles(binary)

  async function watch(client: Client, path: string, options: { recursive?: boolean; user?: string } = {}) {
    const payload = fields().string(Field.PATH, path)
    if (options.recursive) payload.u64(Field.RECURSIVE, 1)
    if (options.user) payload.string(Field.USER, options.user)
    const stream = client.request(FrameType.FILE_WATCH, payload.encode())
    await client.expect(stream, FrameType.OK)
    return stream
  }

  const text = (frame: Frame) => {
    if (frame.type !== FrameType.EVENT) return `frame ${frame.type}`
    const got = parseFields(frame.payload)
    const target = got.string(Field.TARGET)
    const name = got.string(Field.NAME)
    const change = names[got.u64(Field.CHANGE)!]!
    return change + (name === undefined ? '' : ` ${name}`) + (target === undefined ? '' : ` > ${target}`)
  }

  /** Events up to the creation of a mark, which is made here in the watched directory and removed. */
  let marks = 0
  async function told(client: Client, stream: number, directory: string): Promise<string[]> {
    const mark = `mark-${marks++}`
    writeFileSync(join(directory, mark), '')
    const all: string[] = []
    for (;;) {
      const event = text(await client.next(stream))
      if (event === `create ${mark}`) return all
      if (!event.includes('mark-')) all.push(event)
    }
  }

  test('creations, writes, modes, renames and removals of one directory', async () => {
    await using o = await open()
    mkdirSync(join(o.root, 'sub'))
    writeFileSync(join(o.root, 'there'), '')
    const stream = await watch(o.client, o.root)
    writeFileSync(join(o.root, 'file'), 'x')
    chmodSync(join(o.root, 'file'), 0o600)
    renameSync(join(o.root, 'file'), join(o.root, 'other'))
    unlinkSync(join(o.root, 'other'))
    appendFileSync(join(o.root, 'there'), 'x')
    writeFileSync(join(o.root, 'sub/unseen'), '')
    symlinkSync('x', join(o.root, 'link'))
    expect(await told(o.client, stream, o.root)).toEqual([
      'create file',
      'write file',
      'chmod file',
      'rename file > other',
      'remove other',
      'write there',
      'create link',
    ])
    chmodSync(o.root, 0o755)
    expect(await told(o.client, stream, o.root)).toEqual(['chmod '])
  })

  test('what crosses the edge of the tree is created or removed', async () => {
    await using o = await open()
    const stream = await watch(o.client, o.root, { recursive: true })
    mkdirSync(join(o.agent.directory, 'in/deep'), { recursive: true })
    writeFileSync(join(o.agent.directory, 'in/deep/file'), '')
    renameSync(join(o.agent.directory, 'in'), join(o.root, 'in'))
    await until(() => o.client.waiting(stream).length === 3)
    appendFileSync(join(o.root, 'in/deep/file'), 'x')
    await until(() => o.client.waiting(stream).length === 4)
    renameSync(join(o.root, 'in'), join(o.agent.directory, 'out'))
    appendFileSync(join(o.agent.directory, 'out/deep/file'), 'x')
    expect(await told(o.client, stream, o.root)).toEqual([
      'create in',
      'create in/deep',
      'create in/deep/file',
      'write in/deep/file',
      'remove in',
    ])
    await run(o.client, { argv: ['true'] })
    appendFileSync(join(o.agent.directory, 'out/deep/file'), 'x')
    mkdirSync(join(o.agent.directory, 'out/more'))
    expect(await told(o.client, stream, o.root)).toEqual([])
  })

  test('a tree: what is made in it later is watched, and renamed with it', async () => {
    await using o = await open()
    mkdirSync(join(o.root, 'a/b'), { recursive: true })
    const stream = await watch(o.client, o.root, { recursive: true })
    writeFileSync(join(o.root, 'a/b/file'), '')
    mkdirSync(join(o.root, 'a/new'))
    await until(() => o.client.waiting(stream).length === 2)
    renameSync(join(o.root, 'a'), join(o.root, 'A'))
    writeFileSync(join(o.root, 'A/new/inside'), '')
    renameSync(join(o.root, 'A/b/file'), join(o.root, 'A/new/file'))
    rmSync(join(o.root, 'A'), { recursive: true })
    const events = await told(o.client, stream, o.root)
    expect(events.slice(0, 5)).toEqual([
      'create a/b/file',
      'create a/new',
      'rename a > A',
      'create A/new/inside',
      'rename A/b/file > A/new/file',
    ])
    expect(events.slice(5).sort()).toEqual(
      ['remove A', 'remove A/b', 'remove A/new', 'remove A/new/file', 'remove A/new/inside'].sort(),
    )
  })

  test('nested directories made in a hurry are told once each, whoever was faster', {
    timeout: 60_000,
  }, async () => {
    await using o = await open()
    const stream = await watch(o.client, o.root, { recursive: true })
    const expected: string[] = []
    for (let i = 0; i < 200; i++) {
      mkdirSync(join(o.root, `d${i}/x/y`), { recursive: true })
      writeFileSync(join(o.root, `d${i}/x/y/f`), '')
      writeFileSync(join(o.root, `d${i}/g`), '')
      for (const name of ['', '/x', '/x/y', '/x/y/f', '/g']) expected.push(`create d${i}${name}`)
      if (i % 10 === 0) await run(o.client, { argv: ['true'] })
    }
    const seen: string[] = []
    while (seen.length < expected.length) {
      const event = text(await o.client.next(stream))
      if (event.startsWith('create')) seen.push(event)
    }
    expect([...new Set(seen)].sort()).toEqual(expected.sort())
    const more = (await told(o.client, stream, o.root)).filter((event) => event.startsWith('create'))
    expect([seen.length, more]).toEqual([expected.length, []])
    // All of it is watched now.
    writeFileSync(join(o.root, 'd7/x/y/late'), '')
    expect(await told(o.client, stream, o.root)).toEqual(['create d7/x/y/late'])
  })

  test('links are not followed, and unfinished transfers are not told', async () => {
    await using o = await open()
    mkdirSync(join(o.agent.directory, 'outside'))
    symlinkSync(join(o.agent.directory, 'outside'), join(o.root, 'link'))
    symlinkSync('.', join(o.root, 'loop'))
    symlinkSync('files', join(o.agent.directory, 'alias'))
    const stream = await watch(o.client, join(o.agent.directory, 'alias'), { recursive: true })
    writeFileSync(join(o.agent.directory, 'outside/x'), '')
    const write = o.client.request(
      FrameType.FILE_WRITE,
      fields().string(Field.PATH, join(o.root, 'sent')).encode(),
    )
    await o.client.expect(write, FrameType.OK)
    o.client.bulk(FrameType.DATA, write, 0, Buffer.from('x'))
    o.client.send(FrameType.END, write)
    await o.client.next(write)
    await o.client.expect(write, FrameType.OK)
    expect(await told(o.client, stream, o.root)).toEqual(['create sent'])
  })

  test('the end of the directory is told and ends the watch, that of another request is nothing to it', async () => {
    await using o = await open()
    for (const end of [rmdirSync, (path: string) => renameSync(path, `${path}-moved`)]) {
      const path = join(o.root, 'watched')
      mkdirSync(path)
      const one = await watch(o.client, path, { recursive: true })
      const two = await watch(o.client, path)
      const three = await watch(o.client, path)
      o.client.send(FrameType.CANCEL, two)
      end(path)
      for (const stream of [one, three]) {
        expect(text(await o.client.next(stream))).toBe('remove ')
        await o.client.expect(stream, FrameType.END)
      }
      expect(o.client.waiting(two)).toEqual([])
    }
    // Nothing tells when a directory above it is renamed, before something new has to be looked for by its path.
    mkdirSync(join(o.root, 'above/watched'), { recursive: true })
    const astray = await watch(o.client, join(o.root, 'above/watched'), { recursive: true })
    renameSync(join(o.root, 'above'), join(o.root, 'renamed'))
    mkdirSync(join(o.root, 'renamed/watched/new'))
    const events: string[] = []
    while (events.at(-1) !== 'remove ') events.push(text(await o.client.next(astray)))
    await o.client.expect(astray, FrameType.END)
    expect(events).toEqual(['create new', 'remove '])
    const queues = () =>
      readdirSync(`/proc/${o.agent.pid}/fd`).filter((fd) => {
        try {
          return readlinkSync(`/proc/${o.agent.pid}/fd/${fd}`) === 'anon_inode:inotify'
        } catch {
          return false
        }
      }).length
    expect(queues()).toBe(0)
    const last = await watch(o.client, o.root)
    expect(queues()).toBe(1)
    o.client.send(FrameType.CANCEL, last)
    await until(() => queues() === 0)
  })

  test('a host that does not read is told that it missed something, and then goes on', {
    timeout: 60_000,
  }, async () => {
    await using o = await open()
    mkdirSync(join(o.root, 'd'))
    const stream = await watch(o.client, o.root, { recursive: true })
    const limit = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'))
    const flood = `
import os, sys
os.chdir(sys.argv[1])
for i in range(int(sys.argv[2])):
  open('f%d' % (i % 50) + 'x' * 200, 'w').close()
  os.unlink('f%d' % (i % 50) + 'x' * 200)
os.makedirs('d/unseen/deep')`
    o.client.pause()
    execFileSync('python3', ['-c', flood, o.root, String(Math.ceil(limit * 0.75))])
    o.client.resume()
    const events = []
    while (events.at(-1) !== 'overflow') events.push(text(await o.client.next(stream)))
    expect(events.filter((event) => event === 'overflow').length).toBe(1)
    // What came into being unseen is watched all the same.
    writeFileSync(join(o.root, 'd/unseen/deep/file'), '')
    const after = await told(o.client, stream, o.root)
    expect(after).toContain('create d/unseen/deep/file')
  })

  test('more directories than can be watched are told as lost, the others go on', {
    timeout: 60_000,
  }, async () => {
    await using o = await open()
    for (let i = 0; i < LIMITS.MAX_WATCHES + 10; i++) mkdirSync(join(o.root, `d${i}`))
    const stream = await watch(o.client, o.root, { recursive: true })
    expect(text(await o.client.next(stream))).toBe('overflow')
    writeFileSync(join(o.root, 'file'), '')
    expect(await told(o.client, stream, o.root)).toEqual(['create file'])
    execFileSync('sh', ['-c', `rm -rf ${o.root}/d*`])
  })

  test('a busy file does not drown the others', async () => {
    await using o = await open()
    writeFileSync(join(o.root, 'log'), '')
    const stream = await watch(o.client, o.root)
    const script = `for i in $(seq 500); do echo x >>log; echo y >>other; done`
    await run(o.client, { argv: ['sh', '-c', script], cwd: o.root })
    const events = await told(o.client, stream, o.root)
    expect(events.length).toBeLessThanOrEqual(1001)
    expect([...new Set(events)].sort()).toEqual(['create other', 'write log', 'write other'])
  })

  test.runIf(isRoot)('a user watches what they may read', async () => {
    await using o = await open()
    mkdirSync(join(o.root, 'locked'), { mode: 0o700 })
    mkdirSync(join(o.root, 'open'))
    const refused = async (path: string) => {
      const error = await watch(o.client, path, { user: 'nobody' }).catch((e) => e)
      expect(error).toBeInstanceOf(AgentError)
      return (error as AgentError).errno
    }
    expect(await refused(join(o.root, 'locked'))).toBe(errno.EACCES)
    const stream = await watch(o.client, o.root, { recursive: true, user: 'nobody' })
    writeFileSync(join(o.root, 'locked/secret'), '')
    writeFileSync(join(o.root, 'open/file'), '')
    expect(await told(o.client, stream, o.root)).toEqual(['create open/file'])
  })

  test('only a directory is watched', async () => {
    await using o = await open()
    writeFileSync(join(o.root, 'file'), '')
    const refused = async (path: string) =>
      (await watch(o.client, path).then(
        () => undefined,
        (e) => e,
      ))!.errno
    expect(await refused(join(o.root, 'file'))).toBe(errno.ENOTDIR)
    expect(await refused(join(o.root, 'none'))).toBe(errno.ENOENT)
  })

  test('a tree that changes wildly is followed', { timeout: 60_000 }, async () => {
    await using o = await open()
    const other = mkdtempSync(join(tmpdir(), 'caisson-watch-'))
    try {
      const stream = await watch(o.client, o.root, { recursive: true })
      const storm = `
import os, random, shutil, sys
random.seed(7)
os.chdir(sys.argv[1])
def somewhere():
  all = [d for d, _, _ in os.walk('.')]
  return random.choice(all)
for i in range(600):
  d, n = somewhere(), 'n%d' % random.randrange(20)
  try:
    k = random.randrange(6)
    if k < 2: os.mkdir(os.path.join(d, n))
    elif k == 2: open(os.path.join(d, n), 'a').write('x')
    elif k == 3: os.rename(os.path.join(d, n), os.path.join(somewhere(), n))
    elif k == 4: shutil.move(os.path.join(d, n), os.path.join(sys.argv[2], str(i)))
    elif random.randrange(8) == 0 and d != '.': shutil.rmtree(os.path.join(d, n))
  except (OSError, shutil.Error): pass`
      execFileSync('python3', ['-c', storm, o.root, other])
      // Quiet: several marks in a row with nothing between them.
      for (let quiet = 0; quiet < 5; )
        quiet = (await told(o.client, stream, o.root)).length === 0 ? quiet + 1 : 0
      const directories = readdirSync(o.root, { recursive: true, withFileTypes: true }).filter((d) =>
        d.isDirectory(),
      )
      // Every directory that is left is watched under its present name.
      for (const directory of directories)
        writeFileSync(join(directory.parentPath, directory.name, 'last'), '')
      const events = await told(o.client, stream, o.root)
      const expected = directories.map(
        (d) => `create ${join(d.parentPath, d.name, 'last').slice(o.root.length + 1)}`,
      )
      expect(events.filter((event) => event.startsWith('create')).sort()).toEqual(expected.sort())
    } finally {
      rmSync(other, { recursive: true, force: true })
    }
  })
})
