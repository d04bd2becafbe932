import { SandboxError } from '@caisson/protocol/errors'
import { newId } from '../../core/ids.ts'
import type { Saves } from '../../storage/layers.ts'
import type { Context } from '../context.ts'
import { holdSave, removeSaveIfUnnamed } from './hold.ts'

/** @throws SandboxError `not_supported` */
export function savesOf({ layers }: Context): Saves {
  if (layers.saves !== undefined) return layers.saves
  const reason = `the ${layers.name} storage keeps no copies; set "storage" to "btrfs" ("caisson doctor" says whether this host can)`
  throw new SandboxError('not_supported', { what: 'saving files', reason })
}

/**
 * Gives `work` the name of a new save, which garbage collection leaves alone meanwhile. When it fails, the save is
 * removed unless a record names it; `passing`: when it succeeds, too.
 */
export async function withNewSave<T>(
  context: Context,
  { passing }: { passing: boolean },
  work: (save: string) => Promise<T>,
): Promise<T> {
  const save = newId('sav')
  const held = holdSave(context, save)
  let needed = false
  try {
    const result = await work(save)
    needed = !passing
    return result
  } finally {
    held[Symbol.dispose]()
    if (!needed) await removeSaveIfUnnamed(context, save)
  }
}
