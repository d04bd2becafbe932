import type { DestinationRecord } from '../../core/records.ts'
import type { DestinationStore } from '../store.ts'
import type { Connection } from './connection.ts'

const ADD = `
  insert into destinations
    (sandboxId, name, address, port, protocol, connections, uploadedBytes, downloadedBytes, firstAt, lastAt)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (sandboxId, name, address, port, protocol) do update set
    connections = connections + excluded.connections,
    uploadedBytes = coalesce(uploadedBytes + excluded.uploadedBytes, uploadedBytes, excluded.uploadedBytes),
    downloadedBytes = coalesce(downloadedBytes + excluded.downloadedBytes, downloadedBytes, excluded.downloadedBytes),
    firstAt = min(firstAt, excluded.firstAt),
    lastAt = max(lastAt, excluded.lastAt)`

/** The least recent ones beyond a number. */
const TRIM = `
  delete from destinations where (sandboxId, name, address, port, protocol) in (
    select sandboxId, name, address, port, protocol from destinations
    where sandboxId = ? order by lastAt desc limit -1 offset ?)`

/** Not flushed to the disk: what a power cut takes is some seconds of counting. */
export class SqliteDestinations implements DestinationStore {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async add(records: DestinationRecord[], limit: number): Promise<void> {
    if (records.length === 0) return
    this.#connection.transact(() => {
      for (const one of records) {
        const { sandboxId, name, address, port, protocol, connections } = one
        const key = [sandboxId, name, address, port, protocol]
        const sums = [connections, one.uploadedBytes, one.downloadedBytes]
        this.#connection.run(ADD, [...key, ...sums, one.firstAt, one.lastAt])
      }
      for (const id of new Set(records.map(({ sandboxId }) => sandboxId)))
        this.#connection.run(TRIM, [id, limit])
    })
  }

  async list(
    query: Parameters<DestinationStore['list']>[0],
  ): Promise<{ items: DestinationRecord[]; total: number }> {
    const { sandboxId, limit, offset } = query
    const matching = this.#connection.db.selectFrom('destinations').where('sandboxId', '=', sandboxId)
    const items = await matching.selectAll().orderBy('lastAt', 'desc').limit(limit).offset(offset).execute()
    const { total } = await matching
      .select(({ fn }) => fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow()
    return { items, total }
  }
}
