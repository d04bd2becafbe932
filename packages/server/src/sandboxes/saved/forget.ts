import type { SandboxRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { removeSavesIfUnnamed } from './hold.ts'

/** Removes the checkpoints of a sandbox that ends, with their saves. Safe to repeat. */
export async function forgetCheckpoints(context: Context, sandboxId: string): Promise<void> {
  const saves = await context.store.checkpoints.removeOf(sandboxId)
  if (saves.length > 0) await removeSavesIfUnnamed(context, saves)
}

/** Removes what lay beneath a sandbox that has ended, when that was the last that needed it: its snapshot may be deleted. */
export async function forgetBeneath(context: Context, { base, layers }: SandboxRecord): Promise<void> {
  const beneath = base === null ? layers : [base, ...layers]
  if (beneath.length > 0) await removeSavesIfUnnamed(context, beneath)
}
