import { SandboxError } from '@caisson/protocol/errors'
import type { Execution } from '@caisson/protocol/resources'
import type { GuestExecution } from '../guest/guest.ts'
import { findLive } from './awake.ts'
import { ask } from './connection.ts'
import type { Context } from './context.ts'
import { noteKill, signalTo } from './kill-tree.ts'
import type { Live } from './live.ts'
import { findExecution, showExecution } from './lookup.ts'
import { presentLive } from './pausing/kept.ts'
import type { RunningExecution } from './running-execution.ts'
import type { UseCases } from './use-cases.ts'

/** Signals that ask a program to end; an ending that follows one is `cancelled`. */
const ENDING_SIGNALS: readonly string[] = ['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGHUP', 'SIGQUIT']

export async function killExecution(
  context: Context,
  id: string,
  input: Parameters<UseCases['killExecution']>[1],
): Promise<Execution> {
  const { live, running } = await findRunning(context, id)
  if (ENDING_SIGNALS.includes(input.signal)) await noteKill(context, running, 'cancelled')
  await signalTo(context, live, running, input.signal, input.scope)
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

/** The connection to a running execution, or the next one when it is being made anew. @throws SandboxError `agent_lost`, `execution_ended` */
export async function reach(
  context: Context,
  live: Live,
  running: RunningExecution,
): Promise<GuestExecution> {
  return running.handle ?? ask(context, live, () => running.reach())
}
