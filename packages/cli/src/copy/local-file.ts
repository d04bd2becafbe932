import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { open, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { LocalFailure, localFailure } from '../failure.ts'

/** Permission bits that a file from a sandbox may have here: never set-user-id and its kind. */
export const PERMISSIONS = 0o777

/**
 * Writes a file of this machine that is whole or not there at all: it has another name until its last byte has come.
 * What is no regular file, such as a pipe or a device, is written to as it is.
 *
 * @returns bytes written
 * @throws LocalFailure; whatever the source throws
 */
export async function replaceFile(
  path: string,
  mode: number,
  body: AsyncIterable<Uint8Array>,
): Promise<number> {
  const there = await statOf(path)
  if (there && !there.isFile()) return pour(body, path, 'w')
  const final = there ? await realpath(path) : path
  const name = `.${basename(final).slice(0, 48)}.caisson-${randomBytes(6).toString('hex')}`
  const temporary = join(dirname(final), name)
  try {
    const written = await pour(body, temporary, 'wx', mode & PERMISSIONS)
    await rename(temporary, final).catch((error) => {
      throw localFailure(error, path)
    })
    return written
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}

async function pour(
  body: AsyncIterable<Uint8Array>,
  path: string,
  flags: 'w' | 'wx',
  mode?: number,
): Promise<number> {
  const failed = (error: unknown) => {
    throw localFailure(error, path)
  }
  const file = await open(path, flags, 0o600).catch(failed)
  let written = 0
  try {
    for await (const part of body as AsyncIterable<Uint8Array>) {
      await file!.appendFile(part).catch(failed)
      written += part.length
    }
    if (mode !== undefined) await file!.chmod(mode).catch(failed)
  } finally {
    await file!.close()
  }
  return written
}

/** A local source whose failures are told as ours: the connection's have the same codes. */
export async function* told(source: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* source
  } catch (error) {
    throw localFailure(error, path)
  }
}

/** What is at a path, links followed; undefined: nothing. */
export async function statOf(path: string) {
  try {
    return await stat(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw localFailure(error, path)
  }
}

/** Makes the directories above a path and gives those that were new, the outermost first. */
export function makeParents(path: string): string[] {
  const parent = dirname(resolve(path))
  try {
    const first = mkdirSync(parent, { recursive: true })
    if (first === undefined) return []
    const made = [parent]
    for (let at = parent; at !== first; at = dirname(at)) made.unshift(dirname(at))
    return made
  } catch (error) {
    throw localFailure(error, parent)
  }
}

/** Where a copy that was sent to `target` comes to stand: below it when it is, or is written like, a directory. */
export async function placeLocally(target: string, name: string | undefined): Promise<string> {
  const there = await statOf(target)
  const isFolder = there?.isDirectory() ?? false
  if (there && !isFolder && target.endsWith('/')) throw new LocalFailure(`"${target}" is no directory.`)
  return (isFolder || target.endsWith('/')) && name !== undefined ? join(target, name) : target
}
