import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { readTar } from '../tar/reader.ts'
import { ImageError } from './image-error.ts'

/** The files of an image as it was received, by the names that it gives them. Nothing of it was unpacked. */
export interface ImageStore {
  /** Bytes of a file; null: there is none. */
  size(name: string): Promise<number | null>
  read(name: string): AsyncIterable<Uint8Array>
}

const MAX_FILES = 100_000
const MAX_JSON_BYTES = 4 * 2 ** 20

/** What an archive holds: where each file lies in it is remembered, and read from there. */
export async function archiveStore(path: string): Promise<ImageStore> {
  const files = new Map<string, { start: number; size: number }>()
  let read = 0
  async function* counted() {
    for await (const piece of createReadStream(path)) {
      read += piece.length
      yield piece as Uint8Array
    }
  }
  let at = 0
  for await (const entry of readTar(counted(), { strict: false, maxEntries: MAX_FILES })) {
    at += entry.head.length
    const name = entry.path.replace(/^(\.\/)+/, '')
    if (entry.type === 'file') files.set(name, { start: at, size: entry.size })
    at += Math.ceil(entry.size / 512) * 512
  }
  if (read === 0) throw new ImageError('it is empty')
  return {
    size: async (name) => files.get(name)?.size ?? null,
    read: (name) => {
      const { start, size } = files.get(name)!
      return size === 0 ? nothing() : createReadStream(path, { start, end: start + size - 1 })
    },
  }
}

/** A directory that our own program wrote, an OCI layout. Names that lead anywhere else are not there. */
export function directoryStore(directory: string): ImageStore {
  return {
    size: async (name) => {
      if (!/^(index\.json|oci-layout|blobs\/sha256\/[0-9a-f]{64})$/.test(name)) return null
      const info = await lstat(join(directory, name)).catch(() => null)
      return info?.isFile() === true ? info.size : null
    },
    read: (name) => createReadStream(join(directory, name)),
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** A small file as JSON; null: there is none. @param digest that its bytes must have @throws ImageError */
export async function readJson(store: ImageStore, name: string, digest?: string): Promise<unknown> {
  const size = await store.size(name)
  if (size === null) return null
  if (size > MAX_JSON_BYTES) throw new ImageError(`${name} has ${size} bytes, which is too many`)
  const parts: Uint8Array[] = []
  for await (const part of store.read(name)) parts.push(part)
  const text = Buffer.concat(parts)
  const found = createHash('sha256').update(text).digest('hex')
  if (digest !== undefined && digest !== found) throw new ImageError(`${name} does not have its digest`)
  try {
    return JSON.parse(text.toString('utf8'))
  } catch {
    throw new ImageError(`${name} is no JSON`)
  }
}
