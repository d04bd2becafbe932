import { createHash } from 'node:crypto'
import { SandboxError } from '@caisson/protocol/errors'
import { invalid } from '../../core/invalid.ts'
import type { GuestFiles } from '../../guest/guest.ts'
import type { Context } from '../context.ts'
import type { UseCases } from '../use-cases.ts'
import { asUser, quick, use } from './access.ts'
import { expect, hashed } from './contents.ts'

type Part = Awaited<ReturnType<UseCases['putUpload']>>

/** A size that no upload reaches: what is sent is kept and does not take the file's place. */
const NEVER_WHOLE = Number.MAX_SAFE_INTEGER

/**
 * Keeps a part in the sandbox, beside the file that it will replace. What a broken connection left is kept as well; with
 * a digest, nothing takes the file's place before all of it was compared, and a mismatch gives the upload up.
 */
export function putUpload(
  context: Context,
  ...[id, upload, query, data, signal]: Parameters<UseCases['putUpload']>
): Promise<Part> {
  const { path, offset, size, sha256, mode, parents, user } = query
  if (offset > size) throw invalid('offset', `is beyond the ${size} bytes of the file`)
  const who = { ...asUser(context, id, user), resume: upload }
  const options = { ...who, parents, ...(mode !== undefined && { mode }) }
  const part = atMost(data, size - offset, size)
  return use(context, id, async (files) => {
    if (sha256 === undefined) return files.writePart(path, part, { ...options, offset, size }, signal)
    try {
      if (offset === 0) {
        const check = (digest: string, bytes: number) => bytes === size && expect(path, sha256, digest)
        return await files.writePart(path, hashed(part, check), { ...options, offset, size }, signal)
      }
      const kept = await files.writePart(path, part, { ...options, offset, size: NEVER_WHOLE }, signal)
      if (kept.offset < size) return kept
      expect(path, sha256, await digestOf(files, path, who, signal))
      const whole = await files.writePart(path, new Uint8Array(), { ...options, offset: size, size }, signal)
      return { ...whole, created: kept.created }
    } catch (error) {
      if (SandboxError.is(error, 'checksum_mismatch')) await files.remove(path, who).catch(() => {})
      throw error
    }
  })
}

export function getUpload(
  context: Context,
  ...[id, upload, { path, user }]: Parameters<UseCases['getUpload']>
): Promise<number> {
  const options = { ...asUser(context, id, user), resume: upload }
  return quick(context, id, (files, signal) => files.received(path, options, signal))
}

export function deleteUpload(
  context: Context,
  ...[id, upload, { path, user }]: Parameters<UseCases['deleteUpload']>
): Promise<void> {
  const options = { ...asUser(context, id, user), resume: upload }
  return quick(context, id, (files, signal) => files.remove(path, options, signal))
}

/** Of what was received, as it lies in the sandbox. */
async function digestOf(
  files: GuestFiles,
  path: string,
  options: { user?: string; resume: string },
  signal: AbortSignal | undefined,
): Promise<string> {
  const { data } = await files.read(path, options, signal)
  const hash = createHash('sha256')
  for await (const piece of data) hash.update(piece)
  return hash.digest('hex')
}

async function* atMost(
  data: AsyncIterable<Uint8Array>,
  limit: number,
  size: number,
): AsyncGenerator<Uint8Array> {
  let sent = 0
  for await (const piece of data) {
    sent += piece.length
    if (sent > limit) throw new SandboxError('payload_too_large', { what: 'What was sent', limit: size })
    yield piece
  }
}
