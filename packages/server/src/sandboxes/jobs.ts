import { SandboxError } from '@caisson/protocol/errors'
import type { Job } from '@caisson/protocol/resources'
import type { Context } from './context.ts'
import { findRunning } from './kill-execution.ts'
import { killTree, killTreeNow } from './kill-tree.ts'
import { findExecution, findSandbox, showJob } from './lookup.ts'
import { presentLive } from './pausing/kept.ts'
import { startAs } from './start-execution.ts'
import type { Once, UseCases } from './use-cases.ts'

export async function createJob(
  context: Context,
  id: string,
  input: Parameters<UseCases['createJob']>[1],
  options: Once = {},
): Promise<Job> {
  return showJob(context, await startAs('job', context, id, input, options))
}

export async function listJobs(
  context: Context,
  id: string,
  query: Parameters<UseCases['listJobs']>[1],
): Promise<{ jobs: Job[]; total: number }> {
  const sandbox = await findSandbox(context, id)
  const found = await context.store.executions.list({ sandboxId: sandbox.id, kind: 'job', ...query })
  return { jobs: found.items.map((record) => showJob(context, record)), total: found.total }
}

export async function getJob(context: Context, id: string, job: string): Promise<Job> {
  const sandbox = await findSandbox(context, id)
  const record = await findExecution(context, job)
  if (record.sandboxId !== sandbox.id || record.kind !== 'job')
    throw new SandboxError('execution_not_found', { execution: job })
  return showJob(context, record)
}

/** Ends a job with all that it has started, and waits until it has ended; one that has already is left as it is. */
export async function stopJob(context: Context, id: string, job: string, force: boolean): Promise<Job> {
  const { sandboxId } = await getJob(context, id, job)
  if (presentLive(context, sandboxId)?.executions.has(job)) {
    const { live, running } = await findRunning(context, job)
    await (force ? killTreeNow : killTree)(context, live, running, 'stopped')
    await running.ended
  }
  return getJob(context, id, job)
}
