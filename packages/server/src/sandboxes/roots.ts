import type { RootPlan } from '../core/plan.ts'
import type { SandboxRecord } from '../core/records.ts'
import type { RuntimeImage } from '../storage/images/catalogue.ts'
import type { WantedRoot } from '../storage/layers.ts'
import type { Context } from './context.ts'
import { assertOwnStorage } from './own-storage.ts'

/** The image that a sandbox was made from, which need not be the runtime's newest; null: its driver has none. */
export async function imageOf(
  { images }: Context,
  { runtime, imageDigest }: Pick<SandboxRecord, 'runtime' | 'imageDigest'>,
): Promise<RuntimeImage | null> {
  return imageDigest === null ? null : images.byDigest(runtime, imageDigest)
}

/** What the root of a sandbox is made of when it is made anew. */
export async function wantedRoot(context: Context, record: SandboxRecord): Promise<WantedRoot> {
  const { layers, base, granted } = record
  return { image: await imageOf(context, record), layers, from: base, diskBytes: granted.diskBytes }
}

/** The root of a sandbox that has one. @throws SandboxError `not_supported` */
export async function rootPlan(context: Context, record: SandboxRecord): Promise<RootPlan> {
  assertOwnStorage(context, record, 'starting it again')
  const image = await imageOf(context, record)
  return context.layers.plan(record.id, { image, layers: record.layers })
}
