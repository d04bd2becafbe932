import { SandboxError } from '@caisson/protocol/errors'
import type { Session } from '@caisson/protocol/resources'
import type { SessionRecord } from '../../core/records.ts'
import { toSession } from '../../core/view.ts'
import type { Context } from '../context.ts'
import { endSandbox } from '../end-sandbox.ts'
import { parseMetadata } from '../query.ts'
import type { UseCases } from '../use-cases.ts'
import { createSession } from './create-session.ts'
import { sandboxOf, showSession } from './show-session.ts'

type SessionUseCases = Pick<UseCases, 'createSession' | 'listSessions' | 'getSession' | 'deleteSession'>

export function sessionUseCases(context: Context): SessionUseCases {
  return {
    createSession: (...args) => createSession(context, ...args),
    listSessions: (query) => listSessions(context, query),
    getSession: async (idOrName) => showSession(context, await findSession(context, idOrName)),
    deleteSession: (idOrName) => deleteSession(context, idOrName),
  }
}

async function findSession({ store }: Context, idOrName: string): Promise<SessionRecord> {
  const session = (await store.sessions.get(idOrName)) ?? (await store.sessions.findByName(idOrName))
  if (session === null) throw new SandboxError('session_not_found', { session: idOrName })
  return session
}

async function listSessions(
  context: Context,
  query: Parameters<UseCases['listSessions']>[0],
): Promise<{ sessions: Session[]; total: number }> {
  const { status, name, projectId, orgId, metadata, all, ...page } = query
  const { items, total } = await context.store.sessions.list({
    ...page,
    ...(status !== undefined && { status }),
    ...(name !== undefined && { name }),
    ...(projectId !== undefined && { projectId }),
    ...(orgId !== undefined && { orgId }),
    ...(metadata !== undefined && { metadata: parseMetadata(metadata) }),
    ...(all !== undefined && { all }),
  })
  return { sessions: items.map(({ session, sandbox }) => toSession(session, sandbox)), total }
}

/** A session ends with its sandbox. */
async function deleteSession(context: Context, idOrName: string): Promise<Session> {
  const session = await findSession(context, idOrName)
  const sandbox = await sandboxOf(context, session)
  if (sandbox !== null) await endSandbox(context, sandbox, 'session-deleted')
  return showSession(context, await findSession(context, session.id))
}
