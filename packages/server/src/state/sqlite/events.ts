import type { EventRecord } from '../../core/records.ts'
import type { EventStore } from '../store.ts'
import type { Connection } from './connection.ts'
import { refusing } from './errors.ts'
import { eventCodec } from './schema.ts'

const { encode, decode } = eventCodec

export class SqliteEvents implements EventStore {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async list(query: Parameters<EventStore['list']>[0]): Promise<{ items: EventRecord[]; total: number }> {
    const { direction, limit, offset, sandboxId, type } = query
    let matching = this.#connection.db.selectFrom('events').where('sandboxId', '=', sandboxId)
    if (typeof type === 'string') matching = matching.where('type', '=', type)
    else if (type !== undefined) matching = matching.where('type', 'in', type)
    const rows = await matching.selectAll().orderBy('seq', direction).limit(limit).offset(offset).execute()
    const { total } = await matching
      .select(({ fn }) => fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow()
    return { items: rows.map(decode), total }
  }

  /** Not flushed to the disk: what a power cut takes is what nothing else depends on. */
  async add(records: EventRecord[]): Promise<void> {
    if (records.length > 0) this.#connection.transact(() => tell(this.#connection, records))
  }
}

/** Stores events; part of the transaction that is open. */
export function tell(connection: Connection, events: EventRecord[]): void {
  for (const event of events) refusing(() => connection.insert('events', encode(event)))
}

/** A write of one statement and what it tells, both or neither. */
export function telling<T>(connection: Connection, events: EventRecord[], write: () => T): T {
  if (events.length === 0) return write()
  return connection.transact(() => {
    const result = write()
    tell(connection, events)
    return result
  })
}
