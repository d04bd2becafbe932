import type { Context } from './context.ts'
import { findExecution, showExecution } from './lookup.ts'
import type { RunningExecution } from './running-execution.ts'
import type { Output } from './use-cases.ts'

export async function readOutput(
  context: Context,
  id: string,
  offset: number,
  follow: boolean,
  signal?: AbortSignal,
): Promise<Output> {
  const record = await findExecution(context, id)
  const running = context.live.get(record.sandboxId)?.executions.get(id)
  if (running !== undefined && follow) return followOutput(context, running, offset, signal)
  return {
    execution: showExecution(context, record),
    offset,
    chunks: context.outputs.read(id, offset, signal),
    result: async () => showExecution(context, await findExecution(context, id)),
  }
}

export function followOutput(
  context: Context,
  running: RunningExecution,
  offset: number,
  signal?: AbortSignal,
): Output {
  return {
    execution: showExecution(context, running.record),
    offset,
    chunks: running.output.follow(offset, signal),
    result: async () => showExecution(context, await running.ended),
  }
}
