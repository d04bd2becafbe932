import { SandboxError } from '@caisson/protocol/errors'
import { sql } from 'kysely'
import type { BuildLogRecord, BuildRecord } from '../../core/records.ts'
import type { BuildStore, Durability } from '../store.ts'
import type { Connection } from './connection.ts'
import { refusing } from './errors.ts'
import { buildCodec } from './schema.ts'
import { putTags } from './templates.ts'

const { encode, encodeSome, decode } = buildCodec

/** Written as quoted texts, so that SQLite sees that the partial index covers it. */
const OPEN = "status in ('waiting', 'building')"

const PURGE = `
  delete from builds where id not in (select buildId from template_tags) and (
    (status = 'waiting' and "from" is null and createdAt < ?) or endedAt < ?
  )`

export class SqliteBuilds implements BuildStore {
  readonly #connection: Connection
  readonly #sync: (durability: Durability) => Promise<void>

  constructor(connection: Connection, sync: (durability: Durability) => Promise<void>) {
    this.#connection = connection
    this.#sync = sync
  }

  get #db() {
    return this.#connection.db
  }

  async insert(record: BuildRecord): Promise<void> {
    refusing(() => this.#connection.insert('builds', encode(record)))
    await this.#sync('power')
  }

  async get(id: string): Promise<BuildRecord | null> {
    return this.#get(id)
  }

  async update(
    id: string,
    change: Parameters<BuildStore['update']>[1],
    { ifStatus, tags = [] }: Parameters<BuildStore['update']>[2] = {},
  ): Promise<BuildRecord> {
    const changed = this.#connection.transact(() => {
      const record = this.#get(id)
      if (record === null) throw new SandboxError('build_not_found', { build: id })
      const { status } = record
      if (ifStatus !== undefined && status !== ifStatus)
        throw new SandboxError('build_state', { build: id, status, event: 'change' })
      this.#connection.update('builds', id, encodeSome(change))
      putTags(this.#connection, tags)
      return { ...record, ...change }
    })
    await this.#sync('power')
    return changed
  }

  async open(): Promise<BuildRecord[]> {
    return this.#where(OPEN)
  }

  async ready(): Promise<BuildRecord[]> {
    return this.#where("status = 'ready'")
  }

  async purge(time: number): Promise<void> {
    this.#connection.run(PURGE, [time, time])
  }

  async log(records: BuildLogRecord[]): Promise<void> {
    this.#connection.transact(() => {
      for (const record of records) {
        // A template may go in the middle of its build.
        const known = this.#db.selectFrom('builds').select('id').where('id', '=', record.buildId)
        if (this.#connection.rows(known).length > 0) this.#connection.insert('build_logs', record)
      }
    })
  }

  async readLog(buildId: string, offset: number, limit: number): Promise<BuildLogRecord[]> {
    return this.#db
      .selectFrom('build_logs')
      .selectAll()
      .where('buildId', '=', buildId)
      .where('entry', '>=', offset)
      .orderBy('entry')
      .limit(limit)
      .execute()
  }

  #get(id: string): BuildRecord | null {
    const [row] = this.#connection.rows(this.#db.selectFrom('builds').selectAll().where('id', '=', id))
    return row === undefined ? null : decode(row)
  }

  async #where(condition: string): Promise<BuildRecord[]> {
    const rows = await this.#db
      .selectFrom('builds')
      .selectAll()
      .where(sql<boolean>`${sql.raw(condition)}`)
      .orderBy('seq')
      .execute()
    return rows.map(decode)
  }
}
