import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Chunk, OutputLogs } from './output-log.ts'

let dir: string
let logs: OutputLogs
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'caisson-output-'))
  logs = new OutputLogs(dir)
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(dir, { recursive: true })
})

const bytes = (text: string) => Buffer.from(text)

async function collect(chunks: AsyncIterable<Chunk>): Promise<{ all: string; stderr: string }> {
  let all = ''
  let stderr = ''
  for await (const chunk of chunks) {
    const text = Buffer.from(chunk.data).toString()
    all += text
    if (chunk.stream === 'stderr') stderr += text
  }
  return { all, stderr }
}

test('output is read again from any offset, with its streams', async () => {
  const writer = await logs.writer('exe_1', { limit: 1e6, keep: 'head' })
  await writer.append(0, 'stdout', bytes('one '))
  await writer.append(4, 'stderr', bytes('two '))
  await writer.append(8, 'stdout', bytes('three'))
  writer.end()
  for (let offset = 0; offset <= 13; offset++) {
    const { all } = await collect(logs.read('exe_1', offset))
    expect(all).toBe('one two three'.slice(offset))
  }
  expect((await collect(logs.read('exe_1', 0))).stderr).toBe('two ')
  expect((await collect(logs.read('exe_1', 6))).stderr).toBe('o ')
})

test('logs of both kinds are listed, each once, until they are removed', async () => {
  expect(await logs.list()).toEqual([])
  for (const keep of ['head', 'tail'] as const) {
    const writer = await logs.writer(`exe_${keep}`, { limit: 1e6, keep })
    await writer.append(0, 'stdout', bytes('x'))
    writer.end()
  }
  expect((await logs.list()).toSorted()).toEqual(['exe_head', 'exe_tail'])
  await logs.remove('exe_tail')
  expect(await logs.list()).toEqual(['exe_head'])
})

test('followers at different speeds all get every byte once', async () => {
  const writer = await logs.writer('exe_1', { limit: 1e9, keep: 'head' })
  const source = Buffer.alloc(3_000_000, 'abcdefghij')
  const slow = collect(pausing(writer.follow(0)))
  const fast = collect(writer.follow(0))
  for (let at = 0; at < source.length; at += 50_000)
    await writer.append(at, 'stdout', source.subarray(at, at + 50_000))
  const late = collect(writer.follow(1_234_567))
  writer.end()
  expect((await fast).all === source.toString()).toBe(true)
  expect((await slow).all === source.toString()).toBe(true)
  expect((await late).all === source.subarray(1_234_567).toString()).toBe(true)
})

async function* pausing(chunks: AsyncIterable<Chunk>): AsyncGenerator<Chunk> {
  for await (const chunk of chunks) {
    await new Promise(setImmediate)
    yield chunk
  }
}

test('a writer that takes over skips what was kept and goes on', async () => {
  const first = await logs.writer('exe_1', { limit: 1e6, keep: 'head' })
  await first.append(0, 'stdout', bytes('kept '))
  const second = await logs.writer('exe_1', { limit: 1e6, keep: 'head' })
  expect(second.total).toBe(5)
  await second.append(0, 'stdout', bytes('kept and '))
  await second.append(9, 'stderr', bytes('new'))
  second.end()
  first.end()
  expect(await collect(logs.read('exe_1', 0))).toEqual({ all: 'kept and new', stderr: 'new' })
})

test('output beyond the limit is counted, dropped and told', async () => {
  const writer = await logs.writer('exe_1', { limit: 100, keep: 'head' })
  await writer.append(0, 'stdout', Buffer.alloc(90, 'x'))
  await writer.append(90, 'stdout', Buffer.alloc(90, 'y'))
  await writer.append(180, 'stdout', bytes('z'))
  writer.end()
  expect(writer).toMatchObject({ total: 181, kept: 100, truncated: true })
  expect((await collect(logs.read('exe_1', 0))).all).toBe('x'.repeat(90) + 'y'.repeat(10))
})

test('a hole that an earlier server left by dropping is never filled with later bytes', async () => {
  const writer = await logs.writer('exe_1', { limit: 1e6, keep: 'head' })
  await writer.append(0, 'stdout', bytes('abc'))
  await writer.append(10, 'stdout', bytes('later'))
  writer.end()
  expect(writer).toMatchObject({ total: 15, kept: 3, truncated: true })
})

