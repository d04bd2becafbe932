import { type Fields, FrameError } from '@caisson/protocol/frame-codec'
import { Field, LIMITS } from '@caisson/protocol/frames'
import { readAttributes } from './attributes.ts'
import type { Attributed, FileStat } from './guest.ts'

/** `st_mode & S_IFMT` of the types that have a name of their own. */
export const FILE_TYPES = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const
const TYPES: ReadonlyMap<number, FileStat['type']> = new Map([
  [FILE_TYPES.file, 'file'],
  [FILE_TYPES.directory, 'directory'],
  [FILE_TYPES.symlink, 'symlink'],
])
const MAX_NAME = 255
const MAX_ID = 0xffff_ffff

/** @throws FrameError when a number is missing or out of its range. */
export function readStat(answer: Fields): FileStat {
  return {
    type: TYPES.get(number(answer, Field.FILE_TYPE, 0o170000)) ?? 'other',
    size: number(answer, Field.SIZE, Number.MAX_SAFE_INTEGER),
    mode: number(answer, Field.MODE, 0o7777),
    uid: number(answer, Field.UID, MAX_ID),
    gid: number(answer, Field.GID, MAX_ID),
    owner: text(answer, Field.OWNER, MAX_NAME),
    group: text(answer, Field.GROUP, MAX_NAME),
    mtimeMs: Number((answer.i64(Field.MTIME_NS) ?? 0n) / 1000n) / 1000,
    link: text(answer, Field.LINK, LIMITS.MAX_PATH),
  }
}

/** A stat with what is told when attributes were asked for. @throws FrameError */
export function readDescription(answer: Fields): FileStat & Attributed {
  return { ...readStat(answer), ...readAttributes(answer), ...readResolved(answer) }
}

function readResolved(answer: Fields): Pick<Attributed, 'resolved'> {
  const path = text(answer, Field.RESOLVED, LIMITS.MAX_PATH)
  if (path === null) return {}
  const type = TYPES.get(number(answer, Field.RESOLVED_TYPE, 0o170000)) ?? 'other'
  return { resolved: { path, type, mode: number(answer, Field.RESOLVED_MODE, 0o7777) } }
}

/** The name of a directory entry: a name and never a path, because clients join it to one. @throws FrameError */
export function readName(answer: Fields): string {
  const name = text(answer, Field.NAME, MAX_NAME)
  if (name === null || isNoName(name) || /[/\0]/.test(name))
    throw new FrameError('A directory entry has no proper name')
  return name
}

/** A path below a directory, which clients join to one: it never leaves that. @throws FrameError */
export function readPath(answer: Fields, tag: Field = Field.NAME): string {
  const path = text(answer, tag, LIMITS.MAX_PATH)
  if (path === null || path.includes('\0') || path.split('/').some(isNoName))
    throw new FrameError('An entry has no proper path')
  return path
}

/** An entry of a tree. @throws FrameError */
export function readEntry(answer: Fields): FileStat & Attributed & { path: string } {
  return { ...readDescription(answer), path: readPath(answer) }
}

/** The type of a file in an event, where it is told. @throws FrameError */
export function readType(answer: Fields): FileStat['type'] | null {
  const type = answer.u64(Field.FILE_TYPE)
  return type === undefined ? null : (TYPES.get(type) ?? 'other')
}

function isNoName(name: string): boolean {
  return name === '' || name === '.' || name === '..'
}

function number(answer: Fields, tag: Field, max: number): number {
  const value = answer.u64(tag)
  if (value === undefined || value > max)
    throw new FrameError(`Field ${tag} of a file is missing or too large`)
  return value
}

function text(answer: Fields, tag: Field, max: number): string | null {
  const bytes = answer.bytes(tag)
  if (bytes === undefined) return null
  if (bytes.length > max) throw new FrameError(`Field ${tag} of a file is too long`)
  return answer.string(tag) ?? null
}
