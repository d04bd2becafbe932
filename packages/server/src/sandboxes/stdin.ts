import { SandboxError } from '@caisson/protocol/errors'
import type { Context } from './context.ts'
import { findRunning } from './kill-execution.ts'

/** Passes bytes on as fast as the program takes them. */
export async function writeStdin(
  context: Context,
  id: string,
  data: AsyncIterable<Uint8Array>,
  close: boolean,
  signal?: AbortSignal,
): Promise<void> {
  const { running } = await findRunning(context, id)
  for await (const bytes of data) await handleOf(running, id).writeStdin(bytes, signal)
  if (close) handleOf(running, id).closeStdin()
}

export async function resizeTerminal(
  context: Context,
  id: string,
  cols: number,
  rows: number,
): Promise<void> {
  const { running } = await findRunning(context, id)
  handleOf(running, id).resize(cols, rows)
}

function handleOf<T>(running: { handle: T | null }, id: string): T {
  if (running.handle === null) throw new SandboxError('execution_ended', { execution: id })
  return running.handle
}
