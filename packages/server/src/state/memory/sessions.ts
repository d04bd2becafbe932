import { SandboxError } from '@caisson/protocol/errors'
import type { SandboxRecord, SessionRecord } from '../../core/records.ts'
import { sessionStatus } from '../../core/session-status.ts'
import type { SessionQuery, SessionStore, Telling } from '../store.ts'
import type { MemorySandboxes } from './sandboxes.ts'
import { hasPairs, paged, type SortKey } from './sorting.ts'

type Item = { session: SessionRecord; sandbox: SandboxRecord | null }

const SORT: Record<SessionQuery['sort'], (item: Item) => SortKey> = {
  name: ({ session }) => session.name,
  created: ({ session }) => session.createdAt,
  updated: ({ session }) => session.updatedAt,
}

export class MemorySessions implements SessionStore {
  readonly #sandboxes: MemorySandboxes
  readonly #records = new Map<string, SessionRecord>()

  constructor(sandboxes: MemorySandboxes) {
    this.#sandboxes = sandboxes
  }

  async insert(record: SessionRecord, sandbox: SandboxRecord, options: Telling = {}): Promise<void> {
    for (const other of this.#records.values()) assertNoClash(record, other)
    await this.#sandboxes.insert(sandbox, options)
    this.#records.set(record.id, structuredClone(record))
  }

  async get(id: string): Promise<SessionRecord | null> {
    return structuredClone(this.#records.get(id) ?? null)
  }

  async findByName(name: string): Promise<SessionRecord | null> {
    return this.#find((record) => record.name === name && record.deletedAt === null)
  }

  async findByIdempotencyKey(key: string): Promise<SessionRecord | null> {
    return this.#find((record) => record.idempotencyKey === key)
  }

  async list(query: SessionQuery): Promise<{ items: Item[]; total: number }> {
    const all = [...this.#records.values()].map((session) => ({
      session,
      sandbox: this.#sandboxes.known(session.sandboxId),
    }))
    const matching = all.filter((item) => matches(item, query))
    return paged(matching, SORT[query.sort], query)
  }

  async update(id: string, change: Parameters<SessionStore['update']>[1]): Promise<SessionRecord> {
    const record = this.#records.get(id)
    if (record === undefined) throw new SandboxError('session_not_found', { session: id })
    Object.assign(record, change)
    return structuredClone(record)
  }

  /** Forgets the session of a sandbox. */
  forget(sandboxId: string): void {
    for (const [id, record] of this.#records) if (record.sandboxId === sandboxId) this.#records.delete(id)
  }

  #find(is: (record: SessionRecord) => boolean): SessionRecord | null {
    return structuredClone([...this.#records.values()].find(is) ?? null)
  }
}

function assertNoClash(record: SessionRecord, other: SessionRecord): void {
  if (other.id === record.id) throw new SandboxError('conflict', { what: 'sessions.id' })
  if (record.idempotencyKey !== null && other.idempotencyKey === record.idempotencyKey)
    throw new SandboxError('conflict', { what: 'sessions.idempotencyKey' })
  if (other.sandboxId === record.sandboxId) throw new SandboxError('conflict', { what: 'sessions.sandboxId' })
  if (record.deletedAt !== null || other.deletedAt !== null || record.name === null) return
  if (other.name === record.name)
    throw new SandboxError('name_taken', { name: record.name, sandbox: other.sandboxId })
}

function matches({ session, sandbox }: Item, query: SessionQuery): boolean {
  for (const field of ['name', 'projectId', 'orgId'] as const) {
    if (query[field] !== undefined && query[field] !== session[field]) return false
  }
  const status = sessionStatus(session, sandbox)
  if (query.status === undefined ? !query.all && status === 'deleted' : query.status !== status) return false
  return hasPairs(session.metadata, query.metadata)
}
