import { SandboxError } from '@caisson/protocol/errors'
import type { PauseDepth } from '@caisson/protocol/resources'
import type { SandboxRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import type { PauseReason } from './finish-pause.ts'
import { pauseNow } from './pause.ts'

/** Pauses a sandbox because its time has come; where its memory cannot be kept, without it. */
export async function pauseDue(context: Context, record: SandboxRecord, reason: PauseReason): Promise<void> {
  const depth = reason === 'session' ? sessionDepth(context) : record.pauseDepth
  try {
    await pauseNow(context, record, depth, reason)
  } catch (error) {
    const lacking = SandboxError.is(error, 'not_supported') || SandboxError.is(error, 'pause_failed')
    if (!lacking || depth === 'filesystem') throw error
    await pauseNow(context, record, 'filesystem', reason)
  }
}

/** How deep a session is paused: where a storage cannot rebuild what is around the workspace, all files stay. */
export function sessionDepth({ layers }: Pick<Context, 'layers'>): PauseDepth {
  return layers.keepOnly === undefined ? 'filesystem' : 'workspace'
}
