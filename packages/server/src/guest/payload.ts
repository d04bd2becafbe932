import { SandboxError } from '@caisson/protocol/errors'
import { type FieldBuilder, fields } from '@caisson/protocol/frame-codec'
import { Field } from '@caisson/protocol/frames'
import type { FileContext } from './errors.ts'
import type { Owner } from './guest.ts'

export type User = { user?: string }

export function context(path: string, options: User): FileContext {
  return { path, user: options.user ?? 'root' }
}

export function ofPath(path: string, options: User): FieldBuilder {
  return withText(ofUser(options), Field.PATH, path)
}

export function ofUser(options: User): FieldBuilder {
  return options.user === undefined ? fields() : withText(fields(), Field.USER, options.user)
}

/** C strings end at NUL: the agent would refuse it as malformed and close the connection for everybody. */
export function withText(payload: FieldBuilder, tag: Field, text: string): FieldBuilder {
  if (text.includes('\0')) throw new SandboxError('file_not_found', { path: text })
  return payload.string(tag, text)
}

/** What was received of an upload, instead of the file. */
export function ofUpload(payload: FieldBuilder, options: { resume?: string }): FieldBuilder {
  return options.resume === undefined ? payload : withText(payload, Field.RESUME, options.resume)
}

/** Whose it is that is made. */
export function ofOwner(payload: FieldBuilder, owner: Owner | undefined): FieldBuilder {
  return owner === undefined ? payload : payload.u64(Field.UID, owner.uid).u64(Field.GID, owner.gid)
}

export function flag(payload: FieldBuilder, tag: Field, value: boolean | undefined): FieldBuilder {
  return value === true ? payload.u64(tag, 1) : payload
}
