import { SandboxError } from '@caisson/protocol/errors'
import type { CheckpointRecord } from '../../core/records.ts'
import type { CheckpointStore, Telling } from '../store.ts'
import type { MemoryEvents } from './events.ts'
import type { MemorySandboxes } from './sandboxes.ts'

export class MemoryCheckpoints implements CheckpointStore {
  readonly #sandboxes: MemorySandboxes
  readonly #events: MemoryEvents
  readonly #records = new Map<string, CheckpointRecord>()

  constructor(sandboxes: MemorySandboxes, events: MemoryEvents) {
    this.#sandboxes = sandboxes
    this.#events = events
  }

  async insert(record: CheckpointRecord, { events }: Telling = {}): Promise<void> {
    const { id, name, sandboxId } = record
    this.#sandboxes.assertKnown(sandboxId)
    if (this.#records.has(id)) throw new SandboxError('conflict', { what: 'checkpoints.id' })
    if (name !== null && this.of(sandboxId).some((one) => one.name === name))
      throw new SandboxError('checkpoint_exists', { sandbox: sandboxId, checkpoint: name })
    this.#events.assertNew(events)
    this.#records.set(id, structuredClone(record))
    this.#events.tell(events)
  }

  async find(sandboxId: string, idOrName: string): Promise<CheckpointRecord | null> {
    const all = this.of(sandboxId)
    const found = all.find(({ id }) => id === idOrName) ?? all.find(({ name }) => name === idOrName)
    return structuredClone(found ?? null)
  }

  async list(
    query: Parameters<CheckpointStore['list']>[0],
  ): Promise<{ items: CheckpointRecord[]; total: number }> {
    const all = this.of(query.sandboxId)
    if (query.direction === 'desc') all.reverse()
    return { items: structuredClone(all.slice(query.offset, query.offset + query.limit)), total: all.length }
  }

  async update(
    id: string,
    { sizeBytes, fileCount }: Parameters<CheckpointStore['update']>[1],
  ): Promise<void> {
    const record = this.#records.get(id)
    if (record !== undefined) Object.assign(record, { sizeBytes, fileCount })
  }

  async remove(id: string, { events }: Telling = {}): Promise<CheckpointRecord | null> {
    const record = this.#records.get(id)
    if (record === undefined) return null
    this.#events.assertNew(events)
    this.#records.delete(id)
    this.#events.tell(events)
    return record
  }

  async removeOf(sandboxId: string): Promise<string[]> {
    return this.forget(sandboxId)
  }

  /** @returns the saves of those that were forgotten. */
  forget(sandboxId: string): string[] {
    const all = this.of(sandboxId)
    for (const { id } of all) this.#records.delete(id)
    return all.map(({ save }) => save)
  }

  /** The records themselves, oldest first. */
  of(sandboxId: string): CheckpointRecord[] {
    return [...this.#records.values()].filter((record) => record.sandboxId === sandboxId)
  }
}
