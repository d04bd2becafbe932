import { SandboxError } from '@caisson/protocol/errors'
import type { KeyRecord } from '../../core/records.ts'
import type { KeyStore } from '../store.ts'

export class MemoryKeys implements KeyStore {
  readonly #records = new Map<string, KeyRecord>()

  async insert(record: KeyRecord): Promise<void> {
    if (this.#records.has(record.id)) throw new SandboxError('conflict', { what: 'keys.id' })
    if (this.#find(record.hash) !== undefined) throw new SandboxError('conflict', { what: 'keys.hash' })
    this.#records.set(record.id, structuredClone(record))
  }

  async findByHash(hash: string): Promise<KeyRecord | null> {
    return structuredClone(this.#find(hash) ?? null)
  }

  async list(): Promise<KeyRecord[]> {
    return structuredClone([...this.#records.values()])
  }

  async remove(id: string): Promise<boolean> {
    return this.#records.delete(id)
  }

  #find(hash: string): KeyRecord | undefined {
    return [...this.#records.values()].find((record) => record.hash === hash)
  }
}
