import { SandboxError } from '@caisson/protocol/errors'
import type { ApiKey, Scope } from '@caisson/protocol/resources'
import { parseDuration } from '../core/duration.ts'
import { newE2bSecret, newId, newSecret, sha256 } from '../core/ids.ts'
import type { KeyRecord } from '../core/records.ts'
import type { Context } from './context.ts'
import type { UseCases } from './use-cases.ts'

export async function createKey(
  context: Context,
  input: Parameters<UseCases['createKey']>[0],
): Promise<{ key: ApiKey; secret: string }> {
  const secret = input.format === 'e2b' ? newE2bSecret() : newSecret()
  const ttl = parseDuration(input.ttl ?? 0, 'ttl')
  const now = Date.now()
  const record: KeyRecord = {
    id: newId('key'),
    name: input.name,
    hash: sha256(secret),
    scopes: [...new Set(input.scopes)],
    createdAt: now,
    expiresAt: ttl === 0 ? null : now + ttl,
  }
  await context.store.keys.insert(record)
  return { key: show(record), secret }
}

export async function listKeys(context: Context): Promise<ApiKey[]> {
  return (await context.store.keys.list()).map(show)
}

export async function deleteKey(context: Context, id: string): Promise<void> {
  if (!(await context.store.keys.remove(id))) throw new SandboxError('key_not_found', { key: id })
}

/** Looked up by hash, so that no comparison of secrets takes a time that tells something. */
export async function authenticate(
  context: Context,
  secret: string,
): Promise<{ keyId: string; scopes: Scope[] } | null> {
  const record = await context.store.keys.findByHash(sha256(secret))
  if (record === null || (record.expiresAt !== null && record.expiresAt <= Date.now())) return null
  return { keyId: record.id, scopes: record.scopes }
}

function show(record: KeyRecord): ApiKey {
  return {
    id: record.id,
    name: record.name,
    scopes: record.scopes,
    createdAt: new Date(record.createdAt).toISOString(),
    expiresAt: record.expiresAt === null ? null : new Date(record.expiresAt).toISOString(),
  }
}
