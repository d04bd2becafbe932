import type { Context } from './context.ts'
import { findExecution, showExecution } from './lookup.ts'
import { presentLive } from './pausing/kept.ts'
import type { RunningExecution } from './running-execution.ts'
import type { Output, OutputChunk } from './use-cases.ts'

/** Where to begin: at an offset, or so many bytes before the end. */
export type From = { offset: number } | { tail: number }

export async function readOutput(
  context: Context,
  id: string,
  from: From,
  follow: boolean | 'paced',
  signal?: AbortSignal,
): Promise<Output> {
  const record = await findExecution(context, id)
  const running = presentLive(context, record.sandboxId)?.executions.get(id)
  if (running !== undefined && follow) return followOutput(context, running, from, signal, follow === 'paced')
  const offset = firstOffset(from, context.outputs.bounds(id))
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
  from: From,
  signal?: AbortSignal,
  isPaced = false,
): Output {
  const { output } = running
  const offset = firstOffset(from, { start: output.start, end: output.kept })
  return {
    execution: showExecution(context, running.record),
    offset,
    chunks: isPaced ? paced(running, offset, output.follow(offset, signal)) : output.follow(offset, signal),
    result: async () => showExecution(context, await running.ended),
  }
}

/** Bytes that a paced program may be ahead of its reader. */
const AHEAD = 16 * 1024 * 1024

/** The program waits for who reads these. */
async function* paced(
  running: RunningExecution,
  offset: number,
  chunks: AsyncIterable<OutputChunk>,
): AsyncGenerator<OutputChunk> {
  const reader = {}
  running.pace(reader, offset + AHEAD)
  try {
    for await (const chunk of chunks) {
      yield chunk
      running.pace(reader, chunk.offset + chunk.data.length + AHEAD)
    }
  } finally {
    running.pace(reader, null)
  }
}

/** What is not kept any more can not be begun with. */
export function firstOffset(from: From, { start, end }: { start: number; end: number }): number {
  return Math.max(start, 'tail' in from ? end - from.tail : from.offset)
}