test('following ends when the signal aborts', async () => {
  const writer = await logs.writer('exe_1', { limit: 1e6, keep: 'head' })
  await writer.append(0, 'stdout', bytes('x'))
  const abort = new AbortController()
  const following = collect(writer.follow(0, abort.signal))
  setImmediate(() => abort.abort())
  await expect(following).rejects.toThrow('aborted')
  writer.end()
})

test('an execution without output leaves no file, and removing is idempotent', async () => {
  const writer = await logs.writer('exe_1', { limit: 1e6, keep: 'head' })
  writer.end()
  expect(readdirSync(dir)).toEqual([])
  expect((await collect(logs.read('exe_1', 0))).all).toBe('')
  const other = await logs.writer('exe_2', { limit: 1e6, keep: 'head' })
  await other.append(0, 'stdout', bytes('x'))
  other.end()
  await logs.remove('exe_2')
  await logs.remove('exe_2')
  expect(readdirSync(dir)).toEqual([])
})

const SEGMENT = 64 * 1024
const tail = { limit: 4 * SEGMENT, keep: 'tail' } as const

test('a reader that is behind goes on with what is kept, and the offset of its chunk shows the gap', async () => {
  const writer = await logs.writer('exe_1', tail)
  const follower = writer.follow(0)
  await writer.append(0, 'stdout', Buffer.alloc(SEGMENT, 'a'))
  expect((await follower.next()).value).toMatchObject({ offset: 0 })
  for (let at = SEGMENT; at < 20 * SEGMENT; at += SEGMENT)
    await writer.append(at, 'stdout', Buffer.alloc(SEGMENT, 'b'))
  expect(writer).toMatchObject({
    total: 20 * SEGMENT,
    kept: 20 * SEGMENT,
    start: 16 * SEGMENT,
    truncated: true,
  })
  expect((await follower.next()).value).toMatchObject({ offset: writer.start })
  writer.end()
  expect((await collect(follower)).all).toBe('b'.repeat(3 * SEGMENT))
  expect(logs.bounds('exe_1')).toEqual({ start: 16 * SEGMENT, end: 20 * SEGMENT })
  const again = await logs.writer('exe_1', tail)
  expect(again).toMatchObject({ total: 20 * SEGMENT, start: 16 * SEGMENT, truncated: true })
})

test('a follower loses nothing while it is not more than the limit behind', async () => {
  const writer = await logs.writer('exe_1', tail)
  const follower = writer.follow(0)
  let read = 0
  for (let at = 0; at < 5_000_000; at += 5000) {
    const behind = at - read
    if (behind + 5000 > tail.limit) {
      const { offset, data } = (await follower.next()).value as Chunk
      expect(offset).toBe(read)
      read += data.length
      at -= 5000
      continue
    }
    await writer.append(at, 'stdout', Buffer.alloc(5000, 'x'))
  }
  writer.end()
  await follower.return(undefined)
})

test('a hole in what came begins a new part of the end that is kept', async () => {
  const writer = await logs.writer('exe_1', tail)
  await writer.append(0, 'stdout', bytes('before'))
  await writer.append(100, 'stderr', bytes('after'))
  writer.end()
  expect(writer).toMatchObject({ start: 0, kept: 105, truncated: true })
  const offsets: number[] = []
  for await (const { offset } of logs.read('exe_1', 3)) offsets.push(offset)
  expect(offsets).toEqual([3, 100])
})

test('a limit of nothing keeps nothing', async () => {
  for (const keep of ['head', 'tail'] as const) {
    const writer = await logs.writer(`exe_${keep}`, { limit: 0, keep })
    await writer.append(0, 'stdout', bytes('gone'))
    writer.end()
    expect(writer).toMatchObject({ total: 4, truncated: true })
    expect(writer.kept - writer.start).toBe(0)
    expect((await collect(logs.read(`exe_${keep}`, 0))).all).toBe('')
    expect((await collect(writer.follow(0))).all).toBe('')
  }
})

