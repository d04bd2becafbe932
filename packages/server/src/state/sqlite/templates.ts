import { SandboxError } from '@caisson/protocol/errors'
import type { TemplateRecord, TemplateTagRecord } from '../../core/records.ts'
import type { Durability, TemplateStore } from '../store.ts'
import type { Connection } from './connection.ts'
import { refusing } from './errors.ts'
import { templateCodec, templateTagCodec } from './schema.ts'

const { encode, encodeSome, decode } = templateCodec

type Query = Parameters<TemplateStore['list']>[0]

const SORT = { name: 'name', created: 'createdAt' } as const satisfies Record<
  Query['sort'],
  keyof TemplateRecord
>

export class SqliteTemplates implements TemplateStore {
  readonly #connection: Connection
  readonly #sync: (durability: Durability) => Promise<void>

  constructor(connection: Connection, sync: (durability: Durability) => Promise<void>) {
    this.#connection = connection
    this.#sync = sync
  }

  get #db() {
    return this.#connection.db
  }

  async findOrInsert(record: TemplateRecord): Promise<TemplateRecord> {
    const found = this.#connection.transact(() => {
      const named = this.#db.selectFrom('templates').selectAll().where('name', '=', record.name)
      const [row] = this.#connection.rows(named)
      if (row !== undefined) return decode(row)
      refusing(() => this.#connection.insert('templates', encode(record)))
      return record
    })
    await this.#sync('power')
    return found
  }

  /** An id comes before a name that looks like it. */
  async find(idOrName: string): Promise<TemplateRecord | null> {
    const row = await this.#db
      .selectFrom('templates')
      .selectAll()
      .where(({ eb, or }) => or([eb('id', '=', idOrName), eb('name', '=', idOrName)]))
      .orderBy(({ eb }) => eb('id', '=', idOrName), 'desc')
      .executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  async list({ sort, direction, limit, offset }: Query): Promise<{ items: TemplateRecord[]; total: number }> {
    const rows = await this.#db
      .selectFrom('templates')
      .selectAll()
      .orderBy(SORT[sort], direction)
      .orderBy('seq', direction)
      .limit(limit)
      .offset(offset)
      .execute()
    const { total } = await this.#db
      .selectFrom('templates')
      .select(({ fn }) => fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow()
    return { items: rows.map(decode), total }
  }

  async update(id: string, change: Parameters<TemplateStore['update']>[1]): Promise<TemplateRecord> {
    const changed = this.#connection.transact(() => {
      const known = this.#db.selectFrom('templates').selectAll().where('id', '=', id)
      const [row] = this.#connection.rows(known)
      if (row === undefined) throw new SandboxError('template_not_found', { template: id })
      this.#connection.update('templates', id, encodeSome(change))
      return { ...decode(row), ...change }
    })
    await this.#sync('power')
    return changed
  }

  /** Flushed, as the saves go next: a build that came back with the power would name nothing. */
  async remove(id: string): Promise<void> {
    await this.#db.deleteFrom('templates').where('id', '=', id).execute()
    await this.#sync('power')
  }

  async tags(templateId: string): Promise<TemplateTagRecord[]> {
    const rows = await this.#db
      .selectFrom('template_tags')
      .selectAll()
      .where('templateId', '=', templateId)
      .orderBy('createdAt', 'desc')
      .orderBy('seq', 'desc')
      .execute()
    return rows.map(templateTagCodec.decode)
  }

  async tag(records: TemplateTagRecord[]): Promise<void> {
    this.#connection.transact(() => {
      for (const { templateId } of records) this.#assertTemplate(templateId)
      putTags(this.#connection, records)
    })
    await this.#sync('power')
  }

  async untag(templateId: string, tags: string[]): Promise<void> {
    await this.#db
      .deleteFrom('template_tags')
      .where('templateId', '=', templateId)
      .where('tag', 'in', tags)
      .execute()
    await this.#sync('power')
  }

  #assertTemplate(id: string): void {
    const known = this.#db.selectFrom('templates').select('id').where('id', '=', id)
    if (this.#connection.rows(known).length === 0)
      throw new SandboxError('template_not_found', { template: id })
  }
}

/** Takes them from whatever had them. Part of the caller's transaction. */
export function putTags(connection: Connection, records: TemplateTagRecord[]): void {
  for (const record of records) {
    connection.run('delete from template_tags where templateId = ? and tag = ?', [
      record.templateId,
      record.tag,
    ])
    connection.insert('template_tags', templateTagCodec.encode(record))
  }
}
