import type { ExposedPort } from '@caisson/protocol/resources'
import type { SandboxRecord } from '../core/records.ts'
import type { Context } from './context.ts'

/** The exposed ports of a sandbox as the API shows them. */
export function showPorts(context: Context, record: SandboxRecord): ExposedPort[] {
  return record.ports.map(({ port, access }) => ({ port, access, url: portUrl(context, record, port) }))
}

/** Where an exposed port is reached: the address of the TCP listener under the sandbox's own name; null without one. */
export function portUrl(context: Context, record: Pick<SandboxRecord, 'id'>, port: number): string | null {
  if (context.doors.url === null) return null
  const door = new URL(context.doors.url)
  const name = `${port}-${record.id.replaceAll('_', '-')}.${context.config.previewDomain}`
  return `${door.protocol}//${name}${door.port && `:${door.port}`}/`
}
