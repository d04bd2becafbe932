import { crc32 } from 'node:zlib'
import { type Entry, fromRandomAccessReaderPromise, getFileNameLowLevel, type ZipFile } from 'yauzl'
import type { TreeEntry } from '../../../guest/guest.ts'
import type { ArchiveGuard } from './guard.ts'
import type { GuestFileReader } from './guest-file-reader.ts'
import { gathered } from './streams.ts'
import { count, enterable, permissions, time } from './tar-reader.ts'

const FORMAT = 0o170000
const MAX_LINK_BYTES = 4095
const STORED = 0
const DEFLATED = 8
const LOCAL_HEADER = 30
const UNIX = 3
const TYPES: ReadonlyMap<number, TreeEntry['type']> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
])

/** The entries of a zip archive, in the order of its directory, which is at its end. */
export async function* readZip(
  reader: GuestFileReader,
  size: number,
  guard: ArchiveGuard,
): AsyncGenerator<TreeEntry> {
  const zip = await fromRandomAccessReaderPromise(reader, size, { decodeStrings: false })
  // Entries that shared bytes would need more room than there is before the directory.
  let room = (zip as unknown as { readEntryCursor: number }).readEntryCursor
  for await (const entry of zip.eachEntry()) {
    const name = getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true)
    const path = guard.enter(name)
    if (/\\|^[A-Za-z]:/.test(name)) guard.refuse('its name has a backslash or a drive letter')
    if (entry.isEncrypted()) guard.refuse('it is encrypted')
    room -= LOCAL_HEADER + entry.fileNameLength + entry.compressedSize
    if (room < 0) guard.refuse('it overlaps other entries')
    guard.expanded(entry.uncompressedSize, size)
    if (path === null) continue
    const made = await toEntry(zip, entry, path, name.endsWith('/'), guard)
    yield made
    count(guard, made)
  }
}

async function toEntry(
  zip: ZipFile,
  entry: Entry,
  path: string,
  slash: boolean,
  guard: ArchiveGuard,
): Promise<TreeEntry> {
  const { compressionMethod: method, uncompressedSize: size, versionMadeBy } = entry
  const mode = versionMadeBy >> 8 === UNIX ? entry.externalFileAttributes >>> 16 : 0
  const format = mode & FORMAT
  const type = slash ? 'directory' : format === 0 ? 'file' : TYPES.get(format)
  if (type === undefined) guard.refuse('its type is unknown, or a device, a pipe or a socket')
  const common = { path, ...time(entry.getLastModDate()), ...(mode !== 0 && permissions(mode)) }
  if (type === 'directory') return enterable({ ...common, type })
  if (method !== STORED && method !== DEFLATED) guard.refuse(`its compression method is ${method}`)
  const data = contents(zip, entry, guard)
  if (type === 'file') return { ...common, type, size, data }
  if (size === 0 || size > MAX_LINK_BYTES) guard.refuse('it is a link without a proper target')
  const link = (await gathered(data)).toString()
  if (link.includes('\0')) guard.refuse('it is a link without a proper target')
  return { path, type, link }
}

/** The last piece is held back until the checksum is known, so that a damaged file is never completed. */
async function* contents(zip: ZipFile, entry: Entry, guard: ArchiveGuard): AsyncGenerator<Uint8Array> {
  const stream = await zip.openReadStreamPromise(entry)
  let sum = 0
  let held: Uint8Array | null = null
  for await (const piece of stream) {
    if (held !== null) yield held
    held = piece as Uint8Array
    sum = crc32(held, sum)
  }
  if (sum !== entry.crc32) guard.refuse('its checksum is wrong')
  if (held !== null) yield held
}
