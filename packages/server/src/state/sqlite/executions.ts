import { SandboxError } from '@caisson/protocol/errors'
import type { Kysely } from 'kysely'
import type { ExecutionRecord } from '../../core/records.ts'
import type { ExecutionStore } from '../store.ts'
import { violated } from './errors.ts'
import { executionCodec, type Schema } from './schema.ts'

const { encode, encodeSome, decode } = executionCodec

/** Executions end with the host's power, so their records are never flushed to the disk. */
export class SqliteExecutions implements ExecutionStore {
  readonly #db: Kysely<Schema>

  constructor(db: Kysely<Schema>) {
    this.#db = db
  }

  /** The sandbox's `version` stays: counting is no change that another writer could contradict. */
  async insert(record: ExecutionRecord): Promise<void> {
    const { createdAt, sandboxId } = record
    await this.#db.transaction().execute(async (tx) => {
      const counted = await tx
        .updateTable('sandboxes')
        .set(({ eb, fn, val }) => ({
          executionCount: eb('executionCount', '+', 1),
          lastActiveAt: fn<number>('max', ['lastActiveAt', val(createdAt)]),
        }))
        .where('id', '=', sandboxId)
        .executeTakeFirstOrThrow()
      if (counted.numUpdatedRows === 0n) throw new SandboxError('sandbox_not_found', { sandbox: sandboxId })
      await tx.insertInto('executions').values(encode(record)).execute().catch(refuse)
    })
  }

  async get(id: string): Promise<ExecutionRecord | null> {
    const row = await this.#db.selectFrom('executions').selectAll().where('id', '=', id).executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  async findByIdempotencyKey(sandboxId: string, key: string): Promise<ExecutionRecord | null> {
    const row = await this.#db
      .selectFrom('executions')
      .selectAll()
      .where('sandboxId', '=', sandboxId)
      .where('idempotencyKey', '=', key)
      .executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  async list(
    query: Parameters<ExecutionStore['list']>[0],
  ): Promise<{ items: ExecutionRecord[]; total: number }> {
    const { direction, limit, offset, sandboxId } = query
    const matching = this.#db.selectFrom('executions').where('sandboxId', '=', sandboxId)
    const rows = await matching.selectAll().orderBy('seq', direction).limit(limit).offset(offset).execute()
    const { total } = await matching
      .select(({ fn }) => fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow()
    return { items: rows.map(decode), total }
  }

  async update(id: string, change: Partial<ExecutionRecord>): Promise<void> {
    const { id: _id, sandboxId: _sandbox, ...rest } = change
    const { numUpdatedRows } = await this.#db
      .updateTable('executions')
      // The id is set to itself, because a change of nothing would be no SQL.
      .set({ id, ...encodeSome(rest) })
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    if (numUpdatedRows === 0n) throw new SandboxError('execution_not_found', { execution: id })
  }

  async remove(id: string): Promise<void> {
    await this.#db.deleteFrom('executions').where('id', '=', id).execute()
  }

  async open(sandboxId: string): Promise<ExecutionRecord[]> {
    const rows = await this.#db
      .selectFrom('executions')
      .selectAll()
      .where('sandboxId', '=', sandboxId)
      .where('state', '<>', 'ended')
      .orderBy('seq')
      .execute()
    return rows.map(decode)
  }
}

function refuse(error: unknown): never {
  const column = violated(error)
  if (column === null) throw error
  throw new SandboxError('conflict', { what: column }, { cause: error })
}
