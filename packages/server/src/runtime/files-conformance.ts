import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Guest, GuestFileChange, TreeEntry } from '../guest/guest.ts'

/** What a driver's world lends to these tests. */
export interface FilesBench {
  /** A directory in every sandbox of this test that nothing else uses. */
  scratch: string
  /** A connection to a fresh sandbox. */
  guest(): Promise<Guest>
  /** The same sandbox over a new connection; the old one is closed. */
  reconnect(guest: Guest): Promise<Guest>
  /** Runs a program that listens on the port and sends back what it gets. */
  listen(guest: Guest, port: number): Promise<void>
}

export const FILE_TESTS = [
  'a tree is written and read back',
  'nothing of a tree leaves its directory',
  'a tree that fails tells where',
  'a thousand files at once',
  'an upload goes on over a new connection',
  'an upload does not go on behind what was received',
  'a watch tells changes, also in new directories, until its directory is removed',
  'a connection to a port carries bytes both ways and half-closes',
  'a port where nothing listens is port_closed',
] as const
export type FileTest = (typeof FILE_TESTS)[number]

type It = (title: FileTest, run: (bench: FilesBench) => Promise<void>) => void

const large = Buffer.alloc(300_000, 'large ')
const tree = (): TreeEntry[] => [
  { path: 'empty', type: 'directory', mode: 0o750 },
  { path: 'a/b/deep file\n', type: 'file', size: 5, data: Buffer.from('inner'), mode: 0o640, mtimeMs: 1e12 },
  { path: 'large', type: 'file', size: large.length, data: inPieces(large) },
  { path: 'none', type: 'file', size: 0, data: new Uint8Array(0), mode: 0o4755 },
  { path: 'link', type: 'symlink', link: '../elsewhere' },
]

/** Trees, resumable uploads, watches and connections: what the agent of every driver does alike. */
export function fileTests(it: It): void {
  treeTests(it)
  uploadTests(it)
  it('a watch tells changes, also in new directories, until its directory is removed', watchTest)
  portTests(it)
}

function treeTests(it: It): void {
  it('a tree is written and read back', async (bench) => {
    const top = `${bench.scratch}/a tree`
    const { files } = await bench.guest()
    await files.mkdir(top, { parents: true })
    const written = await files.writeTree(top, tree(), {})
    expect(written).toMatchObject({ entries: tree().length, bytes: large.length + 5 })
    expect(written.created).toContain(`${top}/a/b`)
    const read = await contents(await files.readTree(top, { content: true }))
    expect(Object.keys(read)).toEqual(['a', 'a/b', 'a/b/deep file\n', 'empty', 'large', 'link', 'none'])
    expect(read).toMatchObject({
      'a/b/deep file\n': { type: 'file', mode: 0o640, mtimeMs: 1e12, text: 'inner' },
      empty: { type: 'directory', mode: 0o750 },
      large: { type: 'file', size: large.length, text: String(large) },
      // Bits that give a program another user are nothing that an archive may bring.
      none: { type: 'file', mode: 0o755, text: '' },
      link: { type: 'symlink', link: '../elsewhere' },
    })
    const flat = await contents(await files.readTree(top, { depth: 1 }))
    expect(Object.keys(flat)).toEqual(['a', 'empty', 'large', 'link', 'none'])
    await files.remove(top, { recursive: true })
  })

  it('nothing of a tree leaves its directory', async (bench) => {
    const top = `${bench.scratch}/a tree`
    const { files } = await bench.guest()
    await files.mkdir(`${top}/inside`, { parents: true })
    const file = (path: string): TreeEntry => ({ path, type: 'file', size: 1, data: Buffer.from('x') })
    for (const link of ['..', top]) {
      const escaping: TreeEntry[] = [{ path: 'out', type: 'symlink', link }, file('out/escaped')]
      await expect(files.writeTree(`${top}/inside`, escaping, {})).rejects.toMatchObject({
        details: { path: 'out/escaped' },
        cause: { entries: 1 },
      })
    }
    for (const path of ['../escaped', `${top}/escaped`, 'inner/../../escaped'])
      await expect(files.writeTree(`${top}/inside`, [file(path)], {})).rejects.toMatchObject({
        details: { path },
      })
    expect((await files.list(top, {})).map(({ name }) => name)).toEqual(['inside'])
    await files.remove(top, { recursive: true })
  })

  it('a tree that fails tells where', async (bench) => {
    const top = `${bench.scratch}/a tree`
    const { files } = await bench.guest()
    await files.mkdir(`${top}/taken`, { parents: true })
    const entries = ['one', 'two', 'taken', 'four'].map(
      (path): TreeEntry => ({ path, type: 'file', size: 1, data: Buffer.from('x') }),
    )
    await expect(files.writeTree(top, entries, {})).rejects.toMatchObject({
      details: { path: 'taken' },
      cause: { entry: 'taken', entries: 2 },
    })
    expect((await files.list(top, {})).map(({ name }) => name).sort()).toEqual(['one', 'taken', 'two'])
    await files.remove(top, { recursive: true })
  })

  it('a thousand files at once', async (bench) => {
    const top = `${bench.scratch}/a tree`
    const { files } = await bench.guest()
    const entries = Array.from({ length: 1000 }, (_, index): TreeEntry => {
      const data = Buffer.alloc(1 + index * 3, `${index} `)
      return { path: `${top}/${index % 10}/${index}`, type: 'file', size: data.length, data }
    })
    expect((await files.writeTree(null, entries, {})).entries).toBe(1000)
    const read = await contents(await files.readTree(top, { content: true }))
    expect(Object.keys(read)).toHaveLength(1010)
    for (const [index, entry] of entries.entries())
      expect(read[`${index % 10}/${index}`]?.text).toBe(String('data' in entry && entry.data))
    await files.remove(top, { recursive: true })
  })
}

