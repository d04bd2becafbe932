import { createGzip } from 'node:zlib'
import type { FileStat, TreeReading } from '../../../guest/guest.ts'
import type { Context } from '../../context.ts'
import type { UseCases } from '../../use-cases.ts'
import { asUser, open } from '../access.ts'
import { through } from './streams.ts'
import { writeTar } from './tar-writer.ts'
import { writeZip } from './zip-writer.ts'

/** An entry as an archive holds it. Names of users are left out: numbers mean the same everywhere. */
export type ArchiveEntry = Pick<FileStat, 'type' | 'size' | 'mode' | 'uid' | 'gid' | 'mtimeMs' | 'link'> & {
  path: string
  data: AsyncIterable<Uint8Array> | null
}

/** Entries that were left out on the way. */
export interface LeftOut {
  count: number
}

const GZIP_LEVEL = 6
const PIECE = 65_536

/** An archive that is made while it is read. It holds files, directories and links; a second hard link is a copy. */
export async function downloadArchive(
  context: Context,
  ...[id, { path, user, format }, signal]: Parameters<UseCases['downloadArchive']>
): ReturnType<UseCases['downloadArchive']> {
  const options = { ...asUser(context, id, user), content: true }
  const leftOut: LeftOut = { count: 0 }
  const { data, tree } = await open(
    context,
    id,
    async (files, either) => {
      const tree = await files.readTree(path, options, either)
      return { tree, data: archive(tree, format, leftOut) }
    },
    signal,
  )
  return { data, skipped: () => tree.skipped + leftOut.count }
}

function archive(
  tree: TreeReading,
  format: 'tar' | 'tar.gz' | 'zip',
  leftOut: LeftOut,
): AsyncIterable<Uint8Array> {
  const entries = archivable(tree, leftOut)
  if (format === 'zip') return writeZip(entries, leftOut)
  const tar = writeTar(entries)
  return format === 'tar' ? tar : through(tar, createGzip({ level: GZIP_LEVEL, chunkSize: PIECE }))
}

async function* archivable(tree: TreeReading, leftOut: LeftOut): AsyncGenerator<ArchiveEntry> {
  for await (const entry of tree.entries) {
    if (entry.type === 'other' || (entry.type === 'symlink' && !entry.link)) leftOut.count++
    else yield { ...entry, mode: entry.mode & 0o1777 }
  }
}
