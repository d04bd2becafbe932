import { crc32, createDeflateRaw, deflateRawSync } from 'node:zlib'
import { SandboxError } from '@caisson/protocol/errors'
import type { ArchiveEntry, LeftOut } from './pack.ts'
import { gathered, through } from './streams.ts'
import {
  centralRecord,
  dataDescriptor,
  endOfArchive,
  localHeader,
  METHOD,
  type ZipEntry,
} from './zip-format.ts'

/** Bytes of the directory that are held at most. */
const MAX_DIRECTORY = 128 * 2 ** 20
/** From this size on a file is written with 64-bit sizes: less, because what does not compress grows a little. */
const LARGE = 0xf000_0000
/** Up to this size a file is compressed at once, so that what it came to is known before it. */
const SMALL = 16 * 1024

/**
 * A zip archive, as fast as it is read. Its directory comes last, so about a hundred bytes an entry are held until
 * then. Names with a backslash are left out: half of the world takes that for a slash.
 */
export async function* writeZip(
  entries: AsyncIterable<ArchiveEntry>,
  leftOut: LeftOut,
): AsyncGenerator<Uint8Array> {
  const directory: Buffer[] = []
  let size = 0
  let offset = 0
  for await (const entry of entries) {
    if (entry.path.includes('\\')) {
      leftOut.count++
      for await (const _ of entry.data ?? []);
      continue
    }
    const record = toRecord(entry, offset)
    for await (const piece of written(record, entry)) {
      offset += piece.length
      yield piece
    }
    directory.push(centralRecord(record))
    size += directory.at(-1)?.length ?? 0
    if (size > MAX_DIRECTORY) {
      const reason = 'it has too many names for a zip archive; take tar.gz'
      throw new SandboxError('file_failed', { path: entry.path, reason })
    }
  }
  yield* directory
  yield endOfArchive(directory.length, offset, size)
}

function toRecord(entry: ArchiveEntry, offset: number): ZipEntry {
  const { type, mode, mtimeMs, size } = entry
  const name = Buffer.from(type === 'directory' ? `${entry.path}/` : entry.path)
  const later = type === 'file' && size > SMALL
  const large = later && size >= LARGE
  const method = later ? METHOD.deflated : METHOD.stored
  return { name, type, mode, mtimeMs, method, later, large, offset, crc: 0, compressed: 0, size: 0 }
}

/** An entry's header and contents; the record learns what they came to. */
async function* written(record: ZipEntry, entry: ArchiveEntry): AsyncGenerator<Uint8Array> {
  const data = entry.data ?? empty()
  if (!record.later) {
    yield small(record, entry.type === 'symlink' ? Buffer.from(entry.link ?? '') : await gathered(data))
    return
  }
  yield localHeader(record)
  for await (const piece of through(summed(data, record), createDeflateRaw())) {
    record.compressed += piece.length
    yield piece
  }
  yield dataDescriptor(record)
}

/** A stream for each of many small files would cost more than all their bytes. */
function small(record: ZipEntry, content: Buffer): Buffer {
  const packed = record.type === 'file' ? deflateRawSync(content) : content
  const isSmaller = packed.length < content.length
  if (isSmaller) record.method = METHOD.deflated
  const body = isSmaller ? packed : content
  record.crc = crc32(content)
  record.size = content.length
  record.compressed = body.length
  return Buffer.concat([localHeader(record), body])
}

async function* summed(data: AsyncIterable<Uint8Array>, record: ZipEntry): AsyncGenerator<Uint8Array> {
  for await (const piece of data) {
    record.crc = crc32(piece, record.crc)
    record.size += piece.length
    yield piece
  }
}

async function* empty(): AsyncGenerator<Uint8Array> {}
