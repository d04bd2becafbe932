import { SandboxError } from '@caisson/protocol/errors'
import type { LayerRecord } from '../../core/records.ts'
import type { LayerStore } from '../store.ts'

export class MemoryLayers implements LayerStore {
  readonly #records = new Map<string, LayerRecord>()

  async insert(record: LayerRecord): Promise<void> {
    if (this.#records.has(record.digest)) throw new SandboxError('conflict', { what: 'layers.digest' })
    this.#records.set(record.digest, structuredClone(record))
  }

  async find(digest: string, usedAt: number): Promise<LayerRecord | null> {
    const record = this.#records.get(digest)
    if (record === undefined) return null
    record.usedAt = Math.max(record.usedAt, usedAt)
    return structuredClone(record)
  }

  async list(): Promise<LayerRecord[]> {
    return structuredClone(this.all())
  }

  async remove(digest: string): Promise<void> {
    this.#records.delete(digest)
  }

  /** The records themselves. */
  all(): LayerRecord[] {
    return [...this.#records.values()]
  }
}
