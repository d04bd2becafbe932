import { SandboxError } from '@caisson/protocol/errors'
import type { BuildLogRecord, BuildRecord, TemplateTagRecord } from '../../core/records.ts'
import type { BuildStore } from '../store.ts'

export class MemoryBuilds implements BuildStore {
  readonly #records = new Map<string, BuildRecord>()
  readonly #logs = new Map<string, BuildLogRecord[]>()
  /** Of all templates, oldest first: one transaction ends a build and moves them. */
  readonly #tags: TemplateTagRecord[] = []

  async insert(record: BuildRecord): Promise<void> {
    if (this.#records.has(record.id)) throw new SandboxError('conflict', { what: 'builds.id' })
    this.#records.set(record.id, structuredClone(record))
  }

  async get(id: string): Promise<BuildRecord | null> {
    return structuredClone(this.#records.get(id) ?? null)
  }

  async update(
    id: string,
    change: Parameters<BuildStore['update']>[1],
    { ifStatus, tags = [] }: Parameters<BuildStore['update']>[2] = {},
  ): Promise<BuildRecord> {
    const record = this.#records.get(id)
    if (record === undefined) throw new SandboxError('build_not_found', { build: id })
    const { status } = record
    if (ifStatus !== undefined && status !== ifStatus)
      throw new SandboxError('build_state', { build: id, status, event: 'change' })
    Object.assign(record, structuredClone(change))
    this.tag(tags)
    return structuredClone(record)
  }

  async open(): Promise<BuildRecord[]> {
    return structuredClone(this.all().filter(({ status }) => status === 'waiting' || status === 'building'))
  }

  async ready(): Promise<BuildRecord[]> {
    return structuredClone(this.all().filter(({ status }) => status === 'ready'))
  }

  async purge(time: number): Promise<void> {
    for (const { id, status, from, createdAt, endedAt } of this.all()) {
      const waits = status === 'waiting' && from === null
      const since = waits ? createdAt : endedAt
      if (since !== null && since < time && !this.#tags.some(({ buildId }) => buildId === id))
        this.#forget(id)
    }
  }

  async log(records: BuildLogRecord[]): Promise<void> {
    for (const record of records) {
      if (!this.#records.has(record.buildId)) continue
      const entries = this.#logs.get(record.buildId) ?? []
      this.#logs.set(record.buildId, entries)
      entries.push({ ...record })
    }
  }

  async readLog(buildId: string, offset: number, limit: number): Promise<BuildLogRecord[]> {
    const entries = this.#logs.get(buildId) ?? []
    return structuredClone(entries.filter(({ entry }) => entry >= offset).slice(0, limit))
  }

  /** The records themselves. */
  all(): BuildRecord[] {
    return [...this.#records.values()]
  }

  /** Newest first. */
  tagsOf(templateId: string): TemplateTagRecord[] {
    const own = this.#tags.map((tag, at) => ({ tag, at })).filter(({ tag }) => tag.templateId === templateId)
    own.sort((a, b) => b.tag.createdAt - a.tag.createdAt || b.at - a.at)
    return structuredClone(own.map(({ tag }) => tag))
  }

  tag(records: TemplateTagRecord[]): void {
    for (const record of records) {
      this.untag(record.templateId, [record.tag])
      this.#tags.push({ ...record })
    }
  }

  untag(templateId: string, tags: string[]): void {
    for (let at = this.#tags.length - 1; at >= 0; at--) {
      const { templateId: owner, tag } = this.#tags[at]!
      if (owner === templateId && tags.includes(tag)) this.#tags.splice(at, 1)
    }
  }

  /** A template has gone. */
  forgetTemplate(templateId: string): void {
    this.untag(
      templateId,
      this.tagsOf(templateId).map(({ tag }) => tag),
    )
    for (const record of this.all()) if (record.templateId === templateId) this.#forget(record.id)
  }

  #forget(id: string): void {
    this.#records.delete(id)
    this.#logs.delete(id)
  }
}
