import type { DestinationRecord } from '../../core/records.ts'
import type { DestinationStore } from '../store.ts'

export class MemoryDestinations implements DestinationStore {
  #records: DestinationRecord[] = []

  async add(records: DestinationRecord[], limit: number): Promise<void> {
    for (const record of records) this.#add(record)
    for (const id of new Set(records.map(({ sandboxId }) => sandboxId))) {
      const kept = new Set(this.#of(id).slice(0, limit))
      this.#records = this.#records.filter((one) => one.sandboxId !== id || kept.has(one))
    }
  }

  async list(
    query: Parameters<DestinationStore['list']>[0],
  ): Promise<{ items: DestinationRecord[]; total: number }> {
    const { sandboxId, limit, offset } = query
    const all = this.#of(sandboxId)
    return { items: structuredClone(all.slice(offset, offset + limit)), total: all.length }
  }

  /** Forgets the destinations of a sandbox. */
  forget(sandboxId: string): void {
    this.#records = this.#records.filter((one) => one.sandboxId !== sandboxId)
  }

  #add(record: DestinationRecord): void {
    const key = keyOf(record)
    const known = this.#records.find((one) => keyOf(one) === key)
    if (known === undefined) {
      this.#records.push(structuredClone(record))
      return
    }
    known.connections += record.connections
    known.uploadedBytes = plus(known.uploadedBytes, record.uploadedBytes)
    known.downloadedBytes = plus(known.downloadedBytes, record.downloadedBytes)
    known.firstAt = Math.min(known.firstAt, record.firstAt)
    known.lastAt = Math.max(known.lastAt, record.lastAt)
  }

  #of(sandboxId: string): DestinationRecord[] {
    return this.#records.filter((one) => one.sandboxId === sandboxId).toSorted((a, b) => b.lastAt - a.lastAt)
  }
}

function keyOf({ sandboxId, name, address, port, protocol }: DestinationRecord): string {
  return JSON.stringify([sandboxId, name, address, port, protocol])
}

/** null is what was not counted. */
function plus(a: number | null, b: number | null): number | null {
  return a === null ? b : a + (b ?? 0)
}
