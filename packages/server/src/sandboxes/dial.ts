import type { Duplex } from 'node:stream'
import { invalid } from '../core/invalid.ts'
import { findLive } from './awake.ts'
import { ask } from './connection.ts'
import type { Context } from './context.ts'
import type { Live } from './live.ts'

/** Connects to a port inside. It breaks with the connection to the agent, and so with the server. */
export async function dial(
  context: Context,
  id: string,
  port: number,
  signal?: AbortSignal,
): Promise<Duplex> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalid('port', 'must be 1 to 65535')
  const live = await findLive(context, id, 'dial')
  const finish = hold(context, live)
  try {
    const stream = await connectPort(context, live, port, signal)
    if (stream.destroyed) finish()
    else stream.once('close', finish)
    return stream
  } catch (error) {
    finish()
    throw error
  }
}

/** The connection alone, which does not count as activity. @throws SandboxError `port_closed`, `agent_lost` */
export function connectPort(
  context: Context,
  live: Live,
  port: number,
  signal?: AbortSignal,
): Promise<Duplex> {
  return ask(context, live, (guest, either) => guest.dial(port, either), signal)
}

/** Counts as activity until the returned function is called; more calls of it do nothing. */
export function hold(context: Context, live: Live): () => void {
  const end = live.begin(Date.now())
  let held = true
  return () => {
    if (!held) return
    held = false
    end()
    context.reschedule()
  }
}
