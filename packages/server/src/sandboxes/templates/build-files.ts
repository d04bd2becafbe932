import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import { newId } from '../../core/ids.ts'
import type { Context } from '../context.ts'

/** A name that no upload has: what a death cuts off is found by it. */
const UNFINISHED = '.unfinished-'
const HASH = /^[0-9a-f]{64}$/

/** Uploads under way, of all servers in this process. */
const inUse = new Set<string>()

function homeOf({ config }: Pick<Context, 'config'>): string {
  return join(config.dataDir, 'build-files')
}

function pathOf(context: Pick<Context, 'config'>, hash: string): string {
  if (!HASH.test(hash)) throw new Error(`"${hash}" names no files of a build`)
  return join(homeOf(context), hash)
}

/** Whether files of this hash are here; who asks is about to use them, so that they are kept for another while. */
export async function hasBuildFiles(context: Pick<Context, 'config'>, hash: string): Promise<boolean> {
  const now = new Date()
  try {
    await utimes(pathOf(context, hash), now, now)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/**
 * Keeps an archive for copy steps. The hash is the client's name for it, and is not compared with anything: whoever may
 * build may replace what is there. It is a stream of bytes to this server, unpacked nowhere but in sandboxes.
 * @throws SandboxError `payload_too_large`
 */
export async function putBuildFiles(
  context: Pick<Context, 'config' | 'failpoint'>,
  hash: string,
  data: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const target = pathOf(context, hash)
  await mkdir(homeOf(context), { recursive: true, mode: 0o700 })
  const temporary = join(homeOf(context), `${UNFINISHED}${newId('tmp')}`)
  inUse.add(temporary)
  try {
    await receive(temporary, data, context.config.build.maxUpload, signal)
    context.failpoint('build-files:written')
    await rename(temporary, target)
  } finally {
    await rm(temporary, { force: true })
    inUse.delete(temporary)
  }
}

/** Flushed: who was told that it is there does not send it again. */
async function receive(
  path: string,
  data: AsyncIterable<Uint8Array>,
  limit: number,
  signal?: AbortSignal,
): Promise<void> {
  await using file = await open(path, 'wx', 0o600)
  let size = 0
  for await (const piece of data) {
    signal?.throwIfAborted()
    size += piece.length
    if (size > limit)
      throw new SandboxError('payload_too_large', { what: 'What was uploaded for a build', limit })
    await file.writeFile(piece)
  }
  await file.sync()
}

export function readBuildFiles(
  context: Pick<Context, 'config'>,
  hash: string,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  return createReadStream(pathOf(context, hash), signal === undefined ? {} : { signal })
}

/** Removes what nobody has used since, and what a server's death cut off. @param before milliseconds since the epoch */
export async function purgeBuildFiles(context: Pick<Context, 'config'>, before: number): Promise<void> {
  const home = homeOf(context)
  const names = await readdir(home).catch((): string[] => [])
  for (const name of names) {
    const path = join(home, name)
    if (name.startsWith(UNFINISHED) ? !inUse.has(path) : (await usedAt(path)) < before)
      await rm(path, { force: true })
  }
}

async function usedAt(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.mtimeMs ?? Number.POSITIVE_INFINITY
}
