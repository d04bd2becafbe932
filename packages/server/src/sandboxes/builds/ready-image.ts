import { SandboxError } from '@caisson/protocol/errors'
import type { RuntimeImage } from '../../storage/images/catalogue.ts'
import type { Context } from '../context.ts'
import { buildRuntime, hasSaves } from './build-runtime.ts'
import type { Progress } from './shared.ts'

/** Images whose parts were there when this server looked first. */
const seen = new WeakMap<Context, Set<string>>()

/**
 * The image of a runtime; one that is not built is built first. An image that is out of date serves until somebody builds
 * the runtime, so that a create waits for a build only when there is none.
 * @throws SandboxError `runtime_not_found`, `not_supported`, `build_failed`
 */
export async function readyImage(
  context: Context,
  reference: string,
  signal?: AbortSignal,
  progress?: Progress,
): Promise<RuntimeImage> {
  const known = await resolved(context, reference)
  if (known !== null) return known
  const entry = await context.images.entry(reference)
  if (entry === null) throw new SandboxError('runtime_not_built', { runtime: reference })
  return buildRuntime(context, entry, { force: false }, progress, signal)
}

/** null: it is not built, or what it was made of is gone. */
async function resolved(context: Context, reference: string): Promise<RuntimeImage | null> {
  const image = await context.images.resolve(reference).catch((error) => {
    if (SandboxError.is(error, 'runtime_not_built')) return null
    throw error
  })
  if (image === null) return null
  const whole = seen.get(context) ?? new Set<string>()
  seen.set(context, whole)
  if (whole.has(image.digest)) return image
  if (!(await hasSaves(context, image))) return null
  whole.add(image.digest)
  return image
}
