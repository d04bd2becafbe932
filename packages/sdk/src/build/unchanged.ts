import { createHash } from 'node:crypto'
import { type ChosenFile, openFile } from './files.ts'
import { refused } from './refused.ts'
import type { TarEntry } from './tar.ts'

/** Files for an archive. What carries a digest of what was planned must have nothing else in it. */
export async function* unchangedEntries(
  root: string,
  files: readonly ChosenFile[],
): AsyncGenerator<TarEntry> {
  for (const file of files) yield file.type === 'link' ? file : { ...file, data: unchanged(root, file) }
}

async function* unchanged(
  root: string,
  { path, size, sha256 }: Extract<ChosenFile, { type: 'file' }>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let read = 0
  try {
    for await (const piece of (await openFile(root, path)).pieces) {
      read += piece.length
      if (read > size) break
      hash.update(piece)
      yield piece
    }
  } catch (cause) {
    // As it is, it would be taken for an error of the connection, which have the same codes.
    throw refused(path, `"${path}" could not be read again: ${(cause as Error).message}`, cause)
  }
  if (read !== size || hash.digest('hex') !== sha256)
    throw refused(path, `"${path}" has changed while it was sent. Build again.`)
}
