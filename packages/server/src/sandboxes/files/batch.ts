import type { TreeEntry } from '../../guest/guest.ts'
import type { Context } from '../context.ts'
import type { Live } from '../live.ts'
import type { UseCases } from '../use-cases.ts'
import { asUser, use } from './access.ts'
import { namingEntry } from './tree-error.ts'

interface File {
  path: string
  content: string
  encoding: 'utf8' | 'base64'
  mode?: number | undefined
}

export async function writeFiles(
  context: Context,
  ...[id, { files: list, user }, signal]: Parameters<UseCases['writeFiles']>
): ReturnType<UseCases['writeFiles']> {
  try {
    const written = await use(context, id, (files) =>
      files.writeTree(null, entriesOf(list), asUser(context, id, user), signal),
    )
    return { files: written.entries, bytes: written.bytes, created: written.created }
  } catch (error) {
    throw namingEntry(error)
  }
}

/** The files of a create request, written before the sandbox is handed out. */
export async function writeInitialFiles(
  context: Context,
  live: Live,
  files: File[],
  signal?: AbortSignal,
): Promise<void> {
  const guest = await live.guest()
  try {
    await guest.files.writeTree(
      null,
      entriesOf(files),
      asUser(context, live.id, live.record.user ?? undefined),
      signal,
    )
  } catch (error) {
    throw namingEntry(error)
  }
}

/** Decodes one file at a time. */
function* entriesOf(files: File[]): Generator<TreeEntry> {
  for (const { path, content, encoding, mode } of files) {
    const data = Buffer.from(content, encoding)
    yield { type: 'file', path, size: data.length, data, ...(mode !== undefined && { mode }) }
  }
}
