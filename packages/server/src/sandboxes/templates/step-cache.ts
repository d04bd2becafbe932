import type { BuildStep } from '@caisson/protocol/resources'
import { digestOf } from '../../storage/images/recipe.ts'
import type { Context } from '../context.ts'
import { holdSave, removeSaveIfUnnamed } from '../saved/hold.ts'
import { savesOf, withNewSave } from '../saved/saves.ts'
import type { Base } from './base.ts'
import type { Workshop } from './workshop.ts'

/** Raise it when the same steps would be done in another way. */
const BUILDER = 1

/** A digest for each step: of it, of all before it, and of what the build began with. */
export function chainOf(
  { imageDigest, layers, save, env, user, workdir }: Base,
  { user: asked, steps }: { user?: string | undefined; steps: BuildStep[] },
): string[] {
  let below = digestOf({
    builder: BUILDER,
    imageDigest,
    layers,
    save,
    env,
    user,
    workdir,
    asked: asked ?? null,
  })
  return steps.map(({ force: _, ...step }) => {
    below = digestOf({ below, step })
    return below
  })
}

/** What an earlier build has kept behind the last of these steps that it can be found for, held until `holds` are disposed. */
export async function findStep(
  context: Context,
  chain: string[],
  holds: DisposableStack,
): Promise<{ steps: number; save: string } | null> {
  const there = new Set(await savesOf(context).list())
  for (let at = chain.length - 1; at >= 0; at--) {
    const layer = await context.store.layers.find(chain[at]!, Date.now())
    if (layer === null || !there.has(layer.save)) continue
    holds.use(holdSave(context, layer.save))
    return { steps: at + 1, save: layer.save }
  }
  return null
}

/** Keeps what the steps up to here have made, for builds that begin with the same; it replaces what was kept before. */
export async function keepStep(
  context: Context,
  { live, signal }: Workshop,
  { digest, what }: { digest: string; what: string },
): Promise<void> {
  const { layers } = context.store
  await withNewSave(context, { passing: false }, async (save) => {
    await savesOf(context).save(live.id, save, signal)
    context.failpoint('layer:saved')
    const now = Date.now()
    const old = await layers.find(digest, now)
    await layers.remove(digest)
    await layers.insert({
      digest,
      save,
      what: `template step ${what.slice(0, 200)}`,
      createdAt: now,
      usedAt: now,
    })
    context.failpoint('layer:recorded')
    if (old !== null) await removeSaveIfUnnamed(context, old.save)
  })
}
