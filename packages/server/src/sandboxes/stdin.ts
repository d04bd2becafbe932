import type { Context } from './context.ts'
import { findRunning, reach } from './kill-execution.ts'

/** Passes bytes on as fast as the program takes them. */
export async function writeStdin(
  context: Context,
  id: string,
  data: AsyncIterable<Uint8Array>,
  close: boolean,
  signal?: AbortSignal,
): Promise<void> {
  const { live, running } = await findRunning(context, id)
  for await (const bytes of data) await (await reach(context, live, running)).writeStdin(bytes, signal)
  if (close) (await reach(context, live, running)).closeStdin()
}

export async function resizeTerminal(
  context: Context,
  id: string,
  cols: number,
  rows: number,
): Promise<void> {
  const { live, running } = await findRunning(context, id)
  const handle = await reach(context, live, running)
  handle.resize(cols, rows)
}
