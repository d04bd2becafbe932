import { SandboxError } from '@caisson/protocol/errors'
import type { Execution, Job, Sandbox } from '@caisson/protocol/resources'
import type { ExecutionRecord, SandboxRecord } from '../core/records.ts'
import { toExecution, toJob, toSandbox } from '../core/view.ts'
import type { Context } from './context.ts'
import { keptLives, presentLive } from './pausing/kept.ts'
import { showPorts } from './port-urls.ts'

/** The record of a sandbox, by id or by the name of one that has not ended. */
export async function findSandbox(context: Context, idOrName: string): Promise<SandboxRecord> {
  const known = rememberedSandbox(context, idOrName)
  if (known !== undefined) return known
  const record =
    (await context.store.sandboxes.get(idOrName)) ?? (await context.store.sandboxes.findByName(idOrName))
  if (record === null) throw new SandboxError('sandbox_not_found', { sandbox: idOrName })
  return rememberedSandbox(context, record.id) ?? record
}

/** The record of one that runs or is paused. */
function rememberedSandbox(context: Context, id: string): SandboxRecord | undefined {
  return context.live.get(id)?.record ?? context.paused.get(id)
}

/** Why nothing can be asked of a sandbox that has ended. */
export function endedError({ id, ending, state }: SandboxRecord): SandboxError {
  return new SandboxError('sandbox_ended', { sandbox: id, reason: ending?.message ?? state })
}

/** One that has not ended, whether it runs or is paused. */
export async function findLiving(context: Context, idOrName: string): Promise<SandboxRecord> {
  const record = await findSandbox(context, idOrName)
  if (record.endedAt !== null) throw endedError(record)
  return record
}

/** One that runs is found in memory: each new one is read so, and the store costs more than asking every sandbox. */
export async function findExecution(context: Context, id: string): Promise<ExecutionRecord> {
  for (const lives of [context.live, keptLives(context)])
    for (const live of lives.values()) {
      const running = live.executions.get(id)
      if (running !== undefined) return running.record
    }
  const record = await context.store.executions.get(id)
  if (record === null) throw new SandboxError('execution_not_found', { execution: id })
  return record
}

export function showSandbox(context: Context, record: SandboxRecord): Sandbox {
  const live = context.live.get(record.id)
  return toSandbox(record, {
    busy: live?.busy ?? false,
    healthy: live?.healthy ?? true,
    isolation: context.driver.isolation,
    ports: showPorts(context, record),
  })
}

/** A running execution's output grows between writes of its record. */
export function showExecution(context: Context, record: ExecutionRecord): Execution {
  const output = presentLive(context, record.sandboxId)?.executions.get(record.id)?.output
  if (output === undefined) return toExecution(record)
  const { total, start, truncated } = output
  return toExecution({ ...record, outputBytes: total, outputStart: start, outputTruncated: truncated })
}

export function showJob(context: Context, record: ExecutionRecord): Job {
  return toJob(showExecution(context, record), record)
}
