import { type Fields, FrameError } from '@caisson/protocol/frame-codec'
import { Field, LIMITS } from '@caisson/protocol/frames'
import type { FileStat } from './guest.ts'

const TYPES: ReadonlyMap<number, FileStat['type']> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
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

/** The name of a directory entry: a name and never a path, because clients join it to one. @throws FrameError */
export function readName(answer: Fields): string {
  const name = text(answer, Field.NAME, MAX_NAME)
  if (name === null || name === '' || name === '.' || name === '..' || /[/\0]/.test(name))
    throw new FrameError('A directory entry has no proper name')
  return name
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
