import type { Sandbox } from '@caisson/protocol/resources'
import { parseDuration } from '../core/duration.ts'
import { newEvent } from '../core/events.ts'
import type { SandboxRecord } from '../core/records.ts'
import type { SandboxChange } from '../state/store.ts'
import { changeSandbox } from './change-sandbox.ts'
import type { Context } from './context.ts'
import { findSandbox, showSandbox } from './lookup.ts'
import type { UseCases } from './use-cases.ts'

/** Changes what may change while a sandbox lives; its times are moved, not its limits. */
export async function updateSandbox(
  context: Context,
  id: string,
  input: Parameters<UseCases['updateSandbox']>[1],
): Promise<Sandbox> {
  const record = await findSandbox(context, id)
  const changed = Object.keys(input).filter((name) => input[name as keyof typeof input] !== undefined)
  const updated = await changeSandbox(context, record, (seen) => ({
    change: toChange(input, seen),
    events: [newEvent(record.id, 'update', { changed })],
  }))
  context.reschedule()
  return showSandbox(context, updated)
}

function toChange(input: Parameters<UseCases['updateSandbox']>[1], { pause }: SandboxRecord): SandboxChange {
  const change: SandboxChange = {}
  if (input.description !== undefined) change.description = input.description
  if (input.metadata !== undefined) change.metadata = input.metadata
  if (input.idleTimeout !== undefined)
    change.idleTimeoutMs = orNever(parseDuration(input.idleTimeout, 'idleTimeout'))
  if (input.ttl !== undefined) {
    const left = orNever(parseDuration(input.ttl, 'ttl'))
    change.ttlMs = left
    // While it is paused its time waits.
    if (pause !== null) change.pause = { ...pause, ttlLeftMs: left }
    else change.expiresAt = left === null ? null : Date.now() + left
  }
  return change
}

function orNever(ms: number): number | null {
  return ms === 0 ? null : ms
}
