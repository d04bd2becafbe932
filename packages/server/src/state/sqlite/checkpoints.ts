import { SandboxError } from '@caisson/protocol/errors'
import type { CheckpointRecord } from '../../core/records.ts'
import type { CheckpointStore, Durability, Telling } from '../store.ts'
import type { Connection } from './connection.ts'
import { violated } from './errors.ts'
import { tell, telling } from './events.ts'
import { checkpointCodec } from './schema.ts'

const { encode, decode } = checkpointCodec

export class SqliteCheckpoints implements CheckpointStore {
  readonly #connection: Connection
  readonly #sync: (durability: Durability) => Promise<void>

  constructor(connection: Connection, sync: (durability: Durability) => Promise<void>) {
    this.#connection = connection
    this.#sync = sync
  }

  get #db() {
    return this.#connection.db
  }

  async insert(record: CheckpointRecord, { events = [] }: Telling = {}): Promise<void> {
    telling(this.#connection, events, () => {
      this.#assertSandbox(record.sandboxId)
      refusing(record, () => this.#connection.insert('checkpoints', encode(record)))
    })
    await this.#sync('power')
  }

  /** An id comes before a name that looks like it. */
  async find(sandboxId: string, idOrName: string): Promise<CheckpointRecord | null> {
    const row = await this.#db
      .selectFrom('checkpoints')
      .selectAll()
      .where('sandboxId', '=', sandboxId)
      .where(({ eb, or }) => or([eb('id', '=', idOrName), eb('name', '=', idOrName)]))
      .orderBy(({ eb }) => eb('id', '=', idOrName), 'desc')
      .executeTakeFirst()
    return row === undefined ? null : decode(row)
  }

  async list(
    query: Parameters<CheckpointStore['list']>[0],
  ): Promise<{ items: CheckpointRecord[]; total: number }> {
    const { direction, limit, offset, sandboxId } = query
    const matching = this.#db.selectFrom('checkpoints').where('sandboxId', '=', sandboxId)
    const rows = await matching.selectAll().orderBy('seq', direction).limit(limit).offset(offset).execute()
    const { total } = await matching
      .select(({ fn }) => fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow()
    return { items: rows.map(decode), total }
  }

  /** Not flushed to the disk: what was counted can be counted again. */
  async update(
    id: string,
    { sizeBytes, fileCount }: Parameters<CheckpointStore['update']>[1],
  ): Promise<void> {
    this.#connection.update('checkpoints', id, { sizeBytes, fileCount })
  }

  /** Flushed, as the save goes next: a checkpoint that came back with the power would name nothing. */
  async remove(id: string, { events = [] }: Telling = {}): Promise<CheckpointRecord | null> {
    const removal = this.#db.deleteFrom('checkpoints').where('id', '=', id).returningAll()
    const row = this.#connection.transact(() => {
      const [removed] = this.#connection.rows(removal)
      if (removed !== undefined) tell(this.#connection, events)
      return removed
    })
    await this.#sync('power')
    return row === undefined ? null : decode(row)
  }

  async removeOf(sandboxId: string): Promise<string[]> {
    const removed = await this.#db
      .deleteFrom('checkpoints')
      .where('sandboxId', '=', sandboxId)
      .returning('save')
      .execute()
    await this.#sync('power')
    return removed.map(({ save }) => save)
  }

  #assertSandbox(id: string): void {
    const known = this.#connection.rows(this.#db.selectFrom('sandboxes').select('id').where('id', '=', id))
    if (known.length === 0) throw new SandboxError('sandbox_not_found', { sandbox: id })
  }
}

function refusing({ sandboxId, name }: CheckpointRecord, write: () => void): void {
  try {
    write()
  } catch (error) {
    const column = violated(error)
    if (column === null) throw error
    if (!column.includes('checkpoints.name'))
      throw new SandboxError('conflict', { what: column }, { cause: error })
    throw new SandboxError(
      'checkpoint_exists',
      { sandbox: sandboxId, checkpoint: name ?? '' },
      { cause: error },
    )
  }
}
