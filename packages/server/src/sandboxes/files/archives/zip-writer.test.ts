import { crc32 } from 'node:zlib'
import { expect, test } from 'vitest'
import { fromBufferPromise } from 'yauzl'
import type { ArchiveEntry } from './pack.ts'
import { gathered } from './streams.ts'
import { centralRecord, endOfArchive, localHeader, METHOD, type ZipEntry } from './zip-format.ts'
import { writeZip } from './zip-writer.ts'

const COMMON = { mode: 0o640, uid: 1000, gid: 1000, mtimeMs: 1_700_000_000_000, link: null }

async function* bytes(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 10_000) yield content.subarray(at, at + 10_000)
}

function file(path: string, content: Buffer): ArchiveEntry {
  return { ...COMMON, path, type: 'file', size: content.length, data: bytes(content) }
}

async function zipOf(entries: ArchiveEntry[]): Promise<Buffer> {
  async function* source() {
    yield* entries
  }
  return gathered(writeZip(source(), { count: 0 }))
}

test('small, large, compressible or not: contents, modes and times come back', async () => {
  const noise = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * 2_654_435_761) >>> 13))
  const contents: Record<string, Buffer> = {
    empty: Buffer.alloc(0),
    tiny: Buffer.from('x'),
    'zeros small': Buffer.alloc(16_384),
    'zeros large': Buffer.alloc(16_385),
    noise,
    'ü\n😀': Buffer.from('unicode'),
  }
  const zip = await zipOf(Object.entries(contents).map(([path, content]) => file(path, content)))
  const seen: string[] = []
  const opened = await fromBufferPromise(zip)
  for await (const entry of opened.eachEntry()) {
    const content = await gathered(await opened.openReadStreamPromise(entry))
    seen.push(entry.fileName)
    expect(content.equals(contents[entry.fileName] as Buffer)).toBe(true)
    expect([entry.crc32, entry.externalFileAttributes >>> 16, entry.getLastModDate().getTime()]).toEqual([
      crc32(content),
      0o100640,
      COMMON.mtimeMs,
    ])
  }
  expect(seen).toEqual(Object.keys(contents))
})

test('impossible times do no harm', async () => {
  for (const mtimeMs of [-1e15, 0, 1e15, Number.MAX_SAFE_INTEGER]) {
    const zip = await zipOf([{ ...file('f', Buffer.from('x')), mtimeMs }])
    const opened = await fromBufferPromise(zip)
    for await (const entry of opened.eachEntry()) expect(entry.getLastModDate().getTime()).not.toBeNaN()
  }
})

test('more than 65 535 entries', async () => {
  const zip = await zipOf(Array.from({ length: 65_536 }, (_, i) => file(`${i}`, Buffer.alloc(0))))
  expect((await fromBufferPromise(zip)).entryCount).toBe(65_536)
})

test('numbers beyond 32 bits', async () => {
  const entry: ZipEntry = {
    name: Buffer.from('huge'),
    type: 'file',
    mode: 0o644,
    mtimeMs: 0,
    method: METHOD.deflated,
    later: true,
    large: true,
    offset: 5e9,
    crc: 1,
    compressed: 6e9,
    size: 7e9,
  }
  const record = centralRecord(entry)
  const zip = Buffer.concat([record, endOfArchive(1, 0, record.length)])
  const opened = await fromBufferPromise(zip)
  for await (const found of opened.eachEntry())
    expect([found.uncompressedSize, found.compressedSize, found.relativeOffsetOfLocalHeader]).toEqual([
      7e9, 6e9, 5e9,
    ])
  expect(localHeader(entry).readUInt32LE(22)).toBe(0xffff_ffff)
})
