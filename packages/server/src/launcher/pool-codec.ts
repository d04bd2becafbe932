import { type Fields, fields } from '@caisson/protocol/frame-codec'
import { Tag } from './protocol.ts'

/** The pool as it is now, in bytes. */
export interface PoolState {
  /** A file that the launcher has mounted, or a directory of the data directory's own file system. */
  kind: 'file' | 'filesystem'
  sizeBytes: number
  usedBytes: number
  maxBytes: number
  /** Limits are enforced. */
  quotas: boolean
}

/** What the pool and `dumps/` hold, with the bytes that each holds for itself. */
export interface PoolContents {
  roots: Map<string, number>
  saves: Map<string, number>
  volumes: Map<string, number>
  dumps: Map<string, number>
}

/** A root to make: as a copy of a save, and held to a limit; null: empty, without one. */
export interface NewRoot {
  from: string | null
  diskBytes: number | null
}

const FILE = 1

export function encodePool(maxBytes: number): Uint8Array {
  return fields().u64(Tag.MAX, maxBytes).encode()
}

export function decodePool(answer: Fields): PoolState {
  return {
    kind: answer.u64(Tag.KIND) === FILE ? 'file' : 'filesystem',
    sizeBytes: answer.u64(Tag.SIZE) ?? 0,
    usedBytes: answer.u64(Tag.USED) ?? 0,
    maxBytes: answer.u64(Tag.MAX) ?? 0,
    quotas: answer.u64(Tag.QUOTAS) === 1,
  }
}

/** Of MAKE_ROOT and REPLACE_ROOT. */
export function encodeRoot(id: string, { from, diskBytes }: NewRoot): Uint8Array {
  const out = fields().string(Tag.ID, id)
  if (from !== null) out.string(Tag.FROM, from)
  if (diskBytes !== null) out.u64(Tag.QUOTA, diskBytes)
  return out.encode()
}

/** @param limitBytes null: none */
export function encodeVolume(volume: string, limitBytes: number | null): Uint8Array {
  const out = fields().string(Tag.VOLUME, volume)
  if (limitBytes !== null) out.u64(Tag.QUOTA, limitBytes)
  return out.encode()
}

export function decodeContents(entries: Fields[]): PoolContents {
  const contents: PoolContents = { roots: new Map(), saves: new Map(), volumes: new Map(), dumps: new Map() }
  const parts = [
    [Tag.ID, contents.roots],
    [Tag.SAVE, contents.saves],
    [Tag.VOLUME, contents.volumes],
    [Tag.DUMP, contents.dumps],
  ] as const
  for (const entry of entries)
    for (const [tag, part] of parts) {
      const name = entry.string(tag)
      if (name !== undefined) part.set(name, entry.u64(Tag.BYTES) ?? 0)
    }
  return contents
}

export function decodeMeasure(answer: Fields): { bytes: number; files: number } {
  return { bytes: answer.u64(Tag.BYTES) ?? 0, files: answer.u64(Tag.FILES) ?? 0 }
}
