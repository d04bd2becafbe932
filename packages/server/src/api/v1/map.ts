import { posix } from 'node:path'
import type { FileInfo } from '@caisson/protocol/resources'
import type { Stage } from '../../core/plan.ts'
import type { UseCases } from '../../sandboxes/use-cases.ts'

export type FileStat = Awaited<ReturnType<UseCases['statFile']>>

const MAX_DATE = 8.64e15

/** What the agent says about a file, as the API shows it. */
export function toFileInfo(path: string, { mtimeMs, ...stat }: FileStat): FileInfo {
  return { name: posix.basename(path), path, ...stat, modifiedAt: toDate(mtimeMs) }
}

/** A guest may claim any time; one that no date can hold shows as the epoch. */
function toDate(ms: number): string {
  return new Date(Math.abs(ms) <= MAX_DATE ? ms : 0).toISOString()
}

/** The `Server-Timing` header. */
export function toServerTiming(stages: readonly Stage[]): string {
  return stages.map(({ name, ms }) => `${name.replaceAll(/[^\w-]/g, '_')};dur=${ms.toFixed(2)}`).join(', ')
}

/** JSON that is safe in a header: everything beyond ASCII is escaped. */
export function toHeaderJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
