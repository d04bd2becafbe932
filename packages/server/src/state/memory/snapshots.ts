import { SandboxError } from '@caisson/protocol/errors'
import type { SnapshotRecord } from '../../core/records.ts'
import type { SnapshotQuery, SnapshotStore, Telling } from '../store.ts'
import type { MemoryEvents } from './events.ts'
import { paged, type SortKey } from './sorting.ts'

const SORT: Record<SnapshotQuery['sort'], (record: SnapshotRecord) => SortKey> = {
  name: (record) => record.name,
  created: (record) => record.createdAt,
  size: (record) => record.sizeBytes,
  files: (record) => record.fileCount,
}

const FILTERS = ['sandboxId', 'parentId', 'name', 'tag', 'contentHash', 'public'] as const

export class MemorySnapshots implements SnapshotStore {
  readonly #events: MemoryEvents
  readonly #records = new Map<string, SnapshotRecord>()

  constructor(events: MemoryEvents) {
    this.#events = events
  }

  async insert(record: SnapshotRecord, { events }: Telling = {}): Promise<void> {
    if (this.#records.has(record.id)) throw new SandboxError('conflict', { what: 'snapshots.id' })
    this.#events.assertNew(events)
    this.#takeTag(record)
    this.#records.set(record.id, structuredClone(record))
    this.#events.tell(events)
  }

  async get(id: string): Promise<SnapshotRecord | null> {
    return structuredClone(this.#records.get(id) ?? null)
  }

  async matching(query: { name?: string; tag?: string }): Promise<SnapshotRecord[]> {
    return structuredClone(this.#matching(query))
  }

  async list(query: SnapshotQuery): Promise<{ items: SnapshotRecord[]; total: number }> {
    return paged(this.#matching(query), SORT[query.sort], query)
  }

  async update(id: string, change: Parameters<SnapshotStore['update']>[1]): Promise<SnapshotRecord> {
    const record = this.#records.get(id)
    if (record === undefined) throw new SandboxError('snapshot_not_found', { snapshot: id })
    const changed = { ...record, ...change }
    if (change.tag !== undefined) this.#takeTag({ ...changed, updatedAt: change.updatedAt ?? Date.now() })
    this.#records.set(id, changed)
    return structuredClone(changed)
  }

  async remove(id: string): Promise<SnapshotRecord | null> {
    const record = this.#records.get(id) ?? null
    this.#records.delete(id)
    return record
  }

  /** The records themselves. */
  all(): SnapshotRecord[] {
    return [...this.#records.values()]
  }

  #matching(query: Partial<SnapshotQuery>): SnapshotRecord[] {
    return this.all().filter((record) =>
      FILTERS.every((field) => query[field] === undefined || query[field] === record[field]),
    )
  }

  #takeTag({ id, name, tag, updatedAt }: SnapshotRecord): void {
    if (tag === null) return
    const holder = this.all().find((one) => one.id !== id && one.name === name && one.tag === tag)
    if (holder !== undefined) Object.assign(holder, { tag: null, updatedAt })
  }
}
