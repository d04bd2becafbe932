import { type FieldBuilder, type Fields, FrameError } from '@caisson/protocol/frame-codec'
import { Field, LIMITS } from '@caisson/protocol/frames'
import { invalid } from '../core/invalid.ts'
import type { Attributed } from './guest.ts'

/** Those that belong to whoever may read and write the file; no others are told or set. */
const PREFIX = 'user.'
const MAX_NAME = 255

/** Of an entry that was asked for with its attributes. @throws FrameError */
export function readAttributes(answer: Fields): Attributed {
  const skipped = answer.u64(Field.SKIPPED)
  if (skipped === undefined) return {}
  let room: number = LIMITS.MAX_XATTRS
  const attributes = answer.all(Field.XATTR).map((field) => {
    room -= field.length
    if (room < 0) throw new FrameError('The attributes of a file are too long')
    return readAttribute(field)
  })
  // Defines what it is given, whatever its name: a guest may call one `__proto__`.
  return {
    attributes: Object.fromEntries(attributes),
    ...(skipped > 0 && { attributesSkipped: skipped }),
  }
}

function readAttribute(field: Uint8Array): [string, string] {
  const bytes = Buffer.from(field.buffer, field.byteOffset, field.byteLength)
  const end = bytes.indexOf(0)
  const name = bytes.toString('utf8', 0, Math.max(end, 0))
  if (end <= PREFIX.length || end > MAX_NAME || !name.startsWith(PREFIX))
    throw new FrameError('An attribute has no proper name')
  return [name.slice(PREFIX.length), bytes.toString('utf8', end + 1)]
}

/** Adds what is to be set and, for null, removed. @throws SandboxError `invalid_request` for what no file can have */
export function withAttributes(
  payload: FieldBuilder,
  attributes: Record<string, string | null>,
): FieldBuilder {
  let room: number = LIMITS.MAX_XATTRS
  for (const [short, value] of Object.entries(attributes)) {
    const name = Buffer.from(PREFIX + short)
    if (short === '' || name.length > MAX_NAME || name.includes(0))
      throw invalid(
        'attributes',
        `the name "${short.replaceAll('\0', '\\0')}" is empty, too long or has a NUL in it`,
      )
    const field = value === null ? name : Buffer.concat([name, Buffer.from(`\0${value}`)])
    room -= field.length
    if (room < 0) throw invalid('attributes', `they are more than ${LIMITS.MAX_XATTRS} bytes together`)
    payload.bytes(value === null ? Field.REMOVED : Field.XATTR, field)
  }
  return payload
}