test('chunks tell when they came, to ten milliseconds, also after a restart', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const began = 1_800_000_000_000
  const came: [number, string][] = [
    [0, 'a'],
    [9, 'b'],
    [10, 'c'],
    [5, 'set back'],
    [1000, 'd'],
  ]
  let at = 0
  for (const [after, text] of came) {
    vi.setSystemTime(began + after)
    const writer = await logs.writer('exe_1', { limit: 1000, keep: 'head' })
    await writer.append(at, 'stdout', bytes(text))
    writer.end()
    at += text.length
  }
  const told: [number, string][] = []
  for await (const { time, data } of logs.read('exe_1', 0)) told.push([time - began, String(data)])
  expect(told).toEqual([
    [0, 'ab'],
    [10, 'c'],
    [5, 'set back'],
    [1000, 'd'],
  ])
})

test('a hundred thousand changes of the stream take no memory, and their index counts', async () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage: () => void = runInNewContext('gc')
  const held = () => {
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  for (const keep of ['head', 'tail'] as const) {
    const limit = 500_000
    const writer = await logs.writer(`exe_${keep}`, { limit, keep })
    const data = bytes('ab')
    const alternate = async (from: number, to: number) => {
      for (let i = from; i < to; i++) await writer.append(i * 2, i % 2 === 0 ? 'stdout' : 'stderr', data)
    }
    await alternate(0, 1000)
    const before = held()
    await alternate(1000, 100_000)
    expect(held() - before).toBeLessThan(500_000)
    writer.end()
    // 18 bytes for every two.
    expect(writer.kept - writer.start).toBeLessThan((limit * 2) / 18 + 10_000)
    const { all, stderr } = await collect(logs.read(`exe_${keep}`, 0))
    expect(all.length).toBe(writer.kept - writer.start)
    expect(stderr.length).toBeOneOf([all.length / 2, all.length / 2 - 1])
  }
}, 30_000)

test('a disk that refuses is told as truncated output, and what comes later is kept of an end', async () => {
  const head = await logs.writer('exe_1', { limit: 1000, keep: 'head' })
  mkdirSync(join(dir, 'exe_1.out'))
  await head.append(0, 'stdout', bytes('lost'))
  await head.append(4, 'stdout', bytes('also'))
  head.end()
  expect(head).toMatchObject({ total: 8, kept: 0, truncated: true })
  const end = await logs.writer('exe_2', tail)
  writeFileSync(join(dir, 'exe_2.tail'), '')
  await end.append(0, 'stdout', bytes('lost'))
  rmSync(join(dir, 'exe_2.tail'))
  await end.append(4, 'stdout', bytes('kept'))
  end.end()
  expect(end).toMatchObject({ total: 8, kept: 8, start: 4, truncated: true })
  expect((await collect(logs.read('exe_2', 0))).all).toBe('kept')
})

test('holes without end leave no files without end', async () => {
  const writer = await logs.writer('exe_1', tail)
  for (let at = 0; at < 1000; at += 10) await writer.append(at, 'stdout', bytes('x'))
  writer.end()
  expect(readdirSync(join(dir, 'exe_1.tail')).length).toBeLessThanOrEqual(16)
})

test('an end that is smaller than its files shows no more than its limit', async () => {
  const writer = await logs.writer('exe_1', { limit: 10, keep: 'tail' })
  await writer.append(0, 'stdout', bytes('0123456789'))
  expect(writer).toMatchObject({ start: 0, truncated: false })
  await writer.append(10, 'stdout', bytes('abc'))
  expect(writer).toMatchObject({ start: 3, kept: 13, truncated: true })
  expect((await writer.follow(0).next()).value).toMatchObject({ offset: 3 })
  writer.end()
  expect(logs.bounds('exe_1')).toEqual({ start: 3, end: 13 })
  expect((await collect(logs.read('exe_1', 0))).all).toBe('3456789abc')
})

test('all segments of a removed log are gone', async () => {
  const writer = await logs.writer('exe_1', tail)
  for (let at = 0; at < 9 * SEGMENT; at += SEGMENT) await writer.append(at, 'stdout', Buffer.alloc(SEGMENT))
  writer.end()
  expect(readdirSync(join(dir, 'exe_1.tail'))).toHaveLength(8)
  await logs.remove('exe_1')
  expect(readdirSync(dir)).toEqual([])
})
