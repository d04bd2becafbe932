import { SandboxError } from '@caisson/protocol/errors'
import type { Sandbox } from '@caisson/protocol/resources'
import { parseDuration } from '../core/duration.ts'
import type { SandboxChange } from '../state/store.ts'
import type { Context } from './context.ts'
import { findSandbox, showSandbox } from './lookup.ts'
import type { UseCases } from './use-cases.ts'

/** Changes what may change while a sandbox lives; its times are moved, not its limits. */
export async function updateSandbox(
  context: Context,
  id: string,
  change: Parameters<UseCases['updateSandbox']>[1],
): Promise<Sandbox> {
  const record = await findSandbox(context, id)
  if (record.endedAt !== null) {
    throw new SandboxError('sandbox_ended', {
      sandbox: record.id,
      reason: record.ending?.message ?? record.state,
    })
  }
  const next: SandboxChange = {}
  if (change.description !== undefined) next.description = change.description
  if (change.metadata !== undefined) next.metadata = change.metadata
  if (change.idleTimeout !== undefined)
    next.idleTimeoutMs = orNever(parseDuration(change.idleTimeout, 'idleTimeout'))
  if (change.ttl !== undefined) {
    const left = orNever(parseDuration(change.ttl, 'ttl'))
    next.expiresAt = left === null ? null : Date.now() + left
  }
  const updated = await context.store.sandboxes.update(record.id, next, { ifVersion: record.version })
  const live = context.live.get(record.id)
  if (live !== undefined)
    live.record = {
      ...updated,
      lastActiveAt: live.record.lastActiveAt,
      executionCount: live.record.executionCount,
    }
  context.reschedule()
  return showSandbox(context, live?.record ?? updated)
}

function orNever(ms: number): number | null {
  return ms === 0 ? null : ms
}
