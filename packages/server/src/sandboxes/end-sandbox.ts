import { SandboxError } from '@caisson/protocol/errors'
import type { Ending, ExecutionEnding, Sandbox } from '@caisson/protocol/resources'
import { isFinal, transition } from '../core/lifecycle.ts'
import type { SandboxRecord } from '../core/records.ts'
import { type Context, join } from './context.ts'
import type { Live } from './live.ts'
import { findSandbox, showSandbox } from './lookup.ts'

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
    const now = context.live.get(record.id)?.record ?? (await context.store.sandboxes.get(record.id))
    if (now === null) throw new SandboxError('sandbox_not_found', { sandbox: record.id })
    if (isFinal(now.state)) return now
    return end(context, now, now.ending ?? { reason, message: MESSAGES[reason] })
  })
}

async function end(context: Context, record: SandboxRecord, ending: Ending): Promise<SandboxRecord> {
  const { store, driver, layers, failpoint } = context
  const live = context.live.get(record.id)
  const stopping = transition(record, 'stop')
  await store.sandboxes.update(record.id, { state: stopping, ending }, { durability: 'process' })
  context.live.delete(record.id)
  context.reschedule()
  failpoint('delete:recorded')
  await driver.stop(record.id)
  failpoint('delete:stopped')
  await loseExecutions(live, ending)
  live?.ended(ending.message)
  await layers.remove(record.id)
  failpoint('delete:removed')
  const event = FAILURES.includes(ending.reason) ? 'fail' : 'ended'
  const state = transition({ id: record.id, state: stopping }, event)
  const ended = await store.sandboxes.update(record.id, { state, endedAt: Date.now(), ending })
  context.idBases.delete(record.idBase)
  failpoint('delete:ended')
  context.log.info({ sandbox: record.id, reason: ending.reason }, 'sandbox ended')
  return ended
}

/** Executions whose exit came before the end keep it; the others ended with the sandbox. */
async function loseExecutions(live: Live | undefined, ending: Ending): Promise<void> {
  if (live === undefined) return
  const running = [...live.executions.values()]
  const how = EXECUTION_ENDINGS[ending.reason] ?? 'sandbox-ended'
  for (const execution of running) execution.lose(how, `The sandbox ended: ${ending.message}`)
  await Promise.allSettled(running.map((execution) => execution.ended))
}

/** A sandbox was found to have ended by itself. `status` is what the driver saw of its agent. */
export async function sandboxLost(context: Context, live: Live, status: string | null): Promise<void> {
  if (context.live.get(live.id) !== live) return
  const usage = await context.driver.usage?.(live.id).catch(() => null)
  const reason = (usage?.oomKills ?? 0) > 0 ? 'out-of-memory' : 'agent-lost'
  context.log.warn({ sandbox: live.id, status, reason }, 'sandbox ended by itself')
  await endSandbox(context, live.record, reason)
}
