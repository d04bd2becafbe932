import { SandboxError } from '@caisson/protocol/errors'
import { type Compilable, type SelectQueryBuilder, sql } from 'kysely'
import type { SandboxRecord, SessionRecord } from '../../core/records.ts'
import type { Durability, SessionQuery, SessionStore, Telling } from '../store.ts'
import type { Connection } from './connection.ts'
import { violated } from './errors.ts'
import { tell } from './events.ts'
import { hasPairs } from './metadata.ts'
import { LIVE, type Schema, sandboxCodec, sessionCodec } from './schema.ts'

const { encode, encodeSome, decode } = sessionCodec

const SORT = {
  name: 'name',
  created: 'createdAt',
  updated: 'updatedAt',
} as const satisfies Record<SessionQuery['sort'], keyof SessionRecord>

/** What `sessionStatus` in core/session-status.ts says, for a session joined with its sandbox. */
const STATUS = sql<NonNullable<SessionQuery['status']>>`case
  when sessions.deletedAt is not null or sandboxes.state in ('stopping', 'terminated', 'failed') then 'deleted'
  when sandboxes.state not in ('pausing', 'paused') then 'active'
  when sandboxes.bootedAt is null then 'recorded'
  else 'paused' end`

export class SqliteSessions implements SessionStore {
  readonly #connection: Connection
  readonly #sync: (durability: Durability) => Promise<void>

  constructor(connection: Connection, sync: (durability: Durability) => Promise<void>) {
    this.#connection = connection
    this.#sync = sync
  }

  get #db() {
    return this.#connection.db
  }

  async insert(record: SessionRecord, sandbox: SandboxRecord, { events = [] }: Telling = {}): Promise<void> {
    try {
      this.#connection.transact(() => {
        this.#connection.insert('sandboxes', sandboxCodec.encode(sandbox))
        this.#connection.insert('sessions', encode(record))
        tell(this.#connection, events)
      })
    } catch (error) {
      throw this.#refusal(error, record, sandbox)
    }
    await this.#sync('power')
  }

  get(id: string): Promise<SessionRecord | null> {
    return this.#one(this.#db.selectFrom('sessions').where('id', '=', id))
  }

  findByName(name: string): Promise<SessionRecord | null> {
    return this.#one(this.#db.selectFrom('sessions').where('name', '=', name).where('deletedAt', 'is', null))
  }

  findByIdempotencyKey(key: string): Promise<SessionRecord | null> {
    return this.#one(this.#db.selectFrom('sessions').where('idempotencyKey', '=', key))
  }

  /** Both statements run at once, so that a session is told with the sandbox that it was chosen for. */
  async list(query: SessionQuery): ReturnType<SessionStore['list']> {
    const { direction, limit, offset, sort } = query
    const matching = filter(
      this.#db.selectFrom('sessions').innerJoin('sandboxes', 'sandboxes.id', 'sessions.sandboxId'),
      query,
    )
    const page = matching
      .selectAll('sessions')
      .orderBy(`sessions.${SORT[sort]}`, (by) => (direction === 'asc' ? by.asc() : by.desc()).nullsLast())
      .orderBy('sessions.seq', direction)
      .limit(limit)
      .offset(offset)
    const sessions = this.#connection.rows(page).map(decode)
    const sandboxes = this.#sandboxes(sessions.map(({ sandboxId }) => sandboxId))
    const count = matching.select(({ fn }) => fn.countAll<number>().as('total'))
    const items = sessions.map((session) => ({ session, sandbox: sandboxes.get(session.sandboxId) ?? null }))
    return { items, total: this.#connection.rows(count)[0]?.total ?? 0 }
  }

  async update(id: string, change: Parameters<SessionStore['update']>[1]): Promise<SessionRecord> {
    const changed = this.#connection.update('sessions', id, encodeSome(change))
    if (!changed) throw new SandboxError('session_not_found', { session: id })
    await this.#sync('power')
    return (await this.get(id)) as SessionRecord
  }

  #sandboxes(ids: string[]): Map<string, SandboxRecord> {
    const listed = sql<boolean>`id in (select value from json_each(${JSON.stringify(ids)}))`
    const rows = this.#connection.rows(this.#db.selectFrom('sandboxes').selectAll().where(listed))
    return new Map(rows.map((row) => [row.id, sandboxCodec.decode(row)]))
  }

  async #one(query: SelectQueryBuilder<Schema, 'sessions', object>): Promise<SessionRecord | null> {
    const row = await query.selectAll().executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  #refusal(error: unknown, session: SessionRecord, sandbox: SandboxRecord): unknown {
    const column = violated(error)
    if (column === null) return error
    const db = this.#db
    if (column === 'sessions.name') {
      const named = db.selectFrom('sessions').where('name', '=', session.name).where('deletedAt', 'is', null)
      return this.#taken(error, session.name, named.select('sandboxId as id'))
    }
    if (column === 'sandboxes.name') {
      const named = db.selectFrom('sandboxes').where('name', '=', sandbox.name).where(sql.raw<boolean>(LIVE))
      return this.#taken(error, sandbox.name, named.select('id'))
    }
    return new SandboxError('conflict', { what: column }, { cause: error })
  }

  /** The write that was refused and this one run at once: the holder is there. */
  #taken(cause: unknown, name: string | null, holder: Compilable<{ id: string }>): SandboxError {
    const [known] = this.#connection.rows(holder)
    return new SandboxError('name_taken', { name: name ?? '', sandbox: known?.id ?? '' }, { cause })
  }
}

type Joined<O> = SelectQueryBuilder<Schema, 'sessions' | 'sandboxes', O>

function filter<O>(all: Joined<O>, query: SessionQuery): Joined<O> {
  let matching = all
  for (const field of ['name', 'projectId', 'orgId'] as const) {
    const value = query[field]
    if (value !== undefined) matching = matching.where(`sessions.${field}`, '=', value)
  }
  const { all: everyone = false, metadata, status } = query
  if (status !== undefined) matching = matching.where(STATUS, '=', status)
  else if (!everyone) matching = matching.where(STATUS, '<>', 'deleted')
  return metadata === undefined ? matching : matching.where(hasPairs('sessions', metadata))
}
