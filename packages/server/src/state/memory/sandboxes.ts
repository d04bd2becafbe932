import { SandboxError } from '@caisson/protocol/errors'
import { isFinal } from '../../core/lifecycle.ts'
import type { SandboxRecord, SandboxState } from '../../core/records.ts'
import { changeable } from '../change.ts'
import type { SandboxQuery, SandboxStore, Telling } from '../store.ts'
import type { MemoryEvents } from './events.ts'
import { hasPairs, paged, type SortKey } from './sorting.ts'

const SORT: Record<SandboxQuery['sort'], (record: SandboxRecord) => SortKey> = {
  name: (record) => record.name,
  created: (record) => record.createdAt,
  updated: (record) => record.updatedAt,
  status: (record) => record.state,
  mode: (record) => record.mode,
  execution_count: (record) => record.executionCount,
}

const FILTERS = ['name', 'mode', 'projectId', 'orgId', 'snapshotId', 'sessionId'] as const

/** Records are copied in and out, so that nobody changes one but through the store. */
export class MemorySandboxes implements SandboxStore {
  /** Forgets what belongs to a purged sandbox. @returns the ids of its executions. */
  onPurged: (id: string) => string[] = () => []
  readonly #records = new Map<string, SandboxRecord>()
  readonly #events: MemoryEvents

  constructor(events: MemoryEvents) {
    this.#events = events
  }

  async insert(record: SandboxRecord, { events }: Telling = {}): Promise<void> {
    if (this.#records.has(record.id)) throw new SandboxError('conflict', { what: 'sandboxes.id' })
    this.#assertFree(record)
    this.#events.assertNew(events)
    this.#records.set(record.id, structuredClone(record))
    this.#events.tell(events)
  }

  async get(id: string): Promise<SandboxRecord | null> {
    return structuredClone(this.#records.get(id) ?? null)
  }

  async findByName(name: string): Promise<SandboxRecord | null> {
    return this.#find((record) => record.name === name && !isFinal(record.state))
  }

  async findByIdempotencyKey(key: string): Promise<SandboxRecord | null> {
    return this.#find((record) => record.idempotencyKey === key)
  }

  async list(query: SandboxQuery): Promise<{ items: SandboxRecord[]; total: number }> {
    const matching = [...this.#records.values()].filter((record) => matches(record, query))
    return paged(matching, SORT[query.sort], query)
  }

  async update(
    id: string,
    change: Partial<SandboxRecord>,
    options: Telling & { ifVersion?: number } = {},
  ): Promise<SandboxRecord> {
    const record = this.#records.get(id)
    if (record === undefined) throw new SandboxError('sandbox_not_found', { sandbox: id })
    if (options.ifVersion !== undefined && options.ifVersion !== record.version) {
      throw new SandboxError('conflict', { what: `Sandbox ${id}` })
    }
    const changed = { ...record, updatedAt: Date.now(), ...changeable(change), version: record.version + 1 }
    this.#assertFree(changed)
    this.#events.assertNew(options.events)
    this.#records.set(id, structuredClone(changed))
    this.#events.tell(options.events)
    return structuredClone(changed)
  }

  async inStates(states: SandboxState[]): Promise<SandboxRecord[]> {
    return structuredClone([...this.#records.values()].filter((record) => states.includes(record.state)))
  }

  async purge(time: number): Promise<{ sandboxes: string[]; executions: string[] }> {
    const old = [...this.#records.values()].filter(({ endedAt }) => endedAt !== null && endedAt < time)
    const sandboxes = old.map(({ id }) => id)
    for (const id of sandboxes) {
      this.#records.delete(id)
      this.#events.forget(id)
    }
    return { sandboxes, executions: sandboxes.flatMap((id) => this.onPurged(id)) }
  }

  /** Counts an execution; `version` stays. */
  count(id: string, time: number): void {
    const record = this.#records.get(id)
    if (record === undefined) throw new SandboxError('sandbox_not_found', { sandbox: id })
    record.executionCount++
    record.lastActiveAt = Math.max(record.lastActiveAt, time)
  }

  /** @throws SandboxError `sandbox_not_found` */
  assertKnown(id: string): void {
    if (!this.#records.has(id)) throw new SandboxError('sandbox_not_found', { sandbox: id })
  }

  /** The record itself. */
  known(id: string): SandboxRecord | null {
    return this.#records.get(id) ?? null
  }

  /** The records of those that have not ended, themselves. */
  live(): SandboxRecord[] {
    return [...this.#records.values()].filter(({ state }) => !isFinal(state))
  }

  #find(is: (record: SandboxRecord) => boolean): SandboxRecord | null {
    return structuredClone([...this.#records.values()].find(is) ?? null)
  }

  #assertFree(record: SandboxRecord): void {
    for (const other of this.#records.values()) if (other.id !== record.id) assertNoClash(record, other)
  }
}

function assertNoClash(record: SandboxRecord, other: SandboxRecord): void {
  if (record.idempotencyKey !== null && other.idempotencyKey === record.idempotencyKey) {
    throw new SandboxError('conflict', { what: 'sandboxes.idempotencyKey' })
  }
  if (isFinal(record.state) || isFinal(other.state)) return
  if (record.name !== null && other.name === record.name) {
    throw new SandboxError('name_taken', { name: record.name, sandbox: other.id })
  }
  if (record.idBase > 0 && other.idBase === record.idBase) {
    throw new SandboxError('conflict', { what: 'sandboxes.idBase' })
  }
}

function matches(record: SandboxRecord, query: SandboxQuery): boolean {
  const { busy, createdAfter, internal, memory, metadata, states, template, volume } = query
  if (record.internal !== null && internal !== true) return false
  for (const field of FILTERS) {
    if (query[field] !== undefined && query[field] !== record[field]) return false
  }
  if (states !== undefined && !states.includes(record.state)) return false
  if (memory !== undefined && record.state === 'paused' && !memory.includes(record.pause?.memory ?? 'none'))
    return false
  if (busy !== undefined && record.state === 'ready' && busy.ids.includes(record.id) !== busy.value)
    return false
  if (template !== undefined && ![record.templateId, record.snapshotId, record.runtime].includes(template))
    return false
  if (createdAfter !== undefined && record.createdAt < createdAfter) return false
  if (volume !== undefined && !record.volumes.some((use) => use.volume === volume)) return false
  return hasPairs(record.metadata, metadata)
}
