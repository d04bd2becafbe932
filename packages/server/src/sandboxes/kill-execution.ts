import { setTimeout as delay } from 'node:timers/promises'
import { SandboxError } from '@caisson/protocol/errors'
import type { Execution } from '@caisson/protocol/resources'
import type { GuestExecution } from '../guest/guest.ts'
import { findLive } from './awake.ts'
import { ask } from './connection.ts'
import type { Context } from './context.ts'
import type { Live } from './live.ts'
import { findExecution, showExecution } from './lookup.ts'
import { presentLive } from './pausing/kept.ts'
import type { RunningExecution } from './running-execution.ts'
import type { UseCases } from './use-cases.ts'

/** Signals that ask a program to end; an ending that follows one is `cancelled`. */
const ENDING_SIGNALS: readonly string[] = ['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGHUP', 'SIGQUIT']
/** Between looks at whether anybody is left of a tree whose leader has ended, in ms. */
const LOOK_MS = 50

/** `stopped`: somebody wants a job's end; `cancelled`: a signal was sent that mostly ends programs. */
type Reason = 'timeout' | 'cancelled' | 'stopped'

export async function killExecution(
  context: Context,
  id: string,
  input: Parameters<UseCases['killExecution']>[1],
): Promise<Execution> {
  const { live, running } = await findRunning(context, id)
  if (ENDING_SIGNALS.includes(input.signal)) await remember(context, running, 'cancelled')
  await send(context, live, running, input.signal, input.scope)
  if (input.signal === 'SIGKILL' && input.scope === 'tree') await running.ended
  return showExecution(context, running.record)
}

/** An execution that has not ended, in a sandbox that runs: one that is paused with its memory is resumed. */
export async function findRunning(
  context: Context,
  id: string,
): Promise<{ live: Live; running: RunningExecution }> {
  const { sandboxId } = await findExecution(context, id)
  if (presentLive(context, sandboxId)?.executions.has(id) !== true)
    throw new SandboxError('execution_ended', { execution: id })
  const live = await findLive(context, sandboxId, 'exec')
  const running = live.executions.get(id)
  // Its sandbox was paused deeper before it could go on.
  if (running === undefined) throw new SandboxError('execution_ended', { execution: id })
  return { live, running }
}

/** SIGTERM to every process of an execution, SIGKILL to those that are left after the grace period. */
export async function killTree(
  context: Context,
  live: Live,
  running: RunningExecution,
  reason: Reason,
): Promise<void> {
  await remember(context, running, reason)
  const work = terminate(context, live, running)
  running.hold(work)
  await work
}

/** SIGKILL to every process of an execution. */
export async function killTreeNow(
  context: Context,
  live: Live,
  running: RunningExecution,
  reason: Reason,
): Promise<void> {
  await remember(context, running, reason)
  await reaches(send(context, live, running, 'SIGKILL', 'tree'))
}

async function terminate(context: Context, live: Live, running: RunningExecution): Promise<void> {
  const until = performance.now() + context.config.killGraceMs
  if (!(await reaches(send(context, live, running, 'SIGTERM', 'tree')))) return
  const abort = new AbortController()
  const ended = running.outcome.then(() => abort.abort())
  const grace = delay(context.config.killGraceMs, undefined, { signal: abort.signal }).catch(() => {})
  await Promise.race([ended, grace])
  // Others of the tree may still be at their own ending when the leader has gone. SIGCONT asks whether they are.
  while (performance.now() < until) {
    if (!(await reaches(send(context, live, running, 'SIGCONT', 'tree')))) return
    await delay(LOOK_MS)
  }
  await reaches(send(context, live, running, 'SIGKILL', 'tree'))
}

/** False when nobody was left to get the signal. */
async function reaches(sending: Promise<void>): Promise<boolean> {
  try {
    await sending
    return true
  } catch (error) {
    if (SandboxError.is(error, 'execution_ended')) return false
    throw error
  }
}

/** The reason is stored before the signal is sent: it is the evidence for the ending. A full disk prevents no kill. */
async function remember(context: Context, running: RunningExecution, reason: Reason): Promise<void> {
  const known = running.record.killReason
  if (known !== null && !(known === 'cancelled' && reason === 'stopped')) return
  running.record.killReason = reason
  await context.store.executions
    .update(running.record.id, { killReason: reason })
    .catch((err) =>
      context.log.error({ execution: running.record.id, err }, 'why it is killed could not be stored'),
    )
}

async function send(
  context: Context,
  live: Live,
  running: RunningExecution,
  name: string,
  scope: 'leader' | 'group' | 'tree',
): Promise<void> {
  await ask(context, live, async (_, signal) => (await running.reach()).signal(name, scope, signal))
}

/** The connection to a running execution, or the next one when it is being made anew. @throws SandboxError `agent_lost`, `execution_ended` */
export async function reach(
  context: Context,
  live: Live,
  running: RunningExecution,
): Promise<GuestExecution> {
  return running.handle ?? ask(context, live, () => running.reach())
}
