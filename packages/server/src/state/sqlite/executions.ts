import { SandboxError } from '@caisson/protocol/errors'
import { type SelectQueryBuilder, sql } from 'kysely'
import { isProgramId } from '../../core/ids.ts'
import type { ExecutionRecord } from '../../core/records.ts'
import type { ExecutionStore, Telling } from '../store.ts'
import type { Connection } from './connection.ts'
import { refusing } from './errors.ts'
import { tell, telling } from './events.ts'
import { executionCodec, type Schema } from './schema.ts'

const { encode, encodeSome, decode } = executionCodec

const COUNT =
  'update sandboxes set executionCount = executionCount + ?, lastActiveAt = max(lastActiveAt, ?) where id = ?'

/** Executions end with the host's power, so their records are never flushed to the disk. */
export class SqliteExecutions implements ExecutionStore {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** The sandbox's `version` stays: counting is no change that another writer could contradict. */
  async insert(record: ExecutionRecord, { events = [] }: Telling = {}): Promise<void> {
    const { id, createdAt, sandboxId } = record
    const connection = this.#connection
    // What a sandbox runs by itself is neither counted nor activity.
    const counted = isProgramId(id) ? [0, 0] : [1, createdAt]
    connection.transact(() => {
      if (connection.run(COUNT, [...counted, sandboxId]) === 0) {
        throw new SandboxError('sandbox_not_found', { sandbox: sandboxId })
      }
      refusing(() => connection.insert('executions', encode(record)))
      tell(connection, events)
    })
  }

  async get(id: string): Promise<ExecutionRecord | null> {
    const row = await this.#connection.db
      .selectFrom('executions')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  async findByIdempotencyKey(sandboxId: string, key: string): Promise<ExecutionRecord | null> {
    const row = await this.#connection.db
      .selectFrom('executions')
      .selectAll()
      .where('sandboxId', '=', sandboxId)
      .where('idempotencyKey', '=', key)
      .executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  async list(query: ExecutionQuery): Promise<{ items: ExecutionRecord[]; total: number }> {
    const { direction, limit, offset } = query
    const matching = filter(this.#connection.db.selectFrom('executions'), query)
    const rows = await matching.selectAll().orderBy('seq', direction).limit(limit).offset(offset).execute()
    const { total } = await matching
      .select(({ fn }) => fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow()
    return { items: rows.map(decode), total }
  }

  async update(id: string, change: Partial<ExecutionRecord>, { events = [] }: Telling = {}): Promise<void> {
    const { id: _id, sandboxId: _sandbox, ...rest } = change
    telling(this.#connection, events, () => {
      if (this.#connection.update('executions', id, encodeSome(rest))) return
      throw new SandboxError('execution_not_found', { execution: id })
    })
  }

  async remove(id: string): Promise<void> {
    await this.#connection.db.deleteFrom('executions').where('id', '=', id).execute()
  }

  async open(sandboxId: string): Promise<ExecutionRecord[]> {
    const all = this.#connection.db.selectFrom('executions').where('sandboxId', '=', sandboxId)
    const rows = await all.where(isOpen).selectAll().orderBy('seq').execute()
    return rows.map(decode)
  }
}

type ExecutionQuery = Parameters<ExecutionStore['list']>[0]

/** Terms of partial indexes stand in the text of a statement: SQLite chooses none for the value of a parameter. */
const isOpen = sql<boolean>`state <> 'ended'`
const IS_KIND = {
  command: sql<boolean>`kind = 'command'`,
  job: sql<boolean>`kind = 'job'`,
} as const satisfies Record<ExecutionRecord['kind'], unknown>

function filter<O>(
  all: SelectQueryBuilder<Schema, 'executions', O>,
  query: ExecutionQuery,
): SelectQueryBuilder<Schema, 'executions', O> {
  let matching = all.where('sandboxId', '=', query.sandboxId)
  if (query.state !== undefined) matching = matching.where('state', '=', query.state)
  if (query.state !== undefined && query.state !== 'ended') matching = matching.where(isOpen)
  if (query.kind !== undefined) matching = matching.where(IS_KIND[query.kind])
  if (query.tag !== undefined) matching = matching.where('tag', '=', query.tag)
  if (query.since !== undefined) matching = matching.where('createdAt', '>=', query.since)
  return matching
}
