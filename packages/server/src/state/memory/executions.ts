import { SandboxError } from '@caisson/protocol/errors'
import { isProgramId } from '../../core/ids.ts'
import type { ExecutionRecord } from '../../core/records.ts'
import type { ExecutionStore, Telling } from '../store.ts'
import type { MemoryEvents } from './events.ts'
import type { MemorySandboxes } from './sandboxes.ts'

export class MemoryExecutions implements ExecutionStore {
  readonly #sandboxes: MemorySandboxes
  readonly #records = new Map<string, ExecutionRecord>()

  readonly #events: MemoryEvents

  constructor(sandboxes: MemorySandboxes, events: MemoryEvents) {
    this.#sandboxes = sandboxes
    this.#events = events
  }

  async insert(record: ExecutionRecord, { events }: Telling = {}): Promise<void> {
    const { id, idempotencyKey, sandboxId } = record
    if (this.#records.has(id)) throw new SandboxError('conflict', { what: 'executions.id' })
    if (idempotencyKey !== null && this.#byKey(sandboxId, idempotencyKey) !== undefined) {
      throw new SandboxError('conflict', { what: 'executions.sandboxId, executions.idempotencyKey' })
    }
    this.#events.assertNew(events)
    if (isProgramId(record.id)) this.#sandboxes.assertKnown(sandboxId)
    else this.#sandboxes.count(sandboxId, record.createdAt)
    this.#records.set(id, structuredClone(record))
    this.#events.tell(events)
  }

  async get(id: string): Promise<ExecutionRecord | null> {
    return structuredClone(this.#records.get(id) ?? null)
  }

  async findByIdempotencyKey(sandboxId: string, key: string): Promise<ExecutionRecord | null> {
    return structuredClone(this.#byKey(sandboxId, key) ?? null)
  }

  async list(query: ExecutionQuery): Promise<{ items: ExecutionRecord[]; total: number }> {
    const all = this.#of(query.sandboxId).filter((record) => matches(record, query))
    if (query.direction === 'desc') all.reverse()
    return { items: structuredClone(all.slice(query.offset, query.offset + query.limit)), total: all.length }
  }

  async update(id: string, change: Partial<ExecutionRecord>, { events }: Telling = {}): Promise<void> {
    const record = this.#records.get(id)
    if (record === undefined) throw new SandboxError('execution_not_found', { execution: id })
    this.#events.assertNew(events)
    const { id: _id, sandboxId: _sandbox, ...rest } = change
    Object.assign(record, structuredClone(rest))
    this.#events.tell(events)
  }

  async remove(id: string): Promise<void> {
    this.#records.delete(id)
  }

  async open(sandboxId: string): Promise<ExecutionRecord[]> {
    return structuredClone(this.#of(sandboxId).filter((record) => record.state !== 'ended'))
  }

  /** Forgets the executions of a sandbox. @returns their ids. */
  forget(sandboxId: string): string[] {
    const ids = this.#of(sandboxId).map(({ id }) => id)
    for (const id of ids) this.#records.delete(id)
    return ids
  }

  #byKey(sandboxId: string, key: string): ExecutionRecord | undefined {
    return this.#of(sandboxId).find((record) => record.idempotencyKey === key)
  }

  #of(sandboxId: string): ExecutionRecord[] {
    return [...this.#records.values()].filter((record) => record.sandboxId === sandboxId)
  }
}

type ExecutionQuery = Parameters<ExecutionStore['list']>[0]

function matches(record: ExecutionRecord, query: ExecutionQuery): boolean {
  for (const field of ['state', 'kind', 'tag'] as const) {
    if (query[field] !== undefined && query[field] !== record[field]) return false
  }
  return query.since === undefined || record.createdAt >= query.since
}
