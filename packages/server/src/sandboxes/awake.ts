import { SandboxError } from '@caisson/protocol/errors'
import type { SandboxState } from '../core/records.ts'
import type { Context } from './context.ts'
import type { Live } from './live.ts'
import { endedError, findSandbox } from './lookup.ts'
import { type Need, noteResumed } from './pausing/noted.ts'
import { resumeNow } from './pausing/resume.ts'

/** A pause under way is waited for, and then undone. */
const RESUMABLE: readonly SandboxState[] = ['pausing', 'paused', 'resuming']

/**
 * A sandbox that runs: one that is paused is resumed first, one that is being created is waited for.
 * @throws SandboxError saying why it does not run
 */
export async function findLive(context: Context, idOrName: string, by: Need): Promise<Live> {
  return (await awaken(context, idOrName, by)).live
}

/** The same, and whether it was paused. Concurrent needs share one resume. */
export async function awaken(
  context: Context,
  idOrName: string,
  by: Need,
): Promise<{ live: Live; resumed: boolean }> {
  const running = runningOf(context, idOrName)
  if (running !== null) return { live: running, resumed: false }
  const record = await findSandbox(context, idOrName)
  const live = runningOf(context, record.id)
  if (live !== null) return { live, resumed: false }
  // Whoever found it by its name while it is being created waits with the one who creates it.
  const creation = context.joined.get(`creating ${record.id}`)
  if (creation !== undefined) {
    await creation.catch(() => {})
    return awaken(context, record.id, by)
  }
  if (record.endedAt !== null) throw endedError(record)
  if (!isPaused(record)) throw unusable(record)
  noteResumed()
  return { live: await resumeNow(context, record, { by, auto: true }), resumed: true }
}

/** It does not run but can be resumed, now or in a moment. */
export function isPaused({ state }: { state: SandboxState }): boolean {
  return RESUMABLE.includes(state)
}

function unusable({ id, state }: { id: string; state: SandboxState }): SandboxError {
  return new SandboxError('invalid_transition', { sandbox: id, from: state, event: 'be used' })
}

function runningOf(context: Context, id: string): Live | null {
  const live = context.live.get(id)
  return live?.record.state === 'ready' ? live : null
}
