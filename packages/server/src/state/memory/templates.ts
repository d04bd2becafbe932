import { SandboxError } from '@caisson/protocol/errors'
import type { TemplateRecord, TemplateTagRecord } from '../../core/records.ts'
import type { TemplateStore } from '../store.ts'
import type { MemoryBuilds } from './builds.ts'
import { paged, type SortKey } from './sorting.ts'

type Query = Parameters<TemplateStore['list']>[0]

const SORT: Record<Query['sort'], (record: TemplateRecord) => SortKey> = {
  name: (record) => record.name,
  created: (record) => record.createdAt,
}

export class MemoryTemplates implements TemplateStore {
  readonly #builds: MemoryBuilds
  readonly #records = new Map<string, TemplateRecord>()

  constructor(builds: MemoryBuilds) {
    this.#builds = builds
  }

  async findOrInsert(record: TemplateRecord): Promise<TemplateRecord> {
    const known = [...this.#records.values()].find(({ name }) => name === record.name)
    if (known === undefined) this.#records.set(record.id, structuredClone(record))
    return structuredClone(known ?? record)
  }

  async find(idOrName: string): Promise<TemplateRecord | null> {
    const byId = this.#records.get(idOrName)
    const found = byId ?? [...this.#records.values()].find(({ name }) => name === idOrName)
    return structuredClone(found ?? null)
  }

  async list(query: Query): Promise<{ items: TemplateRecord[]; total: number }> {
    return paged([...this.#records.values()], SORT[query.sort], query)
  }

  async update(id: string, change: Parameters<TemplateStore['update']>[1]): Promise<TemplateRecord> {
    const record = this.#records.get(id)
    if (record === undefined) throw new SandboxError('template_not_found', { template: id })
    Object.assign(record, structuredClone(change))
    return structuredClone(record)
  }

  async remove(id: string): Promise<void> {
    this.#records.delete(id)
    this.#builds.forgetTemplate(id)
  }

  async tags(templateId: string): Promise<TemplateTagRecord[]> {
    return this.#builds.tagsOf(templateId)
  }

  async tag(records: TemplateTagRecord[]): Promise<void> {
    for (const { templateId } of records)
      if (!this.#records.has(templateId))
        throw new SandboxError('template_not_found', { template: templateId })
    this.#builds.tag(records)
  }

  async untag(templateId: string, tags: string[]): Promise<void> {
    this.#builds.untag(templateId, tags)
  }
}
