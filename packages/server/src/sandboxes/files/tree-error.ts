import { SandboxError } from '@caisson/protocol/errors'
import { TreeFailure } from '../../guest/guest.ts'

/** Says at which entry the writing of a tree failed and how many were written before it. @param base is put before the entry's path. */
export function namingEntry(error: unknown, base = ''): unknown {
  if (!(error instanceof SandboxError) || !(error.cause instanceof TreeFailure)) return error
  const { entry, entries } = error.cause
  const details = { ...(error.details as object), path: base + entry } as never
  const { code, message } = new SandboxError(error.code, details)
  return new SandboxError(code, details, { message: `${message} ${written(entries)}`, cause: error })
}

function written(entries: number): string {
  if (entries === 0) return 'Nothing was written before it.'
  return entries === 1 ? '1 entry before it was written.' : `${entries} entries before it were written.`
}
