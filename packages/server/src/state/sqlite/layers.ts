import type { LayerRecord } from '../../core/records.ts'
import type { LayerStore } from '../store.ts'
import type { Connection } from './connection.ts'
import { refusing } from './errors.ts'
import { layerCodec } from './schema.ts'

const { encode, decode } = layerCodec

/** Not flushed to the disk: a layer that a power cut takes is installed again, and its save is garbage. */
export class SqliteLayers implements LayerStore {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  get #db() {
    return this.#connection.db
  }

  async insert(record: LayerRecord): Promise<void> {
    refusing(() => this.#connection.insert('layers', encode(record)))
  }

  async find(digest: string, usedAt: number): Promise<LayerRecord | null> {
    const row = await this.#db
      .updateTable('layers')
      .set(({ fn, ref, val }) => ({ usedAt: fn('max', [ref('usedAt'), val(usedAt)]) }))
      .where('digest', '=', digest)
      .returningAll()
      .executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  async list(): Promise<LayerRecord[]> {
    const rows = await this.#db.selectFrom('layers').selectAll().orderBy('seq').execute()
    return rows.map(decode)
  }

  async remove(digest: string): Promise<void> {
    await this.#db.deleteFrom('layers').where('digest', '=', digest).execute()
  }
}
