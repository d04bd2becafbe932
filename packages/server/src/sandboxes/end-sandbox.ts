import { setTimeout as delay } from 'node:timers/promises'
import { SandboxError } from '@caisson/protocol/errors'
import type { Ending, ExecutionEnding, Sandbox } from '@caisson/protocol/resources'
import { newEvent } from '../core/events.ts'
import { isFinal, transition } from '../core/lifecycle.ts'
import type { EventRecord, SandboxRecord } from '../core/records.ts'
import { type Context, join } from './context.ts'
import type { Live } from './live.ts'
import { findSandbox, showSandbox } from './lookup.ts'
import { meterLast } from './metering.ts'
import { forget } from './network/attach.ts'
import { readTraffic, sumTraffic } from './network/traffic.ts'
import { oomKills } from './oom-kills.ts'

/** Before the end of a sandbox that failed is tried a second time, while the caller waits, in ms. */
const SECOND_TRY_MS = 50
/** And later, when the caller has been told. */
const RETRY_MS = 2000

const MESSAGES: Record<Ending['reason'], string> = {
  deleted: 'It was deleted.',
  completed: 'Its one command has ended.',
  'idle-timeout': 'Nothing ran in it for as long as its idle timeout.',
  expired: 'Its time to live was over.',
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
const COMPLETIONS: readonly Ending['reason'][] = ['deleted', 'completed']

/** Endings that nobody asked for. */
const FAILURES: readonly Ending['reason'][] = ['create-failed', 'agent-lost', 'out-of-memory', 'host-lost']

export async function deleteSandbox(context: Context, idOrName: string): Promise<Sandbox> {
  const record = await findSandbox(context, idOrName)
  return showSandbox(context, await endSandbox(context, record, 'deleted'))
}

/**
 * Ends a sandbox, whatever state it is in, once however many ask. The first step is remembered, so that a server
 * that dies on the way finishes at its next start.
 */
export function endSandbox(
  context: Context,
  record: SandboxRecord,
  reason: Ending['reason'],
): Promise<SandboxRecord> {
  return join(context, `end ${record.id}`, async () => {
    // A creation under way is left to finish: it undoes itself when it fails.
    await context.joined.get(`creating ${record.id}`)?.catch(() => {})
    try {
      return await endNow(context, record.id, reason).catch(async (err) => {
        context.log.warn({ sandbox: record.id, err }, 'ending a sandbox is tried again')
        // A launcher that was killed is started again by the next request.
        await delay(SECOND_TRY_MS)
        return endNow(context, record.id, reason)
      })
    } catch (error) {
      finishLater(context, record, reason)
      throw error
    }
  })
}

async function endNow(context: Context, id: string, reason: Ending['reason']): Promise<SandboxRecord> {
  const now = context.live.get(id)?.record ?? (await context.store.sandboxes.get(id))
  if (now === null) throw new SandboxError('sandbox_not_found', { sandbox: id })
  if (isFinal(now.state)) return now
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
  const live = context.live.get(record.id)
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
  context.reschedule()
  failpoint('delete:recorded')
  forget(context, record.id)
  const trafficBefore = live === undefined ? record.trafficBefore : await countLast(context, live)
  await driver.stop(record.id)
  failpoint('delete:stopped')
  await loseExecutions(live, ending)
  context.live.delete(record.id)
  live?.ended(ending.message)
  await layers.remove(record.id)
  await context.networks?.ledger.end(record.id)
  failpoint('delete:removed')
  const event = FAILURES.includes(ending.reason) ? 'fail' : 'ended'
  const ended = await store.sandboxes.update(
    record.id,
    {
      state: transition(stopping, event),
      endedAt: Date.now(),
      trafficBefore,
      ...(ending.reason === 'create-failed' && FORGOTTEN_KEY),
    },
    { events: [endEvent(record.id, ending)] },
  )
  context.idBases.delete(record.idBase)
  failpoint('delete:ended')
  context.log.info({ sandbox: record.id, reason: ending.reason }, 'sandbox ended')
  return ended
}

/** The kernel's counters go with the sandbox. @returns what it has sent and received in all. */
async function countLast(context: Context, live: Live): Promise<SandboxRecord['trafficBefore']> {
  const traffic = live.record.network === null ? new Map() : await readTraffic(context, live.id)
  await meterLast(context, live, traffic)
  return sumTraffic(live, traffic)
}

function endEvent(id: string, ending: Ending): EventRecord {
  if (COMPLETIONS.includes(ending.reason)) return newEvent(id, 'lifecycle:completed', ending)
  return newEvent(id, FAILURES.includes(ending.reason) ? 'lifecycle:failed' : 'lifecycle:terminated', ending)
}

/** Executions whose exit came before the end keep it; the others ended with the sandbox. */
async function loseExecutions(live: Live | undefined, ending: Ending): Promise<void> {
  if (live === undefined) return
  const running = [...live.executions.values()]
  const how = EXECUTION_ENDINGS[ending.reason] ?? 'sandbox-ended'
  for (const execution of running) execution.lose(how, `The sandbox ended: ${ending.message}`)
  // Those that are pending fail as soon as the connection is gone: they have no ending.
  const started = running.filter((execution) => execution.record.state !== 'pending')
  await Promise.allSettled(started.map((execution) => execution.ended))
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
  if (context.live.get(live.id) !== live) return
  const reason = await whyLost(context, live.id, live.oomKills)
  context.log.warn({ sandbox: live.id, status, reason }, 'sandbox ended by itself')
  await endSandbox(context, live.record, reason)
}
