import { SandboxError } from '@caisson/protocol/errors'
import type { Session } from '@caisson/protocol/resources'
import { parseDuration } from '../../core/duration.ts'
import { newId, sha256 } from '../../core/ids.ts'
import { invalid } from '../../core/invalid.ts'
import type { SandboxRecord, SessionRecord } from '../../core/records.ts'
import { toSession } from '../../core/view.ts'
import { Undo } from '../../undo.ts'
import { type Context, join } from '../context.ts'
import type { CreateInput, Made } from '../create-live.ts'
import { findMade } from '../create-sandbox.ts'
import { createEvent, newRecord } from '../new-record.ts'
import { rememberPaused } from '../pausing/kept.ts'
import { sessionDepth } from '../pausing/pause-due.ts'
import type { Once, UseCases } from '../use-cases.ts'
import { showSession } from './show-session.ts'

type Input = Parameters<UseCases['createSession']>[0]
type Repeat = { key: string; digest: string } | null

/** Records a session with its sandbox, of which nothing is on the host before it is needed. */
export async function createSession(context: Context, input: Input, options: Once = {}): Promise<Session> {
  const key = options.idempotencyKey
  if (key === undefined) return create(context, input, null)
  const digest = sha256(JSON.stringify(input))
  return join(context, `session ${key}`, async () => {
    const known = await context.store.sessions.findByIdempotencyKey(key)
    if (known === null) return create(context, input, { key, digest })
    if (known.requestDigest !== digest) throw new SandboxError('idempotency_conflict', { key })
    return showSession(context, known)
  })
}

async function create(context: Context, input: Input, once: Repeat): Promise<Session> {
  if (context.stopping) throw new SandboxError('shutting_down', {})
  if (input.sandbox?.files !== undefined)
    throw invalid(
      'sandbox.files',
      'a session has no files before its first command; write them when it has begun',
    )
  if (input.sandbox?.processes === true)
    throw new SandboxError('not_supported', {
      what: 'going on with saved processes',
      reason: 'a session begins with the files alone, whenever its first command comes',
    })
  const session = sessionRecord(context, input, once)
  using holds = new DisposableStack()
  await using undo = new Undo()
  const asked = sandboxInput(context, input)
  const sandbox = recorded(context, session, asked, await findMade(context, asked, holds))
  undo.add(() => context.idBases.delete(sandbox.idBase))
  const of = { ...session, sandboxId: sandbox.id }
  await context.store.sessions.insert(of, sandbox, { events: [createEvent(sandbox, 0)] })
  undo.keep()
  context.failpoint('session:recorded')
  rememberPaused(context, sandbox)
  context.reschedule()
  return toSession(of, sandbox)
}

/** A session's sandbox is paused where another would end, and is not in a hurry to be. */
function sandboxInput(context: Context, { sandbox, projectId, orgId }: Input): CreateInput {
  return {
    idleTimeout: 0,
    onTimeout: 'pause',
    pauseDepth: sessionDepth(context),
    ...(projectId !== undefined && { projectId }),
    ...(orgId !== undefined && { orgId }),
    ...sandbox,
  }
}

/** Paused before it was ever started: the first that needs it starts it. */
function recorded(
  context: Context,
  { id: sessionId, pauseAfterMs }: SessionRecord,
  input: CreateInput,
  made: Made,
): SandboxRecord {
  const record = newRecord(context, input, 'interactive', made, null)
  const pause = {
    depth: sessionDepth(context),
    memory: 'none' as const,
    since: record.createdAt,
    ttlLeftMs: record.ttlMs,
  }
  return { ...record, state: 'paused', sessionId, pauseAfterMs, pause, expiresAt: null }
}

function sessionRecord(context: Context, input: Input, once: Repeat): SessionRecord {
  const pauseAfter = parseDuration(input.pauseAfter ?? context.config.sessionPause, 'pauseAfter')
  const now = Date.now()
  return {
    id: newId('ses'),
    name: input.name ?? null,
    sandboxId: '',
    pauseAfterMs: pauseAfter === 0 ? null : pauseAfter,
    metadata: input.metadata ?? {},
    projectId: input.projectId ?? input.sandbox?.projectId ?? null,
    orgId: input.orgId ?? input.sandbox?.orgId ?? null,
    createdAt: now,
    updatedAt: now,
    deletedAt: null,
    idempotencyKey: once?.key ?? null,
    requestDigest: once?.digest ?? null,
  }
}
