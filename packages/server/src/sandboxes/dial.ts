import type { Duplex } from 'node:stream'
import { invalid } from '../core/invalid.ts'
import { ask } from './connection.ts'
import type { Context } from './context.ts'
import { findLive } from './lookup.ts'

/** Connects to a port inside. It breaks with the connection to the agent, and so with the server. */
export async function dial(
  context: Context,
  id: string,
  port: number,
  signal?: AbortSignal,
): Promise<Duplex> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalid('port', 'must be 1 to 65535')
  const live = await findLive(context, id)
  const end = live.begin(Date.now())
  const finish = () => {
    end()
    context.reschedule()
  }
  try {
    const stream = await ask(context, live, (guest, either) => guest.dial(port, either), signal)
    if (stream.destroyed) finish()
    else stream.once('close', finish)
    return stream
  } catch (error) {
    finish()
    throw error
  }
}
