import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Chunk, OutputLogs, type OutputOptions, type OutputStream } from './output-log.ts'

let dir: string
let logs: OutputLogs
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'caisson-output-'))
  logs = new OutputLogs(dir)
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(dir, { recursive: true })
})

/** The same numbers in every run, so that a failure comes again. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return Math.floor((state / 0x8000_0000) * below)
  }
}

/** An output whose every byte and stream can be told from its offset. */
const SIZE = 1_000_000
const source = Buffer.from(Array.from({ length: SIZE }, (_, i) => (i * 31 + (i >> 8)) & 0xff))
const streamAt = (offset: number): OutputStream => ((offset >> 10) % 3 === 0 ? 'stderr' : 'stdout')

function* pieces(from: number, random: (below: number) => number) {
  for (let at = from; at < SIZE; ) {
    const stream = streamAt(at)
    let end = at + 1
    const most = at + 1 + random(5000)
    while (end < SIZE && end < most && streamAt(end) === stream) end++
    yield { offset: at, stream, data: source.subarray(at, end) }
    at = end
  }
}

async function write(id: string, options: OutputOptions, random: (below: number) => number) {
  const writer = await logs.writer(id, options)
  for (const { offset, stream, data } of pieces(writer.total, random))
    await writer.append(offset, stream, data)
  writer.end()
  return writer
}

/** Checks every chunk. @returns the ranges that came, joined. */
async function check(chunks: AsyncIterable<Chunk>, streams = true): Promise<[number, number][]> {
  const ranges: [number, number][] = []
  for await (const { offset, stream, data } of chunks) {
    const end = offset + data.length
    if (!source.subarray(offset, end).equals(data)) throw new Error(`other bytes at ${offset}`)
    for (let at = offset; streams && at < end; at++)
      if (streamAt(at) !== stream) throw new Error(`byte ${at} is not of ${stream}`)
    const last = ranges.at(-1)
    if (last?.[1] === offset) last[1] = end
    else ranges.push([offset, end])
  }
  return ranges
}

function bytesOnDisk(folder = dir): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0)
}

const LIMITS = [1, 7, 4096, 100_000, 300_000, 800_000, 2_000_000]

describe.each(['head', 'tail'] as const)('keeping the %s', (keep) => {
  test.each(LIMITS)('of %i bytes, every offset reads what was written', async (limit) => {
    const random = numbers(limit)
    const writer = await write('exe_1', { limit, keep }, random)
    const { start, end } = logs.bounds('exe_1')
    expect(writer).toMatchObject({ total: SIZE, start, kept: end, truncated: end - start < SIZE })
    expect(end - start).toBeLessThanOrEqual(limit)
    if (limit > SIZE) expect(end - start).toBe(SIZE)
    else if (limit <= 100_000) expect(end - start).toBe(limit)
    else expect(end - start).toBeGreaterThan(limit * 0.7)
    expect(keep === 'head' ? start : end).toBe(keep === 'head' ? 0 : SIZE)
    // The first block of each of at most five indexes is free.
    const room = keep === 'head' ? limit : Math.max(limit, 256 * 1024)
    expect(bytesOnDisk()).toBeLessThanOrEqual(room + 5 * 4096)
    for (let i = 0; i < 20; i++) {
      const offset = random(SIZE)
      const from = Math.max(start, offset)
      expect(await check(logs.read('exe_1', offset))).toEqual(from < end ? [[from, end]] : [])
      expect(await check(writer.follow(offset))).toEqual(from < end ? [[from, end]] : [])
    }
  })

  test('a log that was cut anywhere by a crash goes on rightly', async () => {
    const random = numbers(9)
    for (let round = 0; round < 40; round++) {
      const id = `exe_${round}`
      const limit = 400_000
      const first = await logs.writer(id, { limit, keep })
      const until = random(SIZE)
      for (const { offset, stream, data } of pieces(0, random)) {
        if (offset >= until) break
        await first.append(offset, stream, data)
      }
      // A killed server closes nothing; here its descriptors are closed for it.
      first.end()
      const before = logs.bounds(id)
      const cut = cutSomewhere(id, random)
      const writer = await write(id, { limit, keep }, random)
      const ranges = await check(logs.read(id, 0), cut !== 'index')
      const { start, end } = logs.bounds(id)
      expect(ranges.at(0)?.[0] ?? 0).toBe(start)
      expect(ranges.at(-1)?.[1] ?? 0).toBe(end)
      expect(ranges.length).toBeLessThanOrEqual(cut === 'data' && keep === 'tail' ? 2 : 1)
      if (cut === null) expect(start).toBeGreaterThanOrEqual(before.start)
      expect(writer.total).toBe(SIZE)
      expect(end).toBe(keep === 'tail' ? SIZE : Math.max(end, Math.min(before.end, end)))
    }
  }, 60_000)

  test('writes in the thread pool keep their order', async () => {
    let now = performance.now()
    // Every write seems to be slow.
    vi.spyOn(performance, 'now').mockImplementation(() => (now += 10))
    const writer = await logs.writer('exe_1', { limit: 2 * SIZE, keep })
    const followed = check(writer.follow(0))
    const writes = [...pieces(0, numbers(1))].map(({ offset, stream, data }) =>
      writer.append(offset, stream, data),
    )
    expect(writes.some((one) => one instanceof Promise)).toBe(true)
    writer.end()
    expect(await followed).toEqual([[0, SIZE]])
    expect(await check(logs.read('exe_1', 0))).toEqual([[0, SIZE]])
  })
})

/** Cuts one of a log's files at any byte. @returns which kind. */
function cutSomewhere(id: string, random: (below: number) => number): 'data' | 'index' | null {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name))
    .filter((path) => path.startsWith(join(dir, `${id}.`)))
  const path = files[random(files.length)]
  if (path === undefined || random(4) === 0) return null
  truncateSync(path, random(statSync(path).size + 1))
  return path.endsWith('.out') ? 'data' : 'index'
}
