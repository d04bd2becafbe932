import { createHash } from 'node:crypto'
import { extract, type Header } from 'tar-stream'
import type { TreeEntry } from '../../../guest/guest.ts'
import type { ArchiveGuard } from './guard.ts'
import { feed, type Sink } from './streams.ts'

/** A second name of a file that came earlier in the same archive. */
export interface HardLink {
  path: string
  target: string
}

/** The contents of an entry as they are read. */
type TarSource = AsyncIterable<Uint8Array> & { header: Header }

/** Attributes that an honest archive gives one entry at most. */
const MAX_ATTRIBUTES = 1000
/** Of the names of hard links, which are kept until the end. */
const MAX_LINK_BYTES = 64 * 2 ** 20
/** Times that fit nanoseconds in 63 bits. */
const MAX_TIME_MS = 9e12

/** The entries of a tar archive. Its hard links are left to the caller, because what they name must be written first. */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  guard: ArchiveGuard,
  hardLinks: HardLink[],
): AsyncGenerator<TreeEntry> {
  const parser = extract({ allowUnknownFormat: true } as object)
  // Short digests of their paths, because a million long names would be gigabytes.
  const files = new Set<number>()
  let linkBytes = 0
  void feed(source, parser as unknown as Sink)
  try {
    for await (const entry of parser) {
      const { header } = entry
      const path = guard.enter(header.name)
      refuseStrange(header, guard)
      if (path !== null && header.type === 'link') {
        const target = guard.path(header.linkname ?? '')
        if (target === null || !files.has(digest(target)))
          guard.refuse('it is a hard link to no file before it')
        linkBytes += path.length + target.length
        if (linkBytes > MAX_LINK_BYTES) guard.refuse('it has too many hard links')
        hardLinks.push({ path, target })
      } else if (path !== null) {
        const made = toEntry(path, entry as unknown as TarSource, guard)
        if (made.type === 'file') files.add(digest(path))
        else files.delete(digest(path))
        yield made
        count(guard, made)
      }
      entry.resume()
    }
  } finally {
    parser.destroy()
  }
}

function toEntry(
  path: string,
  entry: AsyncIterable<Uint8Array> & { header: Header },
  guard: ArchiveGuard,
): TreeEntry {
  const { header } = entry
  const common = { path, ...permissions(header.mode), ...time(header.mtime) }
  if (header.type === 'directory') return enterable({ ...common, type: 'directory' })
  if (header.type !== 'symlink') return { ...common, type: 'file', size: header.size ?? 0, data: entry }
  const link = header.linkname ?? ''
  if (link === '' || link.includes('\0') || Buffer.byteLength(link) > 4095)
    guard.refuse('it is a link without a proper target')
  return { path, type: 'symlink', link }
}

/** What is no plain file, directory or link, or pretends to be something else. */
function refuseStrange(header: Header, guard: ArchiveGuard): void {
  const attributes = Object.keys(header.pax ?? {})
  if (attributes.length > MAX_ATTRIBUTES) guard.refuse('it has too many attributes')
  if (attributes.some((name) => name.startsWith('GNU.sparse.'))) guard.refuse('sparse files are not taken')
  const known = ['file', 'contiguous-file', 'directory', 'symlink', 'link']
  if (!known.includes(header.type ?? '')) guard.refuse(`its type is ${header.type ?? 'unknown'}`)
  if (!Number.isSafeInteger(header.size ?? 0)) guard.refuse('its size is no number')
}

/** 48 bits: who makes two of them alike gains a copy of a file that he may read anyway. */
function digest(path: string): number {
  return createHash('sha256').update(path).digest().readUIntBE(0, 6)
}

export function count(guard: ArchiveGuard, entry: TreeEntry): void {
  if (entry.type === 'directory') guard.directories++
  else if (entry.type === 'symlink') guard.links++
  else {
    guard.files++
    guard.bytes += entry.size
  }
}

/** Never more than read, write and execute, and the sticky bit. */
export function permissions(mode: number | undefined): { mode?: number } {
  return mode === undefined || !Number.isInteger(mode) ? {} : { mode: mode & 0o1777 }
}

/** What is in a directory comes after it, so its owner must be able to enter and write, whatever the archive says. */
export function enterable(directory: TreeEntry): TreeEntry {
  return directory.mode === undefined ? directory : { ...directory, mode: directory.mode | 0o700 }
}

export function time(date: Date | undefined): { mtimeMs?: number } {
  const ms = date?.getTime() ?? Number.NaN
  return ms >= 0 && ms < MAX_TIME_MS ? { mtimeMs: ms } : {}
}
