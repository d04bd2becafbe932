import { createHash } from 'node:crypto'
import { constants, createZstdCompress } from 'node:zlib'
import type { SnapshotRecord } from '../../core/records.ts'
import type { ExactRead } from '../../guest/exact-tree.ts'
import { ask } from '../connection.ts'
import type { Context } from '../context.ts'
import { through } from '../files/archives/streams.ts'
import { imageOf } from '../roots.ts'
import { holdSave } from '../saved/hold.ts'
import { savesOf } from '../saved/saves.ts'
import { endingWith } from './ending-with.ts'
import { DIGESTS, type Digests, MANIFEST, type Manifest, manifestOf, ROOT } from './manifest.ts'
import { isMounted, isWrittenAtStart } from './own-files.ts'
import { createScratch, endScratch } from './scratch.ts'
import { TAR_END, type TarWrite, type Witness, writeEntry } from './tar/writer.ts'

/** Of the names of files that have several; those beyond become files of their own. */
const MAX_NAME_BYTES = 64 * 2 ** 20

type Bytes = AsyncIterable<Uint8Array>

/**
 * A snapshot as a file, made while it is read: its whole file system, as a sandbox that is made from it sees it. That
 * sandbox ends when the file has ended or was left.
 * @throws SandboxError `not_supported`, `create_failed`
 */
export async function exportSnapshot(
  context: Context,
  snapshot: SnapshotRecord,
  signal?: AbortSignal,
): Promise<Bytes> {
  savesOf(context)
  const { save, layers, imageDigest } = snapshot
  using held = new DisposableStack()
  held.use(holdSave(context, save, imageDigest, ...layers))
  const image = await imageOf(context, snapshot)
  const made = { image, layers, from: save, record: { runtime: snapshot.runtime } }
  const live = await createScratch(context, `export of snapshot ${snapshot.id}`, made, signal)
  try {
    const reading = await ask(context, live, (guest, either) => guest.files.readExactly('/', either), signal)
    const tar = archive(manifestOf(snapshot, image?.env ?? {}), reading)
    const params = {
      [constants.ZSTD_c_checksumFlag]: 1,
      [constants.ZSTD_c_compressionLevel]: constants.ZSTD_CLEVEL_DEFAULT,
    }
    const release = held.move()
    return endingWith(
      through(tar, createZstdCompress({ params })),
      async () => {
        release.dispose()
        await endScratch(context, live)
      },
      signal,
    )
  } catch (error) {
    await endScratch(context, live)
    throw error
  }
}

async function* archive(
  manifest: Manifest,
  reading: { entries: AsyncIterable<ExactRead>; readonly skipped: number },
): AsyncGenerator<Uint8Array> {
  const created = BigInt(Date.parse(manifest.createdAt)) * 1_000_000n
  const said = json(MANIFEST, manifest, created)
  yield* writeEntry(said.entry)
  const hash = createHash('sha256')
  const counts = { entries: 0, bytes: 0 }
  const witness: Witness = (bytes) => hash.update(bytes)
  for await (const entry of files(reading.entries)) {
    counts.entries++
    if (entry.type === 'file') counts.bytes += entry.size
    yield* writeEntry(entry, witness)
  }
  const { skipped } = reading
  const digests: Digests = { manifest: said.digest, rootfs: hash.digest('hex'), ...counts, skipped }
  yield* writeEntry(json(DIGESTS, digests, created).entry)
  yield TAR_END
}

function json(path: string, value: unknown, mtimeNs: bigint): { entry: TarWrite; digest: string } {
  const text = Buffer.from(`${JSON.stringify(value, null, 2)}\n`)
  const entry: TarWrite = {
    ...{ type: 'file', path, link: '', size: text.length, mode: 0o644, uid: 0, gid: 0, mtimeNs },
    xattrs: new Map(),
    data: (async function* () {
      yield text
    })(),
  }
  return { entry, digest: createHash('sha256').update(text).digest('hex') }
}

/** What a start makes anew is left out, and of a file's names all but the first are links to that. */
async function* files(entries: AsyncIterable<ExactRead>): AsyncGenerator<TarWrite> {
  const first = new Map<string, string>()
  let room = MAX_NAME_BYTES
  for await (const { fileId, link, ...entry } of entries) {
    if (isMounted(entry.path) || isWrittenAtStart(entry.path)) continue
    const path = `${ROOT}/${entry.path}${entry.type === 'directory' ? '/' : ''}`
    const target = fileId === null ? undefined : first.get(fileId)
    const xattrs = new Map(entry.xattrs)
    if (target !== undefined) {
      yield { ...entry, type: 'hardlink', path, link: target, size: 0, xattrs: new Map(), data: null }
      continue
    }
    if (fileId !== null && room > path.length) {
      first.set(fileId, path)
      room -= path.length
    }
    yield { ...entry, path, link: link ?? '', size: entry.type === 'file' ? entry.size : 0, xattrs }
  }
}
