import { SandboxError } from '@caisson/protocol/errors'
import { ConnectError } from './connect.ts'

/** Why a program could not be started, in the words that clients know. The agent's reason begins with what failed. */
export function startFailure(
  error: unknown,
  asked: { cwd: string | undefined; user: string | undefined },
): unknown {
  if (!SandboxError.is(error, 'cannot_start')) return error
  const { reason } = error.details
  if (asked.user !== undefined && reason.startsWith('user '))
    return new ConnectError('unauthenticated', `invalid username: '${asked.user}'`, { cause: error })
  if (asked.cwd !== undefined && reason.startsWith('cwd ') && reason.includes('no such file'))
    return new ConnectError('invalid_argument', `cwd '${asked.cwd}' does not exist`, { cause: error })
  return error
}
