import type { Stage } from '../core/plan.ts'
import { findLive } from './awake.ts'
import type { Context } from './context.ts'
import { createAsked } from './create-sandbox.ts'
import { endSandbox } from './end-sandbox.ts'
import { start } from './launch-execution.ts'
import { showExecution } from './lookup.ts'
import { followOutput } from './output.ts'
import type { Output, UseCases } from './use-cases.ts'

/** One command in a sandbox of its own, which ends with the command or with the caller, whichever comes first. */
export async function run(
  context: Context,
  input: Parameters<UseCases['run']>[0],
  signal: AbortSignal,
): Promise<{ output: Output; stages: Stage[] }> {
  const { live: created, stages } = await createAsked(context, input.sandbox ?? {}, 'oneshot', {}, signal)
  const end = () => {
    endSandbox(context, created.record, 'completed').catch((err) =>
      context.log.error({ sandbox: created.record.id, err }, 'run'),
    )
  }
  try {
    const running = await start(
      context,
      await findLive(context, created.record.id, 'exec'),
      input.execution,
      null,
    )
    signal.addEventListener('abort', end)
    running.ended.then(end, end).finally(() => signal.removeEventListener('abort', end))
    if (signal.aborted) end()
    const output = followOutput(context, running, { offset: 0 }, signal)
    return { output: { ...output, result: async () => showExecution(context, await running.ended) }, stages }
  } catch (error) {
    end()
    throw error
  }
}
