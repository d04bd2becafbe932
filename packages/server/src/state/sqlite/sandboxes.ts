import { setImmediate } from 'node:timers/promises'
import { SandboxError } from '@caisson/protocol/errors'
import { type Compilable, type SelectQueryBuilder, sql } from 'kysely'
import type { SandboxRecord, SandboxState } from '../../core/records.ts'
import { changeable } from '../change.ts'
import type { Durability, SandboxQuery, SandboxStore, Telling } from '../store.ts'
import type { Connection } from './connection.ts'
import { violated } from './errors.ts'
import { telling } from './events.ts'
import { hasPairs } from './metadata.ts'
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

const FILTERS = ['name', 'mode', 'projectId', 'orgId', 'snapshotId', 'sessionId'] as const

type Purged = Awaited<ReturnType<SandboxStore['purge']>>

/** Rows of a kind that are forgotten at once, so that nobody waits long. */
const PIECE = 256

export class SqliteSandboxes implements SandboxStore {
  readonly #connection: Connection
  readonly #sync: (durability: Durability) => Promise<void>

  constructor(connection: Connection, sync: (durability: Durability) => Promise<void>) {
    this.#connection = connection
    this.#sync = sync
  }

  async insert(record: SandboxRecord, options: Telling & { durability?: Durability } = {}): Promise<void> {
    const { durability = 'power', events = [] } = options
    try {
      telling(this.#connection, events, () => this.#connection.insert('sandboxes', encode(record)))
    } catch (error) {
      throw await this.#refusal(error, record)
    }
    await this.#sync(durability)
  }

  get #db() {
    return this.#connection.db
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
    options: Telling & { ifVersion?: number; durability?: Durability } = {},
  ): Promise<SandboxRecord> {
    const { ifVersion, durability = 'power', events = [] } = options
    let update = this.#db
      .updateTable('sandboxes')
      .set(encodeSome({ updatedAt: Date.now(), ...changeable(change) }))
      .set(({ eb }) => ({ version: eb('version', '+', 1) }))
      .where('id', '=', id)
    if (ifVersion !== undefined) update = update.where('version', '=', ifVersion)
    try {
      const row = telling(this.#connection, events, () => {
        const [changed] = this.#connection.rows(update.returningAll())
        if (changed === undefined) throw this.#missing(id)
        return changed
      })
      await this.#sync(durability)
      return decode(row)
    } catch (error) {
      throw await this.#refusal(error, change)
    }
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
    const purged: Purged = { sandboxes: [], executions: [] }
    for (let more = true; more; ) {
      more = this.#connection.transact(() => this.#purgePiece(time, purged))
      // The database works in this thread: others are heard between two pieces.
      await setImmediate()
    }
    return purged
  }

  /** Forgets one sandbox, or so much of it as is a piece. @returns whether there is more. */
  #purgePiece(time: number, purged: Purged): boolean {
    const { sandboxes, executions } = purged
    const db = this.#db
    const rows = <T>(query: Compilable<T>) => this.#connection.rows(query)
    const [old] = rows(db.selectFrom('sandboxes').select('id').where('endedAt', '<', time).limit(1))
    if (old === undefined) return false
    const of = (table: 'executions' | 'events') =>
      db.selectFrom(table).select('seq').where('sandboxId', '=', old.id).limit(PIECE)
    const gone = rows(db.deleteFrom('executions').where('seq', 'in', of('executions')).returning('id'))
    const told = rows(db.deleteFrom('events').where('seq', 'in', of('events')).returning('id'))
    for (const { id } of gone) executions.push(id)
    if (gone.length === PIECE || told.length === PIECE) return true
    // They are few enough for one piece.
    for (const table of ['destinations', 'checkpoints', 'sessions'] as const)
      rows(db.deleteFrom(table).where('sandboxId', '=', old.id))
    rows(db.deleteFrom('sandboxes').where('id', '=', old.id))
    sandboxes.push(old.id)
    return true
  }

  async #one(query: SelectQueryBuilder<Schema, 'sandboxes', object>): Promise<SandboxRecord | null> {
    const row = await query.selectAll().executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  #missing(id: string): SandboxError {
    const known = this.#connection.rows(this.#db.selectFrom('sandboxes').select('id').where('id', '=', id))
    if (known.length === 0) return new SandboxError('sandbox_not_found', { sandbox: id })
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
  for (const field of FILTERS) {
    const value = query[field]
    if (value !== undefined) matching = matching.where(field, '=', value)
  }
  if (query.states !== undefined) matching = matching.where('state', 'in', query.states)
  if (query.memory !== undefined) matching = matching.where(keeps(query.memory))
  if (query.busy !== undefined) matching = matching.where(isBusy(query.busy))
  if (query.metadata !== undefined) matching = matching.where(hasPairs('sandboxes', query.metadata))
  if (query.template !== undefined) matching = matching.where(madeFrom(query.template))
  if (query.createdAfter !== undefined) matching = matching.where('createdAt', '>=', query.createdAfter)
  if (query.volume !== undefined) matching = matching.where(hasMounted(query.volume))
  return query.internal === true ? matching : matching.where('internal', 'is', null)
}

function keeps(memory: NonNullable<SandboxQuery['memory']>) {
  const listed = sql`select value from json_each(${JSON.stringify(memory)})`
  return sql<boolean>`(state <> 'paused' or coalesce(pause ->> '$.memory', 'none') in (${listed}))`
}

function madeFrom(template: string) {
  return sql<boolean>`(templateId = ${template} or snapshotId = ${template} or runtime = ${template})`
}

/** The first condition is the partial index's. */
function hasMounted(volume: string) {
  return sql<boolean>`(volumes <> '[]' and exists (
    select 1 from json_each(volumes) as used where used.value ->> '$.volume' = ${volume}
  ))`
}

/** A list of any length is one parameter, so that the statement stays the same. */
function isBusy({ ids, value }: NonNullable<SandboxQuery['busy']>) {
  const listed = sql<boolean>`id in (select value from json_each(${JSON.stringify(ids)}))`
  return value
    ? sql<boolean>`(state <> 'ready' or ${listed})`
    : sql<boolean>`(state <> 'ready' or not ${listed})`
}
