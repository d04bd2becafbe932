import { createHash, type Hash } from 'node:crypto'
import { SandboxError } from '@caisson/protocol/errors'
import type { z } from 'zod'
import { newId } from '../../core/ids.ts'
import type { SnapshotRecord } from '../../core/records.ts'
import type { ExactEntry } from '../../guest/exact-tree.ts'
import { TreeFailure } from '../../guest/guest.ts'
import type { Context } from '../context.ts'
import { savesOf, withNewSave } from '../saved/saves.ts'
import { DIGESTS, Digests, MANIFEST, MAX_JSON_BYTES, Manifest, ROOT } from './manifest.ts'
import { isCompression } from './oci/image-error.ts'
import { isMounted, isWrittenAtStart } from './own-files.ts'
import { plain, printable } from './printable.ts'
import { received } from './received.ts'
import { filesOf, withEmptyScratch } from './scratch.ts'
import { TarError } from './tar/byte-reader.ts'
import { readTar, type TarRead } from './tar/reader.ts'
import { unzstd } from './unzstd.ts'

type Bytes = AsyncIterable<Uint8Array>

/** What an archive may hold; its bytes are bounded by the storage. */
const RULES = { strict: true, maxEntries: 10_000_000 }

/**
 * Makes a snapshot of an exported file. What comes out of it is written, as it comes, into a sandbox that holds nothing
 * else, and kept only when the last entry has told that it is whole.
 * @throws SandboxError `archive_invalid`, `not_supported`, `create_failed`, `save_failed`
 */
export async function importSnapshot(
  context: Context,
  asked: { name?: string | undefined; tag?: string | undefined },
  data: Bytes,
  signal?: AbortSignal,
): Promise<SnapshotRecord> {
  const saves = savesOf(context)
  const archive = openArchive(data)
  try {
    const manifest = await archive.manifest()
    return await withEmptyScratch(
      context,
      'import of a snapshot',
      async (live) => {
        const files = await filesOf(context, live)
        const { lost } = await files.writeExactly('/', archive.files(), signal)
        if (lost > 0) context.log.warn({ lost }, 'attributes of an imported snapshot that no sandbox may set')
        return withNewSave(context, { passing: false }, async (save) => {
          await saves.save(live.id, save, signal)
          context.failpoint('snapshot:saved')
          const snapshot = newSnapshot(manifest, save, asked)
          await context.store.snapshots.insert(snapshot)
          return snapshot
        })
      },
      signal,
    )
  } catch (error) {
    throw refusal(error)
  } finally {
    archive.close()
  }
}

function newSnapshot(
  manifest: Manifest,
  save: string,
  asked: { name?: string | undefined; tag?: string | undefined },
): SnapshotRecord {
  const { description, metadata, runtime, env, user, dependencies, packages } = manifest
  const { workdir = null, start = null } = manifest
  const now = Date.now()
  return {
    id: newId('snp'),
    name: asked.name ?? manifest.name,
    tag: asked.tag ?? manifest.tag,
    public: false,
    memory: false,
    ...{ description, metadata, runtime, env, user, workdir, dependencies, packages },
    start: start && programOf(start),
    // The save is all that there is: it lies on nothing.
    imageDigest: null,
    layers: [],
    save,
    sandboxId: null,
    parentId: null,
    contentHash: null,
    sizeBytes: null,
    fileCount: null,
    createdAt: now,
    updatedAt: now,
  }
}

function programOf({
  command,
  ready,
  ports,
}: NonNullable<Manifest['start']>): NonNullable<SnapshotRecord['start']> {
  return { command, ready, ...(ports !== undefined && { ports }) }
}

/** The archive's own fault; what failed here is told as it is. */
function refusal(error: unknown): unknown {
  if (error instanceof SandboxError) {
    if (!(error.cause instanceof TreeFailure)) return error
    const reason = `its entry "${plain(error.cause.entry)}" cannot be written: ${error.message}`
    return new SandboxError('archive_invalid', { reason }, { cause: error })
  }
  if (error instanceof TarError)
    return new SandboxError('archive_invalid', { reason: error.message }, { cause: error })
  if (!isCompression((error as { code?: unknown } | null)?.code)) return error
  const reason = `it is damaged, or no zstd at all (${(error as Error).message})`
  return new SandboxError('archive_invalid', { reason }, { cause: error })
}

