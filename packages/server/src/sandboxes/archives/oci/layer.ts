import { createHash } from 'node:crypto'
import { createGunzip } from 'node:zlib'
import type { ExactEntry } from '../../../guest/exact-tree.ts'
import { through } from '../../files/archives/streams.ts'
import { isMounted } from '../own-files.ts'
import { TarError } from '../tar/byte-reader.ts'
import { readTar, type TarRead } from '../tar/reader.ts'
import { unzstd } from '../unzstd.ts'
import type { Layer } from './image.ts'
import { ImageError } from './image-error.ts'
import type { ImageStore } from './store.ts'

type Bytes = AsyncIterable<Uint8Array>

/** What a layer does to those below it before its own entries come. */
export interface LayerPlan {
  /** Paths to remove with all that is in them. */
  removed: string[]
  /** Directories to empty. */
  emptied: string[]
}

/** Of all layers together. */
export interface ImageBudget {
  entries: number
  bytes: number
}

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'
const GZIP_PIECE = 65_536

/**
 * Reads a layer to its end, so that nothing of it is written before its digests are known to be right, and finds what
 * it removes.
 * @param directories digests of the directories of the layers below; this one's are added
 * @throws ImageError, TarError
 */
export async function planLayer(
  store: ImageStore,
  layer: Layer,
  budget: ImageBudget,
  directories: Set<number>,
): Promise<LayerPlan> {
  const plan: LayerPlan = { removed: [], emptied: [] }
  const own = new Set<number>()
  const tar = verifiedTar(store, layer, budget)
  for await (const entry of readTar(tar, { strict: false, maxEntries: budget.entries })) {
    budget.entries--
    note(entry, plan, directories, own)
  }
  for (const each of own) directories.add(each)
  return plan
}

/** Its entries, once it was planned. */
export async function* entriesOf(
  store: ImageStore,
  layer: Layer,
  skipped: (entry: string) => void,
): AsyncGenerator<ExactEntry> {
  const tar = inflate(layer, store.read(layer.name))
  for await (const entry of readTar(tar, { strict: false, maxEntries: Number.POSITIVE_INFINITY })) {
    const path = plainPath(entry.path)
    if (path === null) yield { ...metaOf(entry, '.'), type: 'directory' }
    else if (isMounted(path) || isWhiteout(path)) continue
    else if (entry.type === 'device') skipped(path)
    else yield toEntry(entry, path)
  }
}

function toEntry(entry: TarRead, path: string): ExactEntry {
  const meta = metaOf(entry, path)
  const { type } = entry
  if (type === 'file') return { ...meta, type, size: entry.size, data: entry.data }
  if (type === 'symlink') return { ...meta, type, link: entry.link }
  if (type !== 'hardlink') return { ...meta, type: type === 'fifo' ? 'fifo' : 'directory' }
  const target = plainPath(entry.link)
  if (target === null) throw new TarError('a hard link leads to the root')
  return { ...meta, type, target }
}

/** Attributes of the system that the image was made on are left out: no sandbox may have them. */
function metaOf({ mode, uid, gid, mtimeNs, xattrs }: TarRead, path: string) {
  const kept = [...xattrs].filter(([name]) => name.startsWith('user.') || name === 'security.capability')
  return { path, mode, uid, gid, mtimeNs, xattrs: new Map(kept) }
}

function note(entry: TarRead, plan: LayerPlan, below: Set<number>, own: Set<number>): void {
  const path = plainPath(entry.path)
  if (path === null || isMounted(path)) return
  const cut = path.lastIndexOf('/') + 1
  const [parent, name] = [path.slice(0, Math.max(0, cut - 1)), path.slice(cut)]
  if (name === OPAQUE) plan.emptied.push(parent)
  else if (name.startsWith(WHITEOUT))
    noteWhiteout(`${path.slice(0, cut)}${name.slice(WHITEOUT.length)}`, plan)
  else {
    addParents(parent, own)
    if (entry.type === 'directory') own.add(digest(path))
    // A file takes the place of a directory of a layer below.
    else if (entry.type !== 'device' && below.has(digest(path))) plan.removed.push(path)
  }
}

function noteWhiteout(path: string, plan: LayerPlan): void {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (name === '' || name === '.' || name === '..') throw new ImageError('a layer removes what has no name')
  // Names of this kind are notes of the system that made the layer.
  if (!name.startsWith('.wh.') && !isMounted(path)) plan.removed.push(path)
}

function addParents(path: string, directories: Set<number>): void {
  for (let at = path.length; at > 0; at = path.lastIndexOf('/', at - 1)) {
    const key = digest(path.slice(0, at))
    if (directories.has(key)) return
    directories.add(key)
  }
}

function isWhiteout(path: string): boolean {
  return path.slice(path.lastIndexOf('/') + 1).startsWith(WHITEOUT)
}

/** 48 bits: paths that are alike only in them cost one look at what is not there. */
function digest(path: string): number {
  return createHash('sha256').update(path, 'latin1').digest().readUIntBE(0, 6)
}

/** Below the root; null: the root itself. @throws TarError for a path that leads out of it */
function plainPath(path: string): string | null {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..') || path.includes('\0')) throw new TarError('an entry leads out of the root')
  return parts.length === 0 ? null : parts.join('/')
}

/** The tar archive of a layer, whose end is a failure unless all its digests are right. */
async function* verifiedTar(
  store: ImageStore,
  layer: Layer,
  budget: ImageBudget,
): AsyncGenerator<Uint8Array> {
  const { name, blob, diffId } = layer
  const size = await store.size(name)
  if (size === null) throw new ImageError(`${name} is missing`)
  if (blob !== null && size !== blob.size)
    throw new ImageError(`${name} has ${size} bytes, and not the ${blob.size} that are told of it`)
  if (blob !== null) await checkBlob(store, name, blob.digest)
  const hash = createHash('sha256')
  for await (const piece of inflate(layer, store.read(name))) {
    hash.update(piece)
    budget.bytes -= piece.length
    if (budget.bytes < 0) throw new ImageError('it is larger than there is room for')
    yield piece
  }
  if (hash.digest('hex') !== diffId)
    throw new ImageError(`what is in ${name} does not have its digest (diff_ids)`)
}

async function checkBlob(store: ImageStore, name: string, digest: string): Promise<void> {
  const hash = createHash('sha256')
  for await (const piece of store.read(name)) hash.update(piece)
  if (hash.digest('hex') !== digest) throw new ImageError(`${name} does not have its digest`)
}

function inflate({ compression }: Layer, data: Bytes): Bytes {
  if (compression === 'gzip') return through(data, createGunzip({ chunkSize: GZIP_PIECE }))
  return compression === 'zstd' ? unzstd(data) : data
}
