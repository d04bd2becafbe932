import type { Context } from '../context.ts'
import { Turns } from '../network/turns.ts'

const turns = new WeakMap<Context, Turns>()

/**
 * What decides whether a sandbox runs follows one another: pausing, resuming, putting back a checkpoint, ending, and
 * saving while nothing runs. Work that has the turn must not ask for it again.
 */
export function inTurn<T>(context: Context, id: string, work: () => Promise<T>): Promise<T> {
  const known = turns.get(context) ?? new Turns()
  turns.set(context, known)
  return known.take(id, work)
}
