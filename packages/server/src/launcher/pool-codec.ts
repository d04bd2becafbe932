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

export function decodeContents(entries: Fields[]): PoolContents {
  const contents: PoolContents = { roots: new Map(), saves: new Map(), dumps: new Map() }
  for (const entry of entries) {
    const bytes = entry.u64(Tag.BYTES) ?? 0
    const [id, save, dump] = [entry.string(Tag.ID), entry.string(Tag.SAVE), entry.string(Tag.DUMP)]
    if (id !== undefined) contents.roots.set(id, bytes)
    else if (save !== undefined) contents.saves.set(save, bytes)
    else if (dump !== undefined) contents.dumps.set(dump, bytes)
  }
  return contents
}

export function decodeMeasure(answer: Fields): { bytes: number; files: number } {
  return { bytes: answer.u64(Tag.BYTES) ?? 0, files: answer.u64(Tag.FILES) ?? 0 }
}
