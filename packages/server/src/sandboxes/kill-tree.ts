import { setTimeout as delay } from 'node:timers/promises'
import { SandboxError } from '@caisson/protocol/errors'
import { ask } from './connection.ts'
import type { Context } from './context.ts'
import type { Live } from './live.ts'
import type { RunningExecution } from './running-execution.ts'

/** Between looks at whether anybody is left of a tree whose leader has ended, in ms. */
const LOOK_MS = 50

/** `stopped`: somebody wants a job's end; `cancelled`: a signal was sent that mostly ends programs. */
type Reason = 'timeout' | 'cancelled' | 'stopped'

/** SIGTERM to every process of an execution, SIGKILL to those that are left after the grace period. */
export async function killTree(
  context: Context,
  live: Live,
  running: RunningExecution,
  reason: Reason,
): Promise<void> {
  await noteKill(context, running, reason)
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
  await noteKill(context, running, reason)
  await reaches(signalTo(context, live, running, 'SIGKILL', 'tree'))
}

async function terminate(context: Context, live: Live, running: RunningExecution): Promise<void> {
  const until = performance.now() + context.config.killGraceMs
  if (!(await reaches(signalTo(context, live, running, 'SIGTERM', 'tree')))) return
  const abort = new AbortController()
  const ended = running.outcome.then(() => abort.abort())
  const grace = delay(context.config.killGraceMs, undefined, { signal: abort.signal }).catch(() => {})
  await Promise.race([ended, grace])
  // Others of the tree may still be at their own ending when the leader has gone. SIGCONT asks whether they are.
  while (performance.now() < until) {
    if (!(await reaches(signalTo(context, live, running, 'SIGCONT', 'tree')))) return
    await delay(LOOK_MS)
  }
  await reaches(signalTo(context, live, running, 'SIGKILL', 'tree'))
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
export async function noteKill(context: Context, running: RunningExecution, reason: Reason): Promise<void> {
  const known = running.record.killReason
  if (known !== null && !(known === 'cancelled' && reason === 'stopped')) return
  running.record.killReason = reason
  await context.store.executions
    .update(running.record.id, { killReason: reason })
    .catch((err) =>
      context.log.error({ execution: running.record.id, err }, 'why it is killed could not be stored'),
    )
}

export async function signalTo(
  context: Context,
  live: Live,
  running: RunningExecution,
  name: string,
  scope: 'leader' | 'group' | 'tree',
): Promise<void> {
  await ask(context, live, async (_, signal) => (await running.reach()).signal(name, scope, signal))
}
