import { SandboxError } from '@caisson/protocol/errors'
import { type PauseDepth, WORKSPACE } from '@caisson/protocol/resources'
import { newEvent } from '../../core/events.ts'
import { transition } from '../../core/lifecycle.ts'
import type { PauseRecord, SandboxRecord } from '../../core/records.ts'
import type { SandboxChange } from '../../state/store.ts'
import type { Context } from '../context.ts'
import { untilDone } from '../eventually.ts'
import { keptLives, rememberPaused } from './kept.ts'

export type PauseReason = 'asked' | 'idle-timeout' | 'expired' | 'session' | 'restore'

/** Records the pause of one that has stopped; for `workspace` its files are trimmed first. */
export async function finishStopped(
  context: Context,
  record: SandboxRecord,
  change: SandboxChange,
  reason: PauseReason,
): Promise<SandboxRecord> {
  if (record.pause?.depth !== 'workspace') return finish(context, record, change, reason)
  try {
    return await finish(context, record, { ...change, ...(await trim(context, record)) }, reason)
  } catch (error) {
    const pause: PauseRecord = { ...record.pause, depth: 'filesystem' }
    await finish(context, { ...record, pause }, { ...change, pause }, reason)
    throw failed(record.id, 'workspace', error, 'Its processes have ended; all its files are there.')
  }
}

/**
 * Removes everything outside the workspace. What it began as becomes a layer below, so that the rest is as it was made.
 * @returns what has to be recorded
 */
async function trim(
  context: Context,
  { id, base, layers }: SandboxRecord,
): Promise<Pick<SandboxRecord, 'layers' | 'base'>> {
  await context.layers.keepOnly?.(id, WORKSPACE, base !== null)
  context.failpoint('pause:trimmed')
  return { layers: base === null ? layers : [base, ...layers], base: null }
}

/**
 * Records that a sandbox is paused. Nothing goes back from one whose processes have ended, so that it is written as soon
 * as that can be.
 */
export async function finish(
  context: Context,
  record: SandboxRecord,
  change: SandboxChange,
  reason: PauseReason,
): Promise<SandboxRecord> {
  const { id, pause } = record
  const told = { depth: pause?.depth, memory: pause?.memory, reason }
  const paused: SandboxChange = { ...change, state: transition(record, 'paused'), expiresAt: null }
  const write = () => context.store.sandboxes.update(id, paused, { events: [newEvent(id, 'pause', told)] })
  const stored = await (pause?.memory === 'ram' ? write() : untilDone(context, { sandbox: id }, write))
  const live = context.live.get(id)
  if (live !== undefined) keptLives(context).set(id, live)
  context.live.delete(id)
  rememberPaused(context, stored)
  context.reschedule()
  context.failpoint('pause:paused')
  context.log.info({ sandbox: id, ...told }, 'sandbox paused')
  return stored
}

export function failed(id: string, depth: PauseDepth, cause: unknown, state: string): SandboxError {
  return new SandboxError('pause_failed', { sandbox: id, depth, reason: reasonOf(cause), state }, { cause })
}

/** What went wrong in a step, without the words around it for another caller. */
export function reasonOf(error: unknown): string {
  if (SandboxError.is(error, 'create_failed')) return error.details.reason
  if (SandboxError.is(error, 'internal')) return error.details.request
  return error instanceof Error ? error.message : String(error)
}
