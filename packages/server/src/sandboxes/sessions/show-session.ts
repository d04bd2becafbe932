import type { Session } from '@caisson/protocol/resources'
import type { SandboxRecord, SessionRecord } from '../../core/records.ts'
import { toSession } from '../../core/view.ts'
import type { Context } from '../context.ts'
import { findSandbox } from '../lookup.ts'

/** A session with what its sandbox is now. */
export async function showSession(context: Context, session: SessionRecord): Promise<Session> {
  return toSession(session, await sandboxOf(context, session))
}

/** null: it was forgotten, some time after its end. */
export async function sandboxOf(
  context: Context,
  { sandboxId }: SessionRecord,
): Promise<SandboxRecord | null> {
  return findSandbox(context, sandboxId).catch(() => null)
}
