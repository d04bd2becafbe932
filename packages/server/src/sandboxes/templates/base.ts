import { SandboxError } from '@caisson/protocol/errors'
import { invalid } from '../../core/invalid.ts'
import type { BuiltRecord, StartProgram } from '../../core/records.ts'
import type { RuntimeImage } from '../../storage/images/catalogue.ts'
import { importRuntime } from '../archives/import-runtime.ts'
import { assertReference } from '../archives/oci/fetch.ts'
import { readyImage } from '../builds/ready-image.ts'
import { type Progress, share } from '../builds/shared.ts'
import type { Context } from '../context.ts'
import { imageOf } from '../roots.ts'
import { findSnapshot } from '../saved/find-snapshot.ts'
import { holdSave } from '../saved/hold.ts'
import type { UseCases } from '../use-cases.ts'
import { findTemplateBuild } from './find-template.ts'
import { assertPublicRegistry } from './registry.ts'

type From = Parameters<UseCases['startBuild']>[1]['from']

/** What a build begins with. */
export interface Base extends Omit<BuiltRecord, 'save' | 'memory'> {
  image: RuntimeImage | null
  /** null: its own files begin empty. */
  save: string | null
  start: StartProgram | null
}

/** A runtime's name, with or without a tag. */
const RUNTIME = /^[a-z0-9][a-z0-9._-]{0,127}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$/

/** What can be refused before anything is started. @throws SandboxError as the operation says */
export async function assertBase(context: Context, from: From): Promise<void> {
  const { runtime, template, snapshot, image } = from
  const named = [runtime, template, snapshot, image].filter((one) => one !== undefined)
  if (named.length !== 1) throw invalid('from', 'needs one of runtime, template, snapshot and image')
  if (template !== undefined) await findTemplateBuild(context, template)
  if (snapshot !== undefined) await findSnapshot(context, snapshot)
  if (runtime !== undefined || image !== undefined) assertImages(context)
  if (runtime !== undefined) await context.images.get(runtime)
  if (image !== undefined && (await knownImage(context, image)) === null) {
    assertReference(image)
    await assertPublicRegistry(context, image)
  }
}

function assertImages({ driver }: Context): void {
  if (driver.roots.some((kind) => kind !== 'directory')) return
  const reason = `the ${driver.name} driver has no images`
  throw new SandboxError('not_supported', { what: 'building from a runtime or an image', reason })
}

/**
 * Finds what a build begins with; a runtime that is not built is built, and an image that is not here is imported.
 * @param holds keeps it from being collected until they are disposed
 */
export async function findBase(
  context: Context,
  { runtime, template, snapshot, image }: From,
  holds: DisposableStack,
  progress: Progress,
  signal: AbortSignal,
): Promise<Base> {
  if (template !== undefined) {
    const { build, made } = await findTemplateBuild(context, template)
    return savedBase(context, made, build.start, holds)
  }
  if (snapshot !== undefined) {
    const found = await findSnapshot(context, snapshot)
    return savedBase(context, found, found.start, holds)
  }
  const name = runtime ?? (await imported(context, image!, progress, signal))
  const found = await readyImage(context, name, signal, progress)
  holds.use(holdSave(context, found.digest))
  const nothing = { layers: [], save: null, env: {}, dependencies: [], packages: [] }
  const { runtime: id, digest: imageDigest, user, workdir = null, start, ports = [] } = found
  const program = start === undefined ? null : { ...start, ...(ports.length > 0 && { ports }) }
  return { image: found, runtime: id, imageDigest, user: user.name, workdir, start: program, ...nothing }
}

async function savedBase(
  context: Context,
  found: BuiltRecord,
  start: StartProgram | null,
  holds: DisposableStack,
): Promise<Base> {
  const { runtime, imageDigest, layers, save, env, user, workdir, dependencies, packages } = found
  holds.use(holdSave(context, save, imageDigest, ...layers))
  const image = await imageOf(context, found)
  return { image, runtime, imageDigest, layers, save, env, user, workdir, start, dependencies, packages }
}

/** The runtime that an image is here already; null: it is none yet. */
async function knownImage({ images }: Context, image: string): Promise<string | null> {
  const names = [...(RUNTIME.test(image) ? [image] : []), runtimeName(image)]
  for (const name of names) {
    const found = await images.get(name).catch((error) => {
      if (SandboxError.is(error, 'runtime_not_found')) return null
      throw error
    })
    if (found !== null) return found.id
  }
  return null
}

/** What an image is called as a runtime: its reference, with what no name has replaced. */
function runtimeName(reference: string): string {
  const [, repository = '', tag = 'latest'] = /^(.*?)(?:[:@]([^/]*))?$/.exec(reference) ?? []
  return `${repository.replace(/[^a-z0-9._-]/g, '-').slice(0, 128)}:${tag.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, 128)}`
}

/** Imports an image that is not here; those who want the same at the same time wait for one import. */
async function imported(
  context: Context,
  image: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<string> {
  const known = await knownImage(context, image)
  if (known !== null) return known
  const name = runtimeName(image)
  const work = async (tell: Progress) => {
    for await (const { step, error } of await importRuntime(context, { name, reference: image }, nothing())) {
      if (step !== undefined) tell(step)
      if (error !== undefined)
        throw new SandboxError('build_failed', { what: `Image "${image}"`, reason: error.message, log: '' })
    }
  }
  await share(context, `import ${name}`, work, progress, signal)
  return name
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
