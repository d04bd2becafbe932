import { parseDuration } from '../../core/duration.ts'
import { invalid } from '../../core/invalid.ts'
import type { Context } from '../context.ts'
import { findLiving } from '../lookup.ts'
import type { UseCases } from '../use-cases.ts'
import { asUser } from './access.ts'
import { readFile, writeFile } from './contents.ts'
import { signLink, verifyLink } from './signed-links.ts'

const DEFAULT_TTL = '1h'
const MAX_TTL_MS = 7 * 24 * 3_600_000

/** A link names the sandbox by its id and the user that it would be now, so that nobody can change what it means later. */
export async function signFile(
  context: Context,
  ...[id, { path, user, operation, ttl }]: Parameters<UseCases['signFile']>
): ReturnType<UseCases['signFile']> {
  const record = await findLiving(context, id)
  const lifetime = parseDuration(ttl ?? DEFAULT_TTL, 'ttl')
  if (lifetime === 0 || lifetime > MAX_TTL_MS) throw invalid('ttl', 'must be more than 0 and at most 7d')
  const expiresAt = Date.now() + lifetime
  const claims = {
    sandbox: record.id,
    operation,
    path,
    user: asUser(context, id, user).user ?? null,
    expiresAt,
  }
  return { token: signLink(context.signingKey, claims), expiresAt }
}

export async function readSigned(
  context: Context,
  ...[token, { offset, length }, signal]: Parameters<UseCases['readSigned']>
): ReturnType<UseCases['readSigned']> {
  const { sandbox, path, user } = verifyLink(context.signingKey, token, 'read', Date.now())
  const query = { path, offset, length, user: user ?? undefined }
  return { path, ...(await readFile(context, sandbox, query, signal)) }
}

export async function writeSigned(
  context: Context,
  ...[token, data, signal]: Parameters<UseCases['writeSigned']>
): ReturnType<UseCases['writeSigned']> {
  const { sandbox, path, user } = verifyLink(context.signingKey, token, 'write', Date.now())
  const query = { path, parents: true, user: user ?? undefined }
  return (await writeFile(context, sandbox, query, data, signal)).stat
}
