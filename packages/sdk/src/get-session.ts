import { SandboxError } from '@caisson/protocol/errors'
import { type ConnectOptions, clientOf } from './create-options.ts'
import type { Session, SessionOptions } from './sessions.ts'

/**
 * The session of this name, recorded when there is none. Nothing is started: its sandbox is, by the first command. What
 * the session is to be counts when it is recorded; one that is there stays as it is.
 *
 * @example
 * ```ts
 * import { getSession } from 'caisson'
 *
 * const session = await getSession('chat-42', { sandbox: { env: { LANGUAGE: 'en' } } })
 * const sandbox = await session.sandbox()
 * await sandbox.files.write('workspace/notes.txt', 'kept for the whole session')
 * await session.delete()
 * ```
 * @throws SandboxError as `client.sessions.create()`
 */
export async function getSession(
  name: string,
  options: Omit<SessionOptions, 'name'> & ConnectOptions = {},
): Promise<Session> {
  const { client: connection, signal, ...asked } = options
  const { sessions } = clientOf(connection)
  try {
    return await sessions.get(name, { signal })
  } catch (error) {
    if (!SandboxError.is(error, 'session_not_found')) throw error
  }
  try {
    return await sessions.create({ ...asked, name }, { signal })
  } catch (error) {
    // Another has recorded it meanwhile.
    if (SandboxError.is(error, 'name_taken')) return sessions.get(name, { signal })
    throw error
  }
}
