import type { UsageRecord } from '../../core/records.ts'
import type { UsageStore, UsageSums } from '../store.ts'

const SUMMED = ['executions', 'cpuUsec', 'memoryByteSec', 'egressBytes'] as const

export class MemoryUsage implements UsageStore {
  readonly #records = new Map<string, UsageRecord>()

  async add(records: UsageRecord[]): Promise<void> {
    for (const record of records) {
      const key = `${record.hour} ${record.sandboxId}`
      const known = this.#records.get(key)
      if (known === undefined) this.#records.set(key, structuredClone(record))
      else for (const field of SUMMED) known[field] += record[field]
    }
  }

  async sum(query: Parameters<UsageStore['sum']>[0]): Promise<UsageSums> {
    const { start, end, projectId, orgId } = query
    return this.#sumOf(
      (record) =>
        record.hour >= start &&
        record.hour < end &&
        (projectId === undefined || record.projectId === projectId) &&
        (orgId === undefined || record.orgId === orgId),
    )
  }

  async ofSandbox(sandboxId: string): Promise<UsageSums> {
    return this.#sumOf((record) => record.sandboxId === sandboxId)
  }

  async purge(time: number): Promise<void> {
    for (const [key, { hour }] of this.#records) if (hour < time) this.#records.delete(key)
  }

  #sumOf(matches: (record: UsageRecord) => boolean): UsageSums {
    const sums: UsageSums = { executions: 0, cpuUsec: 0, memoryByteSec: 0, egressBytes: 0 }
    for (const record of this.#records.values()) {
      if (matches(record)) for (const field of SUMMED) sums[field] += record[field]
    }
    return sums
  }
}
