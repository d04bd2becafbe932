import { SandboxError } from '@caisson/protocol/errors'
import type { VolumeRecord } from '../../core/records.ts'
import type { Durability, VolumeStore } from '../store.ts'
import type { Connection } from './connection.ts'
import { violated } from './errors.ts'
import { volumeCodec } from './schema.ts'

const { encode, decode } = volumeCodec

const SORT = { name: 'name', created: 'createdAt' } as const satisfies Record<string, keyof VolumeRecord>

export class SqliteVolumes implements VolumeStore {
  readonly #connection: Connection
  readonly #sync: (durability: Durability) => Promise<void>

  constructor(connection: Connection, sync: (durability: Durability) => Promise<void>) {
    this.#connection = connection
    this.#sync = sync
  }

  async insert(record: VolumeRecord): Promise<void> {
    try {
      this.#connection.insert('volumes', encode(record))
    } catch (error) {
      const column = violated(error)
      if (column === null) throw error
      if (column === 'volumes.name')
        throw new SandboxError('volume_exists', { volume: record.name }, { cause: error })
      throw new SandboxError('conflict', { what: column }, { cause: error })
    }
    await this.#sync('power')
  }

  /** An id first: a name that looks like one means the other volume. */
  async find(idOrName: string): Promise<VolumeRecord | null> {
    const rows = await this.#connection.db
      .selectFrom('volumes')
      .selectAll()
      .where((row) => row.or([row('id', '=', idOrName), row('name', '=', idOrName)]))
      .execute()
    const row = rows.find(({ id }) => id === idOrName) ?? rows[0]
    return row === undefined ? null : decode(row)
  }

  async list({ sort, direction, limit, offset }: Parameters<VolumeStore['list']>[0]) {
    const { db } = this.#connection
    const rows = await db
      .selectFrom('volumes')
      .selectAll()
      .orderBy(SORT[sort], direction)
      .orderBy('seq', direction)
      .limit(limit)
      .offset(offset)
      .execute()
    const { total } = await db
      .selectFrom('volumes')
      .select(({ fn }) => fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow()
    return { items: rows.map(decode), total }
  }

  /** Flushed, as the files go next: a record that came back with the power would promise what is lost. */
  async remove(id: string): Promise<boolean> {
    const removal = this.#connection.db.deleteFrom('volumes').where('id', '=', id).returning('id')
    const removed = this.#connection.rows(removal)
    await this.#sync('power')
    return removed.length > 0
  }
}
