import { setTimeout as delay } from 'node:timers/promises'
import { SandboxError } from '@caisson/protocol/errors'
import type { Ending, ExecutionEnding, Sandbox } from '@caisson/protocol/resources'
import { newEvent } from '../core/events.ts'
import { isFinal, transition } from '../core/lifecycle.ts'
import type { EventRecord, SandboxRecord } from '../core/records.ts'
import { type Context, join } from './context.ts'
import type { Live } from './live.ts'
import { findSandbox, showSandbox } from './lookup.ts'
import { oomKills } from './oom-kills.ts'
import { dumpOf } from './pausing/dump.ts'
import { halt } from './pausing/halt.ts'
import { presentLive } from './pausing/kept.ts'
import { inTurn } from './pausing/turn.ts'
import { forgetBeneath, forgetCheckpoints } from './saved/forget.ts'

/** Before the end of a sandbox that failed is tried a second time, while the caller waits, in ms. */
const SECOND_TRY_MS = 50
/** And later, when the caller has been told. */
const RETRY_MS = 2000

const MESSAGES: Record<Ending['reason'], string> = {
  deleted: 'It was deleted.',
  completed: 'Its one command has ended.',
  'idle-timeout': 'Nothing ran in it for as long as its idle timeout.',
  expired: 'Its time to live was over.',
  'paused-timeout': 'It was paused for as long as its paused timeout.',
  'session-deleted': 'Its session was deleted.',
  'create-failed': 'Its creation failed.',
  'agent-lost': 'Its agent ended, and with it everything inside.',
  'out-of-memory': 'The kernel ended its agent because the sandbox was out of memory.',
  'host-lost': 'The host was restarted.',
  'server-restarted': 'The request that it served was cut off by a restart of the server.',
}

const EXECUTION_ENDINGS: Partial<Record<Ending['reason'], ExecutionEnding>> = {
  'agent-lost': 'agent-lost',
  'host-lost': 'host-lost',
  'idle-timeout': 'idle-timeout',
}

/** A creation that failed has no result that a repeated request could be given: it begins anew. */
export const FORGOTTEN_KEY = { idempotencyKey: null, requestDigest: null }

/** Endings that are what the sandbox was for. */
const COMPLETIONS: readonly Ending['reason'][] = ['deleted', 'completed', 'session-deleted']

/** Endings that nobody asked for. */
const FAILURES: readonly Ending['reason'][] = ['create-failed', 'agent-lost', 'out-of-memory', 'host-lost']

export async function deleteSandbox(context: Context, idOrName: string): Promise<Sandbox> {
  const record = await findSandbox(context, idOrName)
  return showSandbox(context, await endSandbox(context, record, 'deleted'))
}

/**
 * Ends a sandbox, whatever state it is in, once however many ask. The first step is remembered, so that a server
 * that dies on the way finishes at its next start.
 * @param holds whether the reason still holds, asked when a pause or a resume that was under way is over
 */
export function endSandbox(
  context: Context,
  record: SandboxRecord,
  reason: Ending['reason'],
  holds: (record: SandboxRecord) => boolean = () => true,
): Promise<SandboxRecord> {
  return join(context, `end ${record.id}`, async () => {
    // A creation under way is left to finish: it undoes itself when it fails.
    await context.joined.get(`creating ${record.id}`)?.catch(() => {})
    const endNow = () => inTurn(context, record.id, () => endInTurn(context, record.id, reason, holds))
    try {
      return await endNow().catch(async (err) => {
        context.log.warn({ sandbox: record.id, err }, 'ending a sandbox is tried again')
        // A launcher that was killed is started again by the next request.
        await delay(SECOND_TRY_MS)
        return endNow()
      })
    } catch (error) {
      finishLater(context, record, reason)
      throw error
    }
  })
}

async function endInTurn(
  context: Context,
  id: string,
  reason: Ending['reason'],
  holds: (record: SandboxRecord) => boolean,
): Promise<SandboxRecord> {
  const now = await findSandbox(context, id)
  if (isFinal(now.state) || (now.state !== 'stopping' && !holds(now))) return now
  return end(context, now, now.ending ?? { reason, message: MESSAGES[reason] })
}

