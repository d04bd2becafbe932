import { type Header, type Pack, pack } from 'tar-stream'
import { drained } from '../../../drained.ts'
import type { ArchiveEntry } from './pack.ts'
import type { Sink } from './streams.ts'

/** What the header's field holds, in seconds. */
const MAX_TIME_S = 0x7fff_ffff

/** A tar archive, as fast as it is read. */
export async function* writeTar(entries: AsyncIterable<ArchiveEntry>): AsyncGenerator<Uint8Array> {
  const archive = pack()
  void fill(archive, entries)
  try {
    yield* archive as AsyncIterable<Uint8Array>
  } finally {
    archive.destroy()
  }
}

/** Never rejects: a failure becomes the archive's. */
async function fill(archive: Pack, entries: AsyncIterable<ArchiveEntry>): Promise<void> {
  try {
    for await (const entry of entries) {
      if (archive.destroyed) return
      await add(archive, entry)
    }
    archive.finalize()
  } catch (error) {
    archive.destroy(error as Error)
  }
}

async function add(archive: Pack, entry: ArchiveEntry): Promise<void> {
  const written = Promise.withResolvers<void>()
  // It may fail while contents are awaited.
  written.promise.catch(() => {})
  const done = (error?: Error | null) => (error ? written.reject(error) : written.resolve())
  const sink = archive.entry(toHeader(entry), done) as unknown as Sink
  if (entry.type === 'file') {
    for await (const piece of entry.data ?? []) {
      if (archive.destroyed) break
      if (!sink.write(piece)) await drained(sink)
    }
    sink.end()
  }
  await written.promise
}

function toHeader({
  path,
  type,
  size,
  mode,
  uid,
  gid,
  mtimeMs,
  link,
}: ArchiveEntry): Pick<Header, 'name'> & Partial<Header> {
  const seconds = Math.min(Math.max(0, mtimeMs / 1000), MAX_TIME_S)
  const common = { mode, uid, gid, mtime: new Date(Math.floor(seconds) * 1000) }
  if (type === 'directory') return { ...common, name: `${path}/`, type: 'directory' }
  if (type === 'symlink') return { ...common, name: path, type: 'symlink', linkname: link ?? '' }
  return { ...common, name: path, type: 'file', size }
}
