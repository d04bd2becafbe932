import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Chunk, OutputLogs } from './output-log.ts'

let dir: string
let logs: OutputLogs
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'caisson-output-'))
  logs = new OutputLogs(dir)
})
afterEach(() => rmSync(dir, { recursive: true }))

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
  const writer = await logs.writer('exe_1', 1e6)
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

test('followers at different speeds all get every byte once', async () => {
  const writer = await logs.writer('exe_1', 1e9)
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
  const first = await logs.writer('exe_1', 1e6)
  await first.append(0, 'stdout', bytes('kept '))
  const second = await logs.writer('exe_1', 1e6)
  expect(second.total).toBe(5)
  await second.append(0, 'stdout', bytes('kept and '))
  await second.append(9, 'stderr', bytes('new'))
  second.end()
  first.end()
  expect(await collect(logs.read('exe_1', 0))).toEqual({ all: 'kept and new', stderr: 'new' })
})

test('output beyond the limit is counted, dropped and told', async () => {
  const writer = await logs.writer('exe_1', 108)
  await writer.append(0, 'stdout', Buffer.alloc(90, 'x'))
  await writer.append(90, 'stdout', Buffer.alloc(90, 'y'))
  await writer.append(180, 'stdout', bytes('z'))
  writer.end()
  expect(writer).toMatchObject({ total: 181, kept: 100, truncated: true })
  expect((await collect(logs.read('exe_1', 0))).all).toBe('x'.repeat(90) + 'y'.repeat(10))
})

test('a hole that an earlier server left by dropping is never filled with later bytes', async () => {
  const writer = await logs.writer('exe_1', 1e6)
  await writer.append(0, 'stdout', bytes('abc'))
  await writer.append(10, 'stdout', bytes('later'))
  writer.end()
  expect(writer).toMatchObject({ total: 15, kept: 3, truncated: true })
})

test('following ends when the signal aborts', async () => {
  const writer = await logs.writer('exe_1', 1e6)
  await writer.append(0, 'stdout', bytes('x'))
  const abort = new AbortController()
  const following = collect(writer.follow(0, abort.signal))
  setImmediate(() => abort.abort())
  await expect(following).rejects.toThrow('aborted')
  writer.end()
})

test('an execution without output leaves no file, and removing is idempotent', async () => {
  const writer = await logs.writer('exe_1', 1e6)
  writer.end()
  expect(readdirSync(dir)).toEqual([])
  expect((await collect(logs.read('exe_1', 0))).all).toBe('')
  const other = await logs.writer('exe_2', 1e6)
  await other.append(0, 'stdout', bytes('x'))
  other.end()
  await logs.remove('exe_2')
  await logs.remove('exe_2')
  expect(readdirSync(dir)).toEqual([])
})
