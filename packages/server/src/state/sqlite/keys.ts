import { SandboxError } from '@caisson/protocol/errors'
import type { Kysely } from 'kysely'
import type { KeyRecord } from '../../core/records.ts'
import type { Durability, KeyStore } from '../store.ts'
import { violated } from './errors.ts'
import { keyCodec, type Schema } from './schema.ts'

const { encode, decode } = keyCodec

export class SqliteKeys implements KeyStore {
  readonly #db: Kysely<Schema>
  readonly #sync: (durability: Durability) => Promise<void>

  constructor(db: Kysely<Schema>, sync: (durability: Durability) => Promise<void>) {
    this.#db = db
    this.#sync = sync
  }

  async insert(record: KeyRecord): Promise<void> {
    try {
      await this.#db.insertInto('keys').values(encode(record)).execute()
    } catch (error) {
      const column = violated(error)
      if (column === null) throw error
      throw new SandboxError('conflict', { what: column }, { cause: error })
    }
    await this.#sync('power')
  }

  async findByHash(hash: string): Promise<KeyRecord | null> {
    const row = await this.#db.selectFrom('keys').selectAll().where('hash', '=', hash).executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  async list(): Promise<KeyRecord[]> {
    const rows = await this.#db.selectFrom('keys').selectAll().orderBy('seq').execute()
    return rows.map(decode)
  }

  /** A revoked key must not come back with the power. */
  async remove(id: string): Promise<boolean> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('keys')
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    await this.#sync('power')
    return numDeletedRows > 0n
  }
}
