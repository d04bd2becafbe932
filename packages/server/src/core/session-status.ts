import type { Session } from '@caisson/protocol/resources'
import { isFinal } from './lifecycle.ts'
import type { SandboxRecord, SessionRecord } from './records.ts'

/**
 * What a session is follows from itself and from its sandbox, null when that is forgotten. A session whose sandbox is
 * ending is deleted: nothing can be run in it any more.
 */
export function sessionStatus(
  session: Pick<SessionRecord, 'deletedAt'>,
  sandbox: Pick<SandboxRecord, 'state' | 'bootedAt'> | null,
): Session['status'] {
  if (session.deletedAt !== null || sandbox === null) return 'deleted'
  if (sandbox.state === 'stopping' || isFinal(sandbox.state)) return 'deleted'
  if (sandbox.state !== 'pausing' && sandbox.state !== 'paused') return 'active'
  return sandbox.bootedAt === null ? 'recorded' : 'paused'
}
