import type { Context } from '../context.ts'
import { removeSavesIfUnnamed } from './hold.ts'

/** Removes the checkpoints of a sandbox that ends, with their saves. Safe to repeat. */
export async function forgetCheckpoints(context: Context, sandboxId: string): Promise<void> {
  const saves = await context.store.checkpoints.removeOf(sandboxId)
  if (saves.length > 0) await removeSavesIfUnnamed(context, saves)
}
