import type { KeyRecord } from '../../core/records.ts'
import type { Durability, KeyStore } from '../store.ts'
import type { Connection } from './connection.ts'
import { refusing } from './errors.ts'
import { keyCodec } from './schema.ts'

const { encode, decode } = keyCodec

export class SqliteKeys implements KeyStore {
  readonly #connection: Connection
  readonly #sync: (durability: Durability) => Promise<void>

  constructor(connection: Connection, sync: (durability: Durability) => Promise<void>) {
    this.#connection = connection
    this.#sync = sync
  }

  async insert(record: KeyRecord): Promise<void> {
    refusing(() => this.#connection.insert('keys', encode(record)))
    await this.#sync('power')
  }

  async findByHash(hash: string): Promise<KeyRecord | null> {
    const row = await this.#connection.db
      .selectFrom('keys')
      .selectAll()
      .where('hash', '=', hash)
      .executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  async list(): Promise<KeyRecord[]> {
    const rows = await this.#connection.db.selectFrom('keys').selectAll().orderBy('seq').execute()
    return rows.map(decode)
  }

  /** A revoked key must not come back with the power. */
  async remove(id: string): Promise<boolean> {
    const { numDeletedRows } = await this.#connection.db
      .deleteFrom('keys')
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    await this.#sync('power')
    return numDeletedRows > 0n
  }
}
