import type { Context } from '../context.ts'
import { Turns } from '../network/turns.ts'

interface Kept {
  turns: Turns
  /** Volumes that work under way makes or is about to name in a record, with how many do. */
  held: Map<string, number>
}

const kept = new WeakMap<Context, Kept>()

function keptOf(context: Context): Kept {
  const known = kept.get(context) ?? { turns: new Turns(), held: new Map() }
  kept.set(context, known)
  return known
}

/** What decides whether a volume is there follows one another: taking it for a sandbox, and deleting it. */
export function inVolumeTurn<T>(context: Context, volume: string, work: () => Promise<T>): Promise<T> {
  return keptOf(context).turns.take(volume, work)
}

/** Keeps a volume from being deleted or collected while no record names it yet: until it is disposed. */
export function holdVolume(context: Context, volume: string): Disposable {
  const { held } = keptOf(context)
  held.set(volume, (held.get(volume) ?? 0) + 1)
  let holds = true
  return {
    [Symbol.dispose]() {
      if (!holds) return
      holds = false
      const left = (held.get(volume) ?? 0) - 1
      if (left > 0) held.set(volume, left)
      else held.delete(volume)
    },
  }
}

export function isHeld(context: Context, volume: string): boolean {
  return keptOf(context).held.has(volume)
}
