import { createHash } from 'node:crypto'
import { SandboxError } from '@caisson/protocol/errors'
import type { Context } from '../context.ts'
import type { UseCases } from '../use-cases.ts'
import { asUser, open, use } from './access.ts'

export function readFile(
  context: Context,
  ...[id, { path, offset, length, user }, signal]: Parameters<UseCases['readFile']>
): ReturnType<UseCases['readFile']> {
  const options = { ...asUser(context, id, user), offset, ...(length !== undefined && { length }) }
  return open(context, id, (files, either) => files.read(path, options, either), signal)
}

export function writeFile(
  context: Context,
  ...[id, query, data, signal]: Parameters<UseCases['writeFile']>
): ReturnType<UseCases['writeFile']> {
  const { path, mode, parents, user, sha256, owner, attributes } = query
  const options = {
    ...asUser(context, id, user),
    ...(mode !== undefined && { mode }),
    ...(owner !== undefined && { owner }),
    ...(attributes !== undefined && { attributes }),
    parents,
  }
  const contents = sha256 === undefined ? data : hashed(data, (digest) => expect(path, sha256, digest))
  return use(context, id, (files) => files.write(path, contents, options, signal))
}

export function checksumFile(
  context: Context,
  ...[id, { path, user, algorithm }, signal]: Parameters<UseCases['checksumFile']>
): ReturnType<UseCases['checksumFile']> {
  return use(context, id, async (files) => {
    const { data } = await files.read(path, asUser(context, id, user), signal)
    const hash = createHash(algorithm)
    let size = 0
    for await (const piece of data) {
      signal?.throwIfAborted()
      hash.update(piece)
      size += piece.length
    }
    return { algorithm, digest: hash.digest('hex'), size }
  })
}

/** Passes data on and tells its SHA-256 before it ends: what `check` throws breaks the transfer off, before its file takes its place. */
export async function* hashed(
  data: AsyncIterable<Uint8Array>,
  check: (digest: string, bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const piece of data) {
    hash.update(piece)
    bytes += piece.length
    yield piece
  }
  check(hash.digest('hex'), bytes)
}

/** @throws SandboxError `checksum_mismatch` */
export function expect(path: string, expected: string, actual: string): void {
  if (actual !== expected) throw new SandboxError('checksum_mismatch', { path, expected, actual })
}
