import type { Build, BuildLogEntry, Template } from '@caisson/protocol/resources'
import type { BuildLogRecord, BuildRecord, TemplateRecord, TemplateTagRecord } from './records.ts'

/** A template as the API shows it. @param sandboxes made from it that have not ended */
export function toTemplate(
  { id, name, resources, createdAt, updatedAt }: TemplateRecord,
  tags: TemplateTagRecord[],
  sandboxes: number,
): Template {
  return {
    id,
    name,
    tags: tags.map(({ tag, buildId, createdAt: at }) => ({ tag, buildId, createdAt: iso(at) })),
    resources,
    sandboxes,
    createdAt: iso(createdAt),
    updatedAt: iso(updatedAt),
  }
}

export function toBuild(record: BuildRecord): Build {
  const { id, templateId, status, tags, reason, createdAt, startedAt, endedAt } = record
  const times = { createdAt: iso(createdAt), startedAt: orNull(startedAt), endedAt: orNull(endedAt) }
  return { id, templateId, status, tags, reason, ...times }
}

export function toBuildLogEntry({ at, level, step, message }: BuildLogRecord): BuildLogEntry {
  return { at: iso(at), level, step, message }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

function orNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms)
}