/** An archive on its way in: first `manifest`, then `files`. */
function openArchive(data: Bytes) {
  const tar = readTar(unzstd(received(data)), RULES)
  let manifestDigest = ''
  async function* files(): AsyncGenerator<ExactEntry> {
    const seen = { hash: createHash('sha256'), entries: 0, bytes: 0 }
    for (;;) {
      const { value: entry, done } = await tar.next()
      if (done) throw new TarError('its digests are missing')
      if (entry.path === DIGESTS) return await end(entry, seen)
      seen.hash.update(entry.head)
      seen.entries++
      if (entry.type === 'file') seen.bytes += entry.size
      const written = toEntry(entry, seen.hash)
      if (written !== null) yield written
    }
  }
  const end = async (entry: TarRead, seen: { hash: Hash; entries: number; bytes: number }) => {
    const digests = parse(Digests, await small(entry), DIGESTS)
    const { entries, bytes } = seen
    const found = { manifest: manifestDigest, rootfs: seen.hash.digest('hex'), entries, bytes }
    for (const key of ['manifest', 'rootfs', 'entries', 'bytes'] as const)
      if (found[key] !== digests[key])
        throw new TarError(`it was changed: its ${key} differ from its digests`)
    if (!(await tar.next()).done) throw new TarError('there is something behind its digests')
  }
  return {
    async manifest(): Promise<Manifest> {
      const { value: entry, done } = await tar.next()
      if (done || entry.path !== MANIFEST) throw new TarError('it does not begin with a manifest')
      const text = await small(entry)
      manifestDigest = createHash('sha256').update(text).digest('hex')
      const manifest = parse(Manifest, text, MANIFEST)
      if (manifest.arch !== process.arch)
        throw new TarError(`it was made on ${plain(manifest.arch)}, and this machine is ${process.arch}`)
      return manifest
    },
    files,
    /** Not waited for: it may be in the middle of waiting for what its sender does not send. */
    close() {
      tar.return(undefined).catch(() => {})
    },
  }
}

async function small(entry: TarRead): Promise<Buffer> {
  if (entry.type !== 'file' || entry.size > MAX_JSON_BYTES)
    throw new TarError(`its ${entry.path} is too large`)
  const parts: Uint8Array[] = []
  for await (const part of entry.data) parts.push(part)
  return Buffer.concat(parts)
}

function parse<T>(schema: z.ZodType<T>, text: Buffer, name: string): T {
  let value: unknown
  try {
    value = JSON.parse(text.toString('utf8'))
  } catch {
    throw new TarError(`its ${name} is no JSON`)
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new TarError(`its ${name} is not valid: ${issue?.path.join('.')} ${issue?.message}`)
}

/** null: a start makes it anew. @throws TarError for what lies outside the root */
function toEntry(entry: TarRead, hash: Hash): ExactEntry | null {
  const { type, mode, uid, gid, mtimeNs, xattrs } = entry
  const path = below(entry.path, type === 'directory')
  if (isMounted(path) || isWrittenAtStart(path))
    throw new TarError(`its entry "${printable(path)}" is not its own`)
  const meta = { path, mode, uid, gid, mtimeNs, xattrs }
  if (type === 'device') throw new TarError(`its entry "${printable(path)}" is a device`)
  if (type === 'file') return { ...meta, type, size: entry.size, data: hashed(entry.data, hash) }
  if (type === 'symlink') return { ...meta, type, link: entry.link }
  if (type === 'hardlink') return { ...meta, type, target: below(entry.link, false) }
  return { ...meta, type }
}

async function* hashed(data: Bytes, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const piece of data) {
    hash.update(piece)
    yield piece
  }
}

/** A path below the root, as an export writes it and no other. */
function below(path: string, directory: boolean): string {
  const inner = path.startsWith(`${ROOT}/`) ? path.slice(ROOT.length + 1) : ''
  const plain = directory && inner.endsWith('/') ? inner.slice(0, -1) : inner
  const parts = plain.split('/')
  if (plain.includes('\0') || parts.some((part) => part === '' || part === '.' || part === '..'))
    throw new TarError(`its entry "${printable(path)}" is not below ${ROOT}/`)
  return plain
}
