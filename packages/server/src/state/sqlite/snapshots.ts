import { SandboxError } from '@caisson/protocol/errors'
import type { SelectQueryBuilder } from 'kysely'
import type { SnapshotRecord } from '../../core/records.ts'
import type { Durability, SnapshotQuery, SnapshotStore, Telling } from '../store.ts'
import type { Connection } from './connection.ts'
import { refusing } from './errors.ts'
import { tell } from './events.ts'
import { type Schema, snapshotCodec } from './schema.ts'

const { encode, encodeSome, decode } = snapshotCodec

const SORT = {
  name: 'name',
  created: 'createdAt',
  size: 'sizeBytes',
  files: 'fileCount',
} as const satisfies Record<SnapshotQuery['sort'], keyof SnapshotRecord>

const UNTAG = 'update snapshots set tag = null, updatedAt = ? where name = ? and tag = ? and id <> ?'

export class SqliteSnapshots implements SnapshotStore {
  readonly #connection: Connection
  readonly #sync: (durability: Durability) => Promise<void>

  constructor(connection: Connection, sync: (durability: Durability) => Promise<void>) {
    this.#connection = connection
    this.#sync = sync
  }

  get #db() {
    return this.#connection.db
  }

  async insert(record: SnapshotRecord, { events = [] }: Telling = {}): Promise<void> {
    this.#connection.transact(() => {
      this.#takeTag(record)
      refusing(() => this.#connection.insert('snapshots', encode(record)))
      tell(this.#connection, events)
    })
    await this.#sync('power')
  }

  async get(id: string): Promise<SnapshotRecord | null> {
    return this.#get(id)
  }

  async matching(query: { name?: string; tag?: string }): Promise<SnapshotRecord[]> {
    const rows = await filter(this.#db.selectFrom('snapshots'), query).selectAll().orderBy('seq').execute()
    return rows.map(decode)
  }

  async list(query: SnapshotQuery): Promise<{ items: SnapshotRecord[]; total: number }> {
    const { direction, limit, offset, sort } = query
    const matching = filter(this.#db.selectFrom('snapshots'), query)
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

  async update(id: string, change: Parameters<SnapshotStore['update']>[1]): Promise<SnapshotRecord> {
    const { tag, updatedAt = Date.now() } = change
    const changed = this.#connection.transact(() => {
      const record = this.#get(id)
      if (record === null) throw new SandboxError('snapshot_not_found', { snapshot: id })
      if (tag !== undefined) this.#takeTag({ ...record, tag, updatedAt })
      this.#connection.update('snapshots', id, encodeSome(change))
      return { ...record, ...change }
    })
    if (tag !== undefined) await this.#sync('power')
    return changed
  }

  /** Flushed, as the save goes next: a snapshot that came back with the power would name nothing. */
  async remove(id: string): Promise<SnapshotRecord | null> {
    const removal = this.#db.deleteFrom('snapshots').where('id', '=', id).returningAll()
    const [row] = this.#connection.rows(removal)
    await this.#sync('power')
    return row === undefined ? null : decode(row)
  }

  #get(id: string): SnapshotRecord | null {
    const [row] = this.#connection.rows(this.#db.selectFrom('snapshots').selectAll().where('id', '=', id))
    return row === undefined ? null : decode(row)
  }

  #takeTag({ id, name, tag, updatedAt }: SnapshotRecord): void {
    if (tag !== null) this.#connection.run(UNTAG, [updatedAt, name, tag, id])
  }
}

function filter<O>(
  all: SelectQueryBuilder<Schema, 'snapshots', O>,
  query: Partial<SnapshotQuery>,
): SelectQueryBuilder<Schema, 'snapshots', O> {
  let matching = all
  for (const field of ['sandboxId', 'parentId', 'name', 'tag', 'contentHash'] as const) {
    const value = query[field]
    if (value !== undefined) matching = matching.where(field, '=', value)
  }
  return query.public === undefined ? matching : matching.where('public', '=', Number(query.public))
}
