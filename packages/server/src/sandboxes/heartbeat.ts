import { ask } from './connection.ts'
import type { Context } from './context.ts'
import type { Live } from './live.ts'

/**
 * Asks the agent of every busy sandbox for a sign of life, so that a long command or transfer does not wait for ever on
 * an agent that was stopped. Idle sandboxes cost nothing: their next call finds out. @returns the undo.
 */
export function watchAgents(context: Context): () => void {
  const timer = setInterval(() => {
    for (const live of context.live.values()) if (live.busy && live.healthy) void probe(context, live)
  }, context.config.agentDeadlineMs).unref()
  return () => clearInterval(timer)
}

async function probe(context: Context, live: Live): Promise<void> {
  try {
    await ask(context, live, (guest, signal) => guest.files.stat('/', {}, signal))
  } catch (err) {
    context.log.warn({ sandbox: live.id, err }, 'a busy agent gave no sign of life')
  }
}