/** Nobody may ask again for the end of a sandbox that ended by itself, and what is left of it holds resources. */
function finishLater(context: Context, record: SandboxRecord, reason: Ending['reason']): void {
  const again = () => {
    if (context.stopping) return
    endSandbox(context, record, reason).catch((err) =>
      context.log.error({ sandbox: record.id, err }, 'a sandbox could not be ended and will be tried again'),
    )
  }
  setTimeout(again, RETRY_MS).unref()
}

async function end(context: Context, record: SandboxRecord, ending: Ending): Promise<SandboxRecord> {
  const { store, driver, layers, failpoint } = context
  const live = presentLive(context, record.id)
  const state = transition(record, 'stop')
  const asked = record.state !== 'stopping' && ending.reason === 'deleted'
  const events = asked ? [newEvent(record.id, 'destroy')] : []
  const stopping = await store.sandboxes.update(
    record.id,
    { state, ending },
    { durability: 'process', events },
  )
  // It stays in `live` until its executions have their ending, so that who follows them is told.
  if (live !== undefined) live.record = stopping
  if (context.paused.has(record.id)) context.paused.set(record.id, stopping)
  context.reschedule()
  failpoint('delete:recorded')
  const { trafficBefore } = await halt(context, stopping, {
    ending: EXECUTION_ENDINGS[ending.reason] ?? 'sandbox-ended',
    message: `The sandbox ended: ${ending.message}`,
    error: new SandboxError('sandbox_ended', { sandbox: record.id, reason: ending.message }),
    failpoint: 'delete:stopped',
  })
  if (record.pause?.memory === 'disk') await driver.memory?.removeDump(dumpOf(record.id))
  await layers.remove(record.id)
  await forgetCheckpoints(context, record.id)
  await forgetSession(context, record)
  await context.networks?.ledger.end(record.id)
  failpoint('delete:removed')
  const event = FAILURES.includes(ending.reason) ? 'fail' : 'ended'
  const ended = await store.sandboxes.update(
    record.id,
    {
      state: transition(stopping, event),
      endedAt: Date.now(),
      pause: null,
      trafficBefore,
      ...(ending.reason === 'create-failed' && FORGOTTEN_KEY),
    },
    { events: [endEvent(record.id, ending)] },
  )
  context.paused.delete(record.id)
  context.idBases.delete(record.idBase)
  failpoint('delete:ended')
  await forgetBeneath(context, record)
  context.log.info({ sandbox: record.id, reason: ending.reason }, 'sandbox ended')
  return ended
}

/** A session ends with its sandbox. */
async function forgetSession({ store }: Context, { sessionId }: SandboxRecord): Promise<void> {
  if (sessionId === null) return
  const session = await store.sessions.get(sessionId)
  const now = Date.now()
  if (session?.deletedAt === null) await store.sessions.update(sessionId, { deletedAt: now, updatedAt: now })
}

function endEvent(id: string, ending: Ending): EventRecord {
  if (COMPLETIONS.includes(ending.reason)) return newEvent(id, 'lifecycle:completed', ending)
  return newEvent(id, FAILURES.includes(ending.reason) ? 'lifecycle:failed' : 'lifecycle:terminated', ending)
}

/** The kernel's count is the evidence; it lasts until the driver has cleared the sandbox away. */
export async function whyLost(
  context: Context,
  id: string,
  seen: number,
): Promise<'out-of-memory' | 'agent-lost'> {
  return (await oomKills(context, id)) > seen ? 'out-of-memory' : 'agent-lost'
}

/** A sandbox was found to have ended by itself. `status` is what the driver saw of its agent. */
export async function sandboxLost(context: Context, live: Live, status: string | null): Promise<void> {
  if (context.live.get(live.id) !== live || live.record.state !== 'ready') return
  const reason = await whyLost(context, live.id, live.oomKills)
  context.log.warn({ sandbox: live.id, status, reason }, 'sandbox ended by itself')
  // It may have been paused meanwhile, which ends what runs.
  await endSandbox(context, live.record, reason, () => context.live.get(live.id) === live)
}
