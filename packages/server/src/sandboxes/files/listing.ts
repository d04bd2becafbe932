import { SandboxError } from '@caisson/protocol/errors'
import type { GuestFiles } from '../../guest/guest.ts'
import type { Context } from '../context.ts'
import type { UseCases } from '../use-cases.ts'
import { asUser, use } from './access.ts'

type Listing = Awaited<ReturnType<UseCases['listFiles']>>

/** An answer is made in memory. */
const MAX_ENTRIES = 100_000
const MAX_NAME_CHARACTERS = 16 * 1024 * 1024

/** Names of deeper entries are paths relative to the directory. */
export function listFiles(
  context: Context,
  ...[id, { path, user, depth, attributes }, signal]: Parameters<UseCases['listFiles']>
): Promise<Listing> {
  const options = { ...asUser(context, id, user), attributes }
  return use(context, id, async (files) => {
    if (depth > 1) return listTree(files, path, { ...options, depth }, signal)
    const entries = await files.list(path, options, signal)
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  })
}

function charactersOf(attributes: Record<string, string> = {}): number {
  return Object.entries(attributes).reduce((sum, [name, value]) => sum + name.length + value.length, 0)
}

async function listTree(
  files: GuestFiles,
  path: string,
  options: { user?: string; depth: number; attributes: boolean },
  signal: AbortSignal | undefined,
): Promise<Listing> {
  const { stat, entries } = await files.readTree(path, options, signal)
  const found: Listing = []
  let characters = 0
  for await (const { path: name, data: _, ...entry } of entries) {
    signal?.throwIfAborted()
    characters += name.length + (entry.link?.length ?? 0) + charactersOf(entry.attributes)
    if (found.length === MAX_ENTRIES || characters > MAX_NAME_CHARACTERS) {
      const reason = `it has more than the ${MAX_ENTRIES} entries, or longer names, than can be listed at once; list less deep, or its directories one by one`
      throw new SandboxError('file_failed', { path, reason })
    }
    found.push({ ...entry, name })
  }
  if (stat.type !== 'directory')
    throw new SandboxError('file_wrong_type', { path, reason: 'it is no directory' })
  return found
}