function uploadTests(it: It): void {
  it('an upload goes on over a new connection', async (bench) => {
    const path = `${bench.scratch}/upload`
    const first = await bench.guest()
    const options = { resume: 'upload-1', size: large.length, mode: 0o600 }
    await first.files.write(path, Buffer.from('old'), {})
    expect(await first.files.received(path, options)).toBe(0)
    const half = await first.files.writePart(path, large.subarray(0, 150_000), { ...options, offset: 0 })
    expect(half).toMatchObject({ stat: null, offset: 150_000 })
    const stalled = first.files.writePart(path, stalling(large.subarray(150_000, 200_000)), {
      ...options,
      offset: 150_000,
    })
    stalled.catch(() => {})
    await delay(20)
    const second = await bench.reconnect(first)
    await expect(stalled).rejects.toMatchObject({ code: 'agent_lost' })
    const offset = await second.files.received(path, options)
    expect(offset).toBeGreaterThanOrEqual(150_000)
    const part = await second.files.read(path, options)
    expect((await bytesOf(part.data)).equals(large.subarray(0, offset))).toBe(true)
    expect(await textOf(second, path)).toBe('old')
    const done = await second.files.writePart(path, large.subarray(140_000), { ...options, offset: 140_000 })
    expect(done).toMatchObject({ stat: { size: large.length, mode: 0o600 }, offset: large.length })
    expect(await textOf(second, path)).toBe(String(large))
    expect(await second.files.received(path, options)).toBe(0)
    await second.files.remove(path, {})
  })

  it('an upload does not go on behind what was received', async (bench) => {
    const path = `${bench.scratch}/upload`
    const { files } = await bench.guest()
    const options = { resume: 'upload-2', size: 100 }
    await files.writePart(path, Buffer.alloc(10), { ...options, offset: 0 })
    await expect(files.writePart(path, Buffer.alloc(10), { ...options, offset: 11 })).rejects.toMatchObject({
      code: 'upload_offset',
      details: { offset: 10 },
    })
    await files.remove(path, options)
    expect(await files.received(path, options)).toBe(0)
    await expect(files.remove(path, options)).rejects.toMatchObject({ code: 'file_not_found' })
  })
}

async function watchTest(bench: FilesBench): Promise<void> {
  const top = `${bench.scratch}/watched`
  const { files } = await bench.guest()
  await files.mkdir(top, { parents: true })
  const leave = new AbortController()
  const events = await files.watch(top, { recursive: true }, leave.signal)
  const seen = new Set<string>()
  const expectSoon = until(events, seen)
  await files.write(`${top}/first`, Buffer.from('1'), {})
  await expectSoon('first')
  await files.mkdir(`${top}/new/inner`, { parents: true })
  await files.write(`${top}/new/inner/second`, Buffer.from('2'), {})
  await expectSoon('new/inner/second')
  await files.rename(`${top}/first`, `${top}/renamed`, {})
  await expectSoon('rename first renamed')
  await files.remove(`${top}/renamed`, {})
  await expectSoon('remove renamed')
  const ended = expectSoon('never')
  leave.abort()
  await expect(ended).rejects.toMatchObject({ code: 'aborted' })
  const last = await files.watch(top, {})
  await files.remove(top, { recursive: true })
  const told: string[] = []
  for await (const { type, path } of last) told.push(`${type} ${path}`)
  expect(told.at(-1)).toBe('remove ')
}

function portTests(it: It): void {
  it('a connection to a port carries bytes both ways and half-closes', async (bench) => {
    const guest = await bench.guest()
    await bench.listen(guest, 4711)
    const socket = await guest.dial(4711)
    const echoed = bytesOf(socket)
    for (let round = 0; round < 20; round++) if (!socket.write(large)) await once(socket, 'drain')
    socket.end()
    expect((await echoed).equals(Buffer.concat(Array.from({ length: 20 }, () => large)))).toBe(true)
    const dropped = await guest.dial(4711)
    dropped.destroy()
    expect((await guest.files.stat('/', {})).type).toBe('directory')
  })

  it('a port where nothing listens is port_closed', async (bench) => {
    const guest = await bench.guest()
    await expect(guest.dial(4712)).rejects.toMatchObject({ code: 'port_closed', details: { port: 4712 } })
  })
}

/** Waits for an event about a path, or for one that reads `type path` or `rename path target`. */
function until(events: AsyncIterable<GuestFileChange>, seen: Set<string>): (text: string) => Promise<void> {
  const iterator = events[Symbol.asyncIterator]()
  return async (text) => {
    while (!seen.has(text)) {
      const { value, done } = await iterator.next()
      if (done === true) throw new Error(`the watch ended before "${text}"`)
      for (const one of [value.path, value.target ?? value.path, `${value.type} ${value.path}`]) seen.add(one)
      seen.add(`${value.type} ${value.path} ${value.target}`)
    }
  }
}

async function contents(
  tree: Awaited<ReturnType<Guest['files']['readTree']>>,
): Promise<Record<string, { text: string | null; size: number; mode: number }>> {
  const all: Record<string, { text: string | null; size: number; mode: number }> = {}
  for await (const { path, data, ...stat } of tree.entries)
    all[path] = { ...stat, text: data === null ? null : String(await bytesOf(data)) }
  expect(tree.skipped).toBe(0)
  return all
}

async function textOf(guest: Guest, path: string): Promise<string> {
  return String(await bytesOf((await guest.files.read(path, {})).data))
}

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function* inPieces(data: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += 7001) yield data.subarray(at, at + 7001)
}

/** Gives its bytes and never ends. */
async function* stalling(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data
  await new Promise(() => {})
}
