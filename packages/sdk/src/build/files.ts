import { createHash } from 'node:crypto'
import { constants, type Dirent } from 'node:fs'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { isChosen, mayHold, type Pattern } from './glob.ts'

/** A file or a link that goes into a snapshot; `path` is below the build directory, with "/". */
export type ChosenFile =
  | { path: string; type: 'file'; mode: number; size: number; mtimeMs: number; sha256: string }
  | { path: string; type: 'link'; target: string }

/** What the patterns choose, by path; what is neither file nor link is left out, and told. */
export interface Chosen {
  files: ChosenFile[]
  skipped: string[]
}

/**
 * Looks for what the patterns choose and reads it once. Links are taken as links and never followed.
 *
 * @param leftOut a path that is never chosen: the build file's own
 */
export async function chooseFiles(
  root: string,
  patterns: readonly Pattern[],
  leftOut: string,
  signal?: AbortSignal,
): Promise<Chosen> {
  const chosen: Chosen = { files: [], skipped: [] }
  if (patterns.some(({ excludes }) => !excludes)) await look('')
  chosen.files.sort((a, b) => (a.path < b.path ? -1 : 1))
  return chosen

  async function look(directory: string): Promise<void> {
    for (const entry of await readdir(join(root, directory), { withFileTypes: true })) {
      signal?.throwIfAborted()
      const path = directory === '' ? entry.name : `${directory}/${entry.name}`
      if (entry.isDirectory()) {
        if (mayHold(patterns, path)) await look(path)
      } else if (path !== leftOut && isChosen(patterns, path)) await take(path, entry)
    }
  }

  async function take(path: string, entry: Dirent): Promise<void> {
    if (entry.isSymbolicLink())
      chosen.files.push({ path, type: 'link', target: await readlink(join(root, path)) })
    else if (entry.isFile()) chosen.files.push(await measure(root, path, signal))
    else chosen.skipped.push(path)
  }
}

/** Whether a path is there, for those that are written without wildcards. */
export async function isThere(root: string, path: string): Promise<boolean> {
  return lstat(join(root, path)).then(
    () => true,
    () => false,
  )
}

/** A file as it is now. */
export async function measure(
  root: string,
  path: string,
  signal: AbortSignal | undefined,
): Promise<ChosenFile> {
  const hash = createHash('sha256')
  let size = 0
  const { mode, mtimeMs, pieces } = await openFile(root, path)
  for await (const piece of pieces) {
    signal?.throwIfAborted()
    hash.update(piece)
    size += piece.length
  }
  return { path, type: 'file', mode, size, mtimeMs, sha256: hash.digest('hex') }
}

/** A file's permissions and contents. What has become a link meanwhile is not followed; the loop's end closes it. */
export async function openFile(
  root: string,
  path: string,
): Promise<{ mode: number; mtimeMs: number; pieces: AsyncIterable<Uint8Array> }> {
  const file = await open(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stat = await file.stat()
    return { mode: stat.mode & 0o777, mtimeMs: Math.floor(stat.mtimeMs), pieces: file.createReadStream() }
  } catch (error) {
    await file.close()
    throw error
  }
}
