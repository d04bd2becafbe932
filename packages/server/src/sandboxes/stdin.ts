import { SandboxError } from '@caisson/protocol/errors'
import type { Context } from './context.ts'
import { findRunning, reach } from './kill-execution.ts'

/** Passes bytes on as fast as the program takes them. */
export async function writeStdin(
  context: Context,
  id: string,
  data: AsyncIterable<Uint8Array> | Uint8Array[],
  close: boolean,
  signal?: AbortSignal,
): Promise<void> {
  const { live, running } = await findRunning(context, id)
  for await (const bytes of data) await (await reach(context, live, running)).writeStdin(bytes, signal)
  if (!close) return
  ;(await reach(context, live, running)).closeStdin()
  running.record.stdin = false
  // It is closed whether or not that can be stored; whoever writes to it after a restart is told by the agent.
  await context.store.executions
    .update(id, { stdin: false })
    .catch((err) => context.log.warn({ execution: id, err }, 'that its stdin is closed could not be stored'))
}

/** The last viewer's size wins; it is remembered, so that the next viewer draws with it. */
export async function resizeTerminal(
  context: Context,
  id: string,
  cols: number,
  rows: number,
): Promise<void> {
  const { live, running } = await findRunning(context, id)
  const { record } = running
  if (record.tty === null) {
    throw new SandboxError('not_supported', { what: 'A size', reason: `execution ${id} has no terminal` })
  }
  const handle = await reach(context, live, running)
  handle.resize(cols, rows)
  record.tty = { cols, rows }
  await context.store.executions.update(id, { tty: record.tty })
}
