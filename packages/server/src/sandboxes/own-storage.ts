import { SandboxError } from '@caisson/protocol/errors'
import type { SandboxRecord } from '../core/records.ts'
import type { Context } from './context.ts'

/**
 * The files of a sandbox lie where the storage that it was made with has put them, and no other storage finds them
 * there. What runs goes on whatever the server uses now, and can be deleted; nothing else may be done to its files.
 * @throws SandboxError `not_supported`, with the storage that the server has to be started with
 */
export function assertOwnStorage(
  { layers }: Pick<Context, 'layers'>,
  { storage, state, bootedAt }: Pick<SandboxRecord, 'storage' | 'state' | 'bootedAt'>,
  what: string,
): void {
  // What was recorded and never started has no files yet.
  const isRecorded = bootedAt === null && state !== 'creating'
  if (storage === layers.name || isRecorded) return
  const reason = `its files are in the ${storage} storage, and the server uses ${layers.name}; start the server with "storage": "${storage}" for it, or delete it`
  throw new SandboxError('not_supported', { what, reason })
}
