import { SandboxError } from '@caisson/protocol/errors'
import type { VolumeRecord } from '../../core/records.ts'
import type { VolumeStore } from '../store.ts'
import { paged, type SortKey } from './sorting.ts'

const SORT: Record<'name' | 'created', (record: VolumeRecord) => SortKey> = {
  name: (record) => record.name,
  created: (record) => record.createdAt,
}

export class MemoryVolumes implements VolumeStore {
  readonly #records = new Map<string, VolumeRecord>()

  async insert(record: VolumeRecord): Promise<void> {
    if (this.#records.has(record.id)) throw new SandboxError('conflict', { what: 'volumes.id' })
    if (this.#all().some(({ name }) => name === record.name))
      throw new SandboxError('volume_exists', { volume: record.name })
    this.#records.set(record.id, structuredClone(record))
  }

  async find(idOrName: string): Promise<VolumeRecord | null> {
    const named = () => this.#all().find(({ name }) => name === idOrName)
    return structuredClone(this.#records.get(idOrName) ?? named() ?? null)
  }

  async list(query: Parameters<VolumeStore['list']>[0]) {
    return paged(this.#all(), SORT[query.sort], query)
  }

  async remove(id: string): Promise<boolean> {
    return this.#records.delete(id)
  }

  #all(): VolumeRecord[] {
    return [...this.#records.values()]
  }
}
