import { posix } from 'node:path'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import type { Client } from './route.ts'

type Described = Awaited<ReturnType<UseCases['statFile']>>

/** Attributes that hold the metadata of uploads, without `user.`. */
export const METADATA_PREFIX = 'e2b.'

const TYPES: Record<Described['type'], string> = {
  file: 'FILE_TYPE_FILE',
  directory: 'FILE_TYPE_DIRECTORY',
  symlink: 'FILE_TYPE_SYMLINK',
  // Clients leave what has no type out of lists.
  other: 'FILE_TYPE_UNSPECIFIED',
}

/** A file as these clients see it. A link is what it leads to; one that leads nowhere is a link, which Moru's know not. */
export function toEntry(path: string, file: Described, client: Client): object {
  const { resolved } = file
  const type = TYPES[resolved?.type ?? file.type]
  const modified = timestampOf(file.mtimeMs)
  const metadata = metadataOf(file.attributes)
  return {
    name: posix.basename(path),
    type: client === 'moru' && type === TYPES.symlink ? TYPES.other : type,
    path,
    size: String(file.size),
    mode: resolved?.mode ?? file.mode,
    permissions: permissionsOf(file),
    owner: file.owner ?? String(file.uid),
    group: file.group ?? String(file.gid),
    ...(modified !== null && { modifiedTime: modified }),
    ...(file.type === 'symlink' && { symlinkTarget: resolved?.path ?? file.link ?? path }),
    ...(metadata !== undefined && { metadata }),
  }
}

/** What was uploaded with a file; undefined: nothing. */
export function metadataOf(attributes: Record<string, string> = {}): Record<string, string> | undefined {
  const own = Object.entries(attributes).filter(([name]) => name.startsWith(METADATA_PREFIX))
  if (own.length === 0) return undefined
  return Object.fromEntries(own.map(([name, value]) => [name.slice(METADATA_PREFIX.length), value]))
}

/** As Go writes a file's mode, which is what their daemon shows: `drwxr-xr-x`, `Lrwxrwxrwx`, `ug-rwxr-xr-x`. */
export function permissionsOf({ type, mode }: Pick<Described, 'type' | 'mode'>): string {
  const kind = { file: '', directory: 'd', symlink: 'L', other: '?' }[type]
  const special = (mode & 0o4000 ? 'u' : '') + (mode & 0o2000 ? 'g' : '') + (mode & 0o1000 ? 't' : '')
  const rights = [...'rwxrwxrwx'].map((letter, at) => (mode & (0o400 >> at) ? letter : '-'))
  return `${kind + special || '-'}${rights.join('')}`
}

/** The years 1 to 9999, which is what their timestamps can say. */
const FIRST_MS = -62_135_596_800_000
const LAST_MS = 253_402_300_799_999

/** A guest may claim any time; null: one that cannot be said. */
function timestampOf(ms: number): string | null {
  return ms >= FIRST_MS && ms <= LAST_MS ? new Date(ms).toISOString() : null
}
