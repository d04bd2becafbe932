import type { SandboxRecord } from '../../core/records.ts'
import type { Guest } from '../../guest/guest.ts'
import { followHeld, keepConnected } from '../connection.ts'
import type { Context } from '../context.ts'
import type { Live } from '../live.ts'
import { skipPause } from '../metering.ts'
import { keptLives } from './kept.ts'

/** The time that commands may take stands still while they do not run. */
export async function shiftDeadlines(context: Context, live: Live, { pause }: SandboxRecord): Promise<void> {
  const by = Date.now() - (pause?.since ?? Date.now())
  for (const { record } of live.executions.values()) {
    if (record.deadlineAt === null) continue
    record.deadlineAt += by
    await context.store.executions.update(record.id, { deadlineAt: record.deadlineAt })
  }
}

/** The same for executions that only the store knows of yet. */
export async function shiftOpen({ store }: Context, { id, pause }: SandboxRecord): Promise<void> {
  const by = Date.now() - (pause?.since ?? Date.now())
  for (const { id: execution, deadlineAt } of await store.executions.open(id))
    if (deadlineAt !== null) await store.executions.update(execution, { deadlineAt: deadlineAt + by })
}

/**
 * A sandbox runs again, with the executions that it had. `guest` is the connection to an agent that has held them; null:
 * to a new one, which has nothing but what was started on it.
 */
export function runAgain(context: Context, live: Live, stored: SandboxRecord, guest: Guest | null): void {
  const { id } = live
  live.record = stored
  context.paused.delete(id)
  keptLives(context).delete(id)
  context.live.set(id, live)
  skipPause(context, live)
  for (const running of live.executions.values()) running.deadline?.go()
  // Connected but not followed is no connection: it is made anew.
  if (guest !== null) followHeld(context, live, guest).catch(() => live.drop())
  // It may have broken before anybody looked after it.
  void keepConnected(context, live)
  context.reschedule()
}
