import type { UsageRecord } from '../../core/records.ts'
import type { UsageStore, UsageSums } from '../store.ts'
import type { Connection } from './connection.ts'

const ADD = `
  insert into usage (hour, sandboxId, projectId, orgId, executions, cpuUsec, memoryByteSec, egressBytes)
  values (?, ?, ?, ?, ?, ?, ?, ?)
  on conflict (hour, sandboxId) do update set
    executions = executions + excluded.executions,
    cpuUsec = cpuUsec + excluded.cpuUsec,
    memoryByteSec = memoryByteSec + excluded.memoryByteSec,
    egressBytes = egressBytes + excluded.egressBytes`

/** Not flushed to the disk: what a power cut takes is less than what passed since the last count. */
export class SqliteUsage implements UsageStore {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async add(records: UsageRecord[]): Promise<void> {
    this.#connection.transact(() => {
      for (const one of records) {
        const { hour, sandboxId, projectId, orgId } = one
        const sums = [one.executions, one.cpuUsec, one.memoryByteSec, one.egressBytes]
        this.#connection.run(ADD, [hour, sandboxId, projectId, orgId, ...sums])
      }
    })
  }

  sum(query: Parameters<UsageStore['sum']>[0]): Promise<UsageSums> {
    let matching = this.#sums().where('hour', '>=', query.start).where('hour', '<', query.end)
    for (const field of ['projectId', 'orgId'] as const) {
      const value = query[field]
      if (value !== undefined) matching = matching.where(field, '=', value)
    }
    return matching.executeTakeFirstOrThrow()
  }

  ofSandbox(sandboxId: string): Promise<UsageSums> {
    return this.#sums().where('sandboxId', '=', sandboxId).executeTakeFirstOrThrow()
  }

  async purge(time: number): Promise<void> {
    await this.#connection.db.deleteFrom('usage').where('hour', '<', time).execute()
  }

  /** `total` counts in floating point: byte-seconds of a year are more than an integer of JavaScript holds, or of SQLite. */
  #sums() {
    return this.#connection.db
      .selectFrom('usage')
      .select(({ fn }) => [
        fn<number>('total', ['executions']).as('executions'),
        fn<number>('total', ['cpuUsec']).as('cpuUsec'),
        fn<number>('total', ['memoryByteSec']).as('memoryByteSec'),
        fn<number>('total', ['egressBytes']).as('egressBytes'),
      ])
  }
}
