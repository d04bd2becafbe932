import { SandboxError } from '@caisson/protocol/errors'
import type { ExecutionEnding } from '@caisson/protocol/resources'
import type { SandboxRecord } from '../../core/records.ts'
import type { Failpoint } from '../../failpoint.ts'
import type { Context } from '../context.ts'
import type { Live } from '../live.ts'
import { meterLast } from '../metering.ts'
import { forget } from '../network/attach.ts'
import { readTraffic, sumTraffic } from '../network/traffic.ts'
import { keptLives, presentLive } from './kept.ts'

export interface Halt {
  /** What executions end with, and the sentence that says so. */
  ending: ExecutionEnding
  message: string
  /** What requests get that wait for the agent. */
  error: SandboxError
  /** Reached when no process is left. */
  failpoint: Failpoint
}

/** How a pause that ends the processes tells it. */
export function haltForPause(id: string): Halt {
  return {
    ending: 'sandbox-ended',
    message: 'The sandbox was paused, which ended what ran in it.',
    error: new SandboxError('agent_lost', {
      sandbox: id,
      reason: 'it was paused; the next request resumes it',
    }),
    failpoint: 'pause:stopped',
  }
}

/**
 * Ends every process of a sandbox, whether it runs, is frozen, or is on disk, and with them its executions, its
 * connection and its interface. Its files stay. Who calls it has the sandbox's turn.
 * @returns what has to be recorded of it: the kernel's counters go with the processes
 */
export async function halt(
  context: Context,
  record: SandboxRecord,
  { ending, message, error, failpoint }: Halt,
): Promise<Pick<SandboxRecord, 'trafficBefore' | 'rulesDigest'>> {
  const live = presentLive(context, record.id)
  forget(context, record.id)
  const trafficBefore = live === undefined ? record.trafficBefore : await countLast(context, live)
  await context.driver.stop(record.id)
  context.failpoint(failpoint)
  await loseExecutions(live, ending, message)
  context.live.delete(record.id)
  keptLives(context).delete(record.id)
  live?.ended(error)
  return { trafficBefore, rulesDigest: null }
}

/** The same for processes that have ended without executions' ending, as when their memory is put on disk. */
export async function countLast(context: Context, live: Live): Promise<SandboxRecord['trafficBefore']> {
  const traffic = live.record.network === null ? new Map() : await readTraffic(context, live.id)
  await meterLast(context, live, traffic)
  const usage = await context.driver.usage?.(live.id).catch(() => null)
  const { cpuUsec = 0 } = live.record.trafficBefore
  return { ...sumTraffic(live, traffic), cpuUsec: cpuUsec + (usage?.cpuUsec ?? 0) }
}

/** Executions whose exit came before the end keep it. */
export async function loseExecutions(
  live: Live | undefined,
  ending: ExecutionEnding,
  message: string,
): Promise<void> {
  if (live === undefined) return
  const running = [...live.executions.values()]
  for (const execution of running) execution.lose(ending, message)
  // Those that are pending fail as soon as the connection is gone: they have no ending.
  const started = running.filter((execution) => execution.record.state !== 'pending')
  await Promise.allSettled(started.map((execution) => execution.ended))
}
