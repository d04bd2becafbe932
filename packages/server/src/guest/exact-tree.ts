import { type FieldBuilder, type Fields, FrameError, fields } from '@caisson/protocol/frame-codec'
import { Field, LIMITS } from '@caisson/protocol/frames'
import { readStat } from './stat.ts'
import { checkText } from './tree-write.ts'

/**
 * An entry with everything that is kept of it. Paths, links and the names and values of attributes are byte strings,
 * a character for each byte (`latin1`): file names need not be UTF-8.
 */
export type ExactEntry = ExactMeta &
  (
    | { type: 'file'; size: number; data: AsyncIterable<Uint8Array> | Uint8Array }
    | { type: 'directory' | 'fifo' }
    | { type: 'symlink'; link: string }
    /** A second name of `target`, a path like its own. */
    | { type: 'hardlink'; target: string }
  )

export interface ExactMeta {
  path: string
  /** All bits, 0–0o7777. */
  mode: number
  uid: number
  gid: number
  /** Nanoseconds since the epoch. */
  mtimeNs: bigint
  xattrs: ReadonlyMap<string, string>
}

export interface ExactRead extends ExactMeta {
  type: 'file' | 'directory' | 'symlink' | 'fifo'
  size: number
  link: string | null
  /** The same for all names of one file; null: it has but one. */
  fileId: string | null
  data: AsyncIterable<Uint8Array> | null
}

export interface ExactReading {
  /** `data` must be read to its end, or the iteration left, before the next entry is asked for; it may be left out. */
  entries: AsyncIterable<ExactRead>
  /** After the iteration: entries and attributes that were left out or changed while they were read. */
  readonly skipped: number
}

const TYPES = { file: 0o100000, directory: 0o040000, symlink: 0o120000, fifo: 0o010000 } as const
const FILE_ID_BYTES = 16

/** @throws FrameError */
export function readExactEntry(answer: Fields): Omit<ExactRead, 'data'> {
  const { size, mode, uid, gid } = readStat(answer)
  const type = typeOf(answer.u64(Field.FILE_TYPE))
  const link = bytesOf(answer, Field.LINK, LIMITS.MAX_PATH)
  if (type === 'symlink' && !link) throw new FrameError('A link has no target')
  return {
    path: pathOf(answer),
    ...{ type, size, mode, uid, gid, link },
    mtimeNs: answer.i64(Field.MTIME_NS) ?? 0n,
    xattrs: new Map(answer.all(Field.XATTR).map(readXattr)),
    fileId: bytesOf(answer, Field.FILE_ID, FILE_ID_BYTES),
  }
}

function typeOf(number: number | undefined): ExactRead['type'] {
  for (const [type, value] of Object.entries(TYPES)) if (value === number) return type as ExactRead['type']
  throw new FrameError('An entry has a type that is not kept')
}

function pathOf(answer: Fields): string {
  const path = bytesOf(answer, Field.NAME, LIMITS.MAX_PATH)
  if (path === null || path.includes('\0') || path.split('/').some((name) => ['', '.', '..'].includes(name)))
    throw new FrameError('An entry has no proper path')
  return path
}

function readXattr(field: Uint8Array): [string, string] {
  const text = latin1(field)
  const end = text.indexOf('\0')
  if (end <= 0 || field.length > LIMITS.MAX_XATTRS) throw new FrameError('An attribute has no proper name')
  return [text.slice(0, end), text.slice(end + 1)]
}

function bytesOf(answer: Fields, tag: Field, max: number): string | null {
  const bytes = answer.bytes(tag)
  if (bytes === undefined) return null
  if (bytes.length > max) throw new FrameError(`Field ${tag} of an entry is too long`)
  return latin1(bytes)
}

/** @param refuse is called for what the agent would take for a breach of the protocol */
export function encodeExactEntry(entry: ExactEntry, refuse: (reason: string) => never): FieldBuilder {
  const put = (tag: Field, text: string) => {
    checkText(text, (each) => each.length, refuse)
    payload.bytes(tag, Buffer.from(text, 'latin1'))
  }
  const payload = fields().u64(Field.FILE_TYPE, TYPES[entry.type === 'hardlink' ? 'file' : entry.type])
  put(Field.NAME, entry.path)
  payload.u64(Field.MODE, entry.mode & 0o7777).u64(Field.UID, entry.uid)
  payload.u64(Field.GID, entry.gid).u64(Field.MTIME_NS, BigInt.asUintN(64, entry.mtimeNs))
  if (entry.type === 'file') payload.u64(Field.SIZE, entry.size)
  if (entry.type === 'symlink') put(Field.LINK, entry.link)
  if (entry.type === 'hardlink') put(Field.TARGET, entry.target)
  let room = LIMITS.MAX_XATTRS
  for (const [name, value] of entry.xattrs) {
    const field = Buffer.from(`${name}\0${value}`, 'latin1')
    room -= field.length
    if (room < 0) refuse(`its attributes have more than ${LIMITS.MAX_XATTRS} bytes`)
    payload.bytes(Field.XATTR, field)
  }
  return payload
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
