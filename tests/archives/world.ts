import { createHash } from 'node:crypto'
import { constants, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Client } from 'caisson'
import type { TarHeader } from '../../packages/server/src/sandboxes/archives/tar/header.ts'
import { readTar } from '../../packages/server/src/sandboxes/archives/tar/reader.ts'
import {
  TAR_END,
  type TarWrite,
  writeEntry,
} from '../../packages/server/src/sandboxes/archives/tar/writer.ts'

/** An entry of an archive that a test makes. */
export type Entry = Partial<Omit<TarHeader, 'type'>> & {
  path: string
  type?: TarHeader['type']
  text?: string | Buffer
}

/** The bytes of an entry. */
export async function pack({ text = '', ...entry }: Entry): Promise<Buffer> {
  const data = Buffer.from(text)
  const whole: TarWrite = {
    ...{ link: '', mode: entry.type === 'directory' ? 0o755 : 0o644, uid: 0, gid: 0, mtimeNs: 10n ** 18n },
    xattrs: new Map(),
    ...entry,
    // A device has the header of a file but for its type, which is set afterwards.
    type: entry.type === undefined || entry.type === 'device' ? 'file' : entry.type,
    size: data.length,
    data: (async function* () {
      if (data.length > 0) yield data
    })(),
  }
  const bytes = Buffer.concat(await collect(writeEntry(whole)))
  return entry.type === 'device' ? asDevice(bytes) : bytes
}

export async function tar(entries: Entry[]): Promise<Buffer> {
  return Buffer.concat([...(await Promise.all(entries.map(pack))), TAR_END])
}

function asDevice(header: Buffer): Buffer {
  const block = Buffer.from(header)
  block.write('3', 156, 'latin1')
  block.write('        ', 148, 'latin1')
  const sum = block.subarray(0, 512).reduce((all, byte) => all + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

/** What a tar archive holds, in its order. */
export async function unpack(bytes: Buffer): Promise<(TarHeader & { text: Buffer; head: Buffer })[]> {
  const found: (TarHeader & { text: Buffer; head: Buffer })[] = []
  async function* source() {
    yield bytes
  }
  for await (const { data, ...entry } of readTar(source(), { strict: true, maxEntries: 1_000_000 }))
    found.push({ ...entry, text: Buffer.concat(await collect(data)) })
  return found
}

export const zstd = (bytes: Buffer): Buffer =>
  zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } })
export const unzstd = (bytes: Buffer): Buffer => zstdDecompressSync(bytes)
export const gzip = (bytes: Buffer): Buffer => gzipSync(bytes, { level: 1 })

export function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A small snapshot as an export writes it, with what a test wants otherwise. */
export async function snapshotArchive(
  entries: Entry[],
  change: { manifest?: object | string; digests?: object | null; first?: Entry[]; after?: Entry[] } = {},
): Promise<Buffer> {
  const manifest = {
    ...{ format: 'caisson-snapshot', version: 1, arch: process.arch, name: 'made', tag: null },
    ...{ description: null, metadata: {}, runtime: 'base:latest', env: {}, user: 'root' },
    ...{ dependencies: [], packages: [], createdAt: '2026-01-02T03:04:05.000Z' },
    ...(typeof change.manifest === 'object' ? change.manifest : {}),
  }
  const text = typeof change.manifest === 'string' ? change.manifest : JSON.stringify(manifest)
  const packed = await Promise.all(entries.map(pack))
  const rootfs = createHash('sha256')
  let bytes = 0
  for (const [at, entry] of entries.entries()) {
    const size = Buffer.from(entry.text ?? '').length
    const padded = Math.ceil(size / 512) * 512
    rootfs.update(packed[at]!.subarray(0, packed[at]!.length - padded + size))
    bytes += size
  }
  const digests = {
    ...{ manifest: sha256(text), rootfs: rootfs.digest('hex'), entries: entries.length, bytes, skipped: 0 },
    ...change.digests,
  }
  return Buffer.concat([
    ...(await Promise.all((change.first ?? []).map(pack))),
    await pack({ path: 'manifest.json', text }),
    ...packed,
    ...(change.digests === null ? [] : [await pack({ path: 'digests.json', text: JSON.stringify(digests) })]),
    ...(await Promise.all((change.after ?? []).map(pack))),
    TAR_END,
  ])
}

export async function exported(client: Client, snapshot: string): Promise<Buffer> {
  return Buffer.concat(await collect(client.snapshots.export(snapshot)))
}

/** The code and message with which something fails; its result when it does not. */
export async function failure(work: Promise<unknown>): Promise<{ code?: string; message?: string }> {
  return work.then(
    (result) => ({ message: `it succeeded: ${JSON.stringify(result)}` }),
    (error) => error,
  )
}

export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const each of source) all.push(each)
  return all
}
