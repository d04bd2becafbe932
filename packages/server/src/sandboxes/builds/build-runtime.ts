import { randomBytes } from 'node:crypto'
import { SandboxError } from '@caisson/protocol/errors'
import { buildTree } from '../../storage/images/build.ts'
import type { CatalogueEntry, ImageFile, RuntimeImage } from '../../storage/images/catalogue.ts'
import { digestOf, isDerived, programOf, type Recipe, stepsDigest } from '../../storage/images/recipe.ts'
import type { Context } from '../context.ts'
import { savesOf } from '../saved/saves.ts'
import { type Builder, withBuilder } from './builder.ts'
import { installNpm, unpackPackage } from './npm-packages.ts'
import { type Progress, share } from './shared.ts'
import { verify, verifyTree } from './verify.ts'

type NpmRecipe = Recipe & { npm: NonNullable<Recipe['npm']> }

/**
 * The image of a runtime as its recipe is now; what is not there yet is built: the Debian tree on the host, everything
 * above it in a builder sandbox. Those who want the same at the same time wait for one build.
 * @param force builds anew what is there; what was made from the old image keeps it
 * @throws SandboxError `not_supported`, `build_failed`
 */
export async function buildRuntime(
  context: Context,
  entry: CatalogueEntry,
  { force }: { force: boolean },
  progress?: Progress,
  signal?: AbortSignal,
): Promise<RuntimeImage> {
  assertBuildable(context, entry.recipe)
  const key = `runtime ${entry.recipe.id}${force ? ' anew' : ''}`
  return share(
    context,
    key,
    async (tell) => {
      const logged = (step: string) => {
        context.log.info({ build: entry.recipe.id, step }, 'building')
        tell(step)
      }
      const began = performance.now()
      const image = await build(context, entry, force, logged)
      context.log.info(
        { build: entry.recipe.id, digest: image.digest, ms: Math.round(performance.now() - began) },
        'built',
      )
      return image
    },
    progress,
    signal,
  )
}

/** What can be refused before anything is started. @throws SandboxError `not_supported` */
export function assertBuildable(context: Context, recipe: Recipe): void {
  const { driver } = context
  const what = `building runtime "${recipe.id}"`
  if (driver.roots.every((kind) => kind === 'directory'))
    throw new SandboxError('not_supported', { what, reason: `the ${driver.name} driver has no images` })
  if (process.getuid?.() !== 0)
    throw new SandboxError('not_supported', {
      what,
      reason: 'the server does not run as root, which making a Debian tree needs',
    })
  if (recipe.npm !== undefined) savesOf(context)
}

async function build(
  context: Context,
  entry: CatalogueEntry,
  force: boolean,
  progress: Progress,
): Promise<RuntimeImage> {
  const base = await baseOf(context, entry, force, progress)
  const { recipe } = entry
  if (recipe.npm === undefined) return base.image
  const source = stepsDigest(recipe, base.image.digest)!
  const { images } = context
  if (!force && (await images.source(entry)) === source) {
    const image = await images.resolve(recipe.id)
    if (await hasSaves(context, image)) return image
  }
  const sources = [context.config.build.npmRegistry]
  const wanted = { what: `Runtime "${recipe.id}"`, image: base.image, layers: [], sources }
  return withBuilder(
    context,
    wanted,
    async (builder) => {
      await installSteps(builder, context.config.build.npmRegistry, recipe.npm!, progress)
      progress('saving the image')
      return builder.keep((save) => record(context, entry as Entry, base.image, { source, save }, progress))
    },
    progress,
  )
}

type Entry = CatalogueEntry & { recipe: NpmRecipe }

/** What a recipe begins with. */
async function baseOf(
  context: Context,
  entry: CatalogueEntry,
  force: boolean,
  progress: Progress,
): Promise<{ image: RuntimeImage }> {
  const { folder, recipe, files } = entry
  const { config, images } = context
  if (isDerived(recipe)) {
    const from = await images.entry(recipe.from)
    if (from === null) throw new SandboxError('runtime_not_found', { runtime: recipe.from, available: [] })
    // Only this one was asked for anew.
    const image = await buildRuntime(context, from, { force: false }, (step) =>
      progress(`${recipe.from}: ${step}`),
    )
    return { image }
  }
  const { proxy, caFile, npmRegistry } = config.build
  const check = async (digest: string) => {
    if (recipe.npm === undefined) await verifyTree(context, entry, digest, progress)
  }
  const options = { imagesDir: config.imagesDir, progress, force, proxy, caFile, npmRegistry, check }
  const { digest } = await buildTree({ folder, recipe, files }, options)
  return { image: await images.byDigest(recipe.id, digest) }
}

async function installSteps(
  builder: Builder,
  registry: string,
  { unpack, packages }: NpmRecipe['npm'],
  progress: Progress,
): Promise<void> {
  for (const one of unpack) await unpackPackage(builder, registry, one, progress)
  if (packages.length > 0) await installNpm(builder, registry, packages, progress)
}

/**
 * Remembers the save as a layer, so that it is nobody's garbage, and the image that it makes above another, if that has
 * what it promises.
 */
async function record(
  context: Context,
  entry: Entry,
  base: RuntimeImage,
  { source, save }: { source: string; save: string },
  progress: Progress,
): Promise<RuntimeImage> {
  const { id, env: own } = entry.recipe
  const { store, images, failpoint } = context
  const digest = digestOf({ source, save, nonce: randomBytes(8).toString('hex') })
  const now = Date.now()
  await store.layers.insert({ digest, save, what: `runtime ${id}`, createdAt: now, usedAt: now })
  failpoint('layer:recorded')
  const { user, rootfs } = base
  const env = { ...base.env, ...own }
  const program = { ...programOf(base), ...programOf(entry.recipe) }
  const image = { runtime: id, digest, user, env, rootfs, layers: [save, ...base.layers], ...program }
  try {
    await verify(context, entry, image, progress)
    const file: ImageFile = { ...image, source, packages: {}, builtAt: new Date(now).toISOString() }
    return await images.addLayered(entry, file)
  } catch (error) {
    await store.layers.remove(digest)
    throw error
  }
}

/** Whether the storage still has what an image is made of: its pool may be another one. */
export async function hasSaves(context: Context, image: RuntimeImage): Promise<boolean> {
  const needed = [...image.layers, ...(image.rootfs.startsWith('saves/') ? [image.rootfs.slice(6)] : [])]
  if (needed.length === 0) return true
  const there = new Set(await context.layers.saves?.list())
  return needed.every((save) => there.has(save))
}
