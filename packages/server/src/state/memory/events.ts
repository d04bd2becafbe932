import { SandboxError } from '@caisson/protocol/errors'
import type { EventRecord } from '../../core/records.ts'
import type { EventStore } from '../store.ts'

export class MemoryEvents implements EventStore {
  #records: EventRecord[] = []

  async list(query: Parameters<EventStore['list']>[0]): Promise<{ items: EventRecord[]; total: number }> {
    const { direction, limit, offset, sandboxId, type } = query
    const all = this.#records.filter(
      (event) => event.sandboxId === sandboxId && (type === undefined || [type].flat().includes(event.type)),
    )
    if (direction === 'desc') all.reverse()
    return { items: structuredClone(all.slice(offset, offset + limit)), total: all.length }
  }

  async add(records: EventRecord[]): Promise<void> {
    this.assertNew(records)
    this.tell(records)
  }

  /** To be asked before the write that tells them, so that there are both or neither. */
  assertNew(events: EventRecord[] = []): void {
    for (const { id } of events) {
      if (this.#records.some((known) => known.id === id))
        throw new SandboxError('conflict', { what: 'events.id' })
    }
  }

  tell(events: EventRecord[] = []): void {
    this.#records.push(...structuredClone(events))
  }

  /** Forgets the events of a sandbox. */
  forget(sandboxId: string): void {
    this.#records = this.#records.filter((event) => event.sandboxId !== sandboxId)
  }
}
