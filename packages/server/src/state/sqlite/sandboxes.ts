import { SandboxError } from '@caisson/protocol/errors'
import { type Kysely, type SelectQueryBuilder, sql } from 'kysely'
import type { SandboxRecord, SandboxState } from '../../core/records.ts'
import { changeable } from '../change.ts'
import type { Durability, SandboxQuery, SandboxStore } from '../store.ts'
import { violated } from './errors.ts'
import { LIVE, type Schema, sandboxCodec } from './schema.ts'

const { encode, encodeSome, decode } = sandboxCodec
const isLive = sql<boolean>`${sql.raw(LIVE)}`

const SORT = {
  name: 'name',
  created: 'createdAt',
  updated: 'updatedAt',
  status: 'state',
  mode: 'mode',
  execution_count: 'executionCount',
} as const satisfies Record<SandboxQuery['sort'], keyof SandboxRecord>

export class SqliteSandboxes implements SandboxStore {
  readonly #db: Kysely<Schema>
  readonly #sync: (durability: Durability) => Promise<void>

  constructor(db: Kysely<Schema>, sync: (durability: Durability) => Promise<void>) {
    this.#db = db
    this.#sync = sync
  }

  async insert(record: SandboxRecord, durability: Durability = 'power'): Promise<void> {
    try {
      await this.#db.insertInto('sandboxes').values(encode(record)).execute()
    } catch (error) {
      throw await this.#refusal(error, record)
    }
    await this.#sync(durability)
  }

  get(id: string): Promise<SandboxRecord | null> {
    return this.#one(this.#db.selectFrom('sandboxes').where('id', '=', id))
  }

  findByName(name: string): Promise<SandboxRecord | null> {
    return this.#one(this.#db.selectFrom('sandboxes').where('name', '=', name).where(isLive))
  }

  findByIdempotencyKey(key: string): Promise<SandboxRecord | null> {
    return this.#one(this.#db.selectFrom('sandboxes').where('idempotencyKey', '=', key))
  }

  async list(query: SandboxQuery): Promise<{ items: SandboxRecord[]; total: number }> {
    const matching = filter(this.#db.selectFrom('sandboxes'), query)
    const { direction, limit, offset, sort } = query
    const rows = await matching
      .selectAll()
      .orderBy(SORT[sort], (by) => (direction === 'asc' ? by.asc() : by.desc()).nullsLast())
      .orderBy('seq', direction)
      .limit(limit)
      .offset(offset)
      .execute()
    const { total } = await matching
      .select(({ fn }) => fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow()
    return { items: rows.map(decode), total }
  }

  async update(
    id: string,
    change: Partial<SandboxRecord>,
    options: { ifVersion?: number; durability?: Durability } = {},
  ): Promise<SandboxRecord> {
    const { ifVersion, durability = 'power' } = options
    let update = this.#db
      .updateTable('sandboxes')
      .set(encodeSome({ updatedAt: Date.now(), ...changeable(change) }))
      .set(({ eb }) => ({ version: eb('version', '+', 1) }))
      .where('id', '=', id)
    if (ifVersion !== undefined) update = update.where('version', '=', ifVersion)
    const row = await update
      .returningAll()
      .executeTakeFirst()
      .catch(async (error) => {
        throw await this.#refusal(error, change)
      })
    if (row === undefined) throw await this.#missing(id)
    await this.#sync(durability)
    return decode(row)
  }

  async inStates(states: SandboxState[]): Promise<SandboxRecord[]> {
    const rows = await this.#db
      .selectFrom('sandboxes')
      .selectAll()
      .where('state', 'in', states)
      .orderBy('seq')
      .execute()
    return rows.map(decode)
  }

  async purge(time: number): Promise<{ sandboxes: string[]; executions: string[] }> {
    return this.#db.transaction().execute(async (tx) => {
      const ended = tx.selectFrom('sandboxes').select('id').where('endedAt', '<', time)
      const executions = await tx
        .deleteFrom('executions')
        .where('sandboxId', 'in', ended)
        .returning('id')
        .execute()
      const sandboxes = await tx.deleteFrom('sandboxes').where('endedAt', '<', time).returning('id').execute()
      return { sandboxes: sandboxes.map(({ id }) => id), executions: executions.map(({ id }) => id) }
    })
  }

  async #one(query: SelectQueryBuilder<Schema, 'sandboxes', object>): Promise<SandboxRecord | null> {
    const row = await query.selectAll().executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  async #missing(id: string): Promise<SandboxError> {
    if ((await this.get(id)) === null) return new SandboxError('sandbox_not_found', { sandbox: id })
    return new SandboxError('conflict', { what: `Sandbox ${id}` })
  }

  async #refusal(error: unknown, record: Partial<SandboxRecord>): Promise<unknown> {
    const column = violated(error)
    if (column === null) return error
    if (column !== 'sandboxes.name') return new SandboxError('conflict', { what: column }, { cause: error })
    const name = record.name ?? ''
    const holder = await this.findByName(name)
    return new SandboxError(
      'name_taken',
      { name, sandbox: holder?.id ?? 'that has just ended' },
      { cause: error },
    )
  }
}

function filter<O>(
  all: SelectQueryBuilder<Schema, 'sandboxes', O>,
  query: SandboxQuery,
): SelectQueryBuilder<Schema, 'sandboxes', O> {
  let matching = all
  for (const field of ['name', 'mode', 'projectId', 'orgId'] as const) {
    const value = query[field]
    if (value !== undefined) matching = matching.where(field, '=', value)
  }
  if (query.states !== undefined) matching = matching.where('state', 'in', query.states)
  if (query.busy !== undefined) matching = matching.where(isBusy(query.busy))
  if (query.metadata !== undefined) matching = matching.where(hasPairs(query.metadata))
  return matching
}

/** A list of any length is one parameter, so that the statement stays the same. */
function isBusy({ ids, value }: NonNullable<SandboxQuery['busy']>) {
  const listed = sql<boolean>`id in (select value from json_each(${JSON.stringify(ids)}))`
  return value
    ? sql<boolean>`(state <> 'ready' or ${listed})`
    : sql<boolean>`(state <> 'ready' or not ${listed})`
}

function hasPairs(pairs: Record<string, string>) {
  return sql<boolean>`not exists (
    select 1 from json_each(${JSON.stringify(pairs)}) as wanted
    where not exists (
      select 1 from json_each(sandboxes.metadata) as present
      where present.key = wanted.key and present.value = wanted.value
    )
  )`
}
