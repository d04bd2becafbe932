import { randomBytes } from 'node:crypto'
import { SandboxError } from '@caisson/protocol/errors'
import type { Runtime } from '@caisson/protocol/resources'
import type { ImageFile, RuntimeImage } from '../../storage/images/catalogue.ts'
import { idOf } from '../../storage/images/catalogue.ts'
import { digestOf } from '../../storage/images/recipe.ts'
import { steps } from '../builds/runtimes.ts'
import type { Progress } from '../builds/shared.ts'
import type { Context } from '../context.ts'
import { savesOf, withNewSave } from '../saved/saves.ts'
import type { UseCases } from '../use-cases.ts'
import { applyLayers, type Lost } from './oci/apply.ts'
import { assertReference, fetchImage } from './oci/fetch.ts'
import { type OciImage, readImage } from './oci/image.ts'
import { ImageError, imageRefusal } from './oci/image-error.ts'
import { importDirectory, receiveArchive } from './oci/receive.ts'
import { archiveStore, directoryStore, type ImageStore } from './oci/store.ts'
import { createScratch, endScratch, filesOf, withEmptyScratch } from './scratch.ts'

type Query = Parameters<UseCases['importRuntime']>[0]
type Bytes = AsyncIterable<Uint8Array>

/** What no image needs more of. */
const MAX_ENTRIES = 2_000_000
const MAX_BYTES = 64 * 2 ** 30

/**
 * Makes a runtime of an OCI image. Nothing of it is unpacked or run on the host: its layers are written into a sandbox
 * that holds nothing else, and that sandbox's files are the image.
 * @throws SandboxError `not_supported`, `runtime_exists`, `image_invalid`, `shutting_down` before the first step
 */
export async function importRuntime(
  context: Context,
  query: Query,
  archive: Bytes,
  signal?: AbortSignal,
): ReturnType<UseCases['importRuntime']> {
  if (context.stopping) throw new SandboxError('shutting_down', {})
  savesOf(context)
  const id = idOf(query.name)
  await assertFree(context, id)
  if (query.reference !== undefined) assertReference(query.reference)
  const asked = { ...query, id, image: query.reference ?? 'in the archive' }
  const place = await importDirectory(context)
  try {
    // Before the answer begins: what sends an archive need not read meanwhile.
    const file = query.reference === undefined ? await receiveArchive(archive, place) : null
    return begun(
      steps(async (progress) => {
        try {
          const store = await open(context, asked, file, place, progress, signal)
          return await build(context, asked, store, progress, signal)
        } catch (error) {
          throw imageRefusal(asked.image, error)
        } finally {
          await place[Symbol.asyncDispose]()
        }
      }),
    )
  } catch (error) {
    await place[Symbol.asyncDispose]()
    throw imageRefusal(asked.image, error)
  }
}

type Asked = Query & { id: string; image: string }

async function assertFree({ images }: Context, id: string): Promise<void> {
  const known = await images.get(id).catch((error) => {
    if (SandboxError.is(error, 'runtime_not_found')) return null
    throw error
  })
  if (known !== null) throw new SandboxError('runtime_exists', { runtime: id })
}

async function open(
  context: Context,
  { reference, insecure = false }: Asked,
  file: string | null,
  { path, maxBytes }: { path: string; maxBytes: number },
  progress: Progress,
  signal?: AbortSignal,
): Promise<ImageStore> {
  if (file !== null) return archiveStore(file)
  progress(`fetching ${reference}`)
  const options = { directory: path, insecure, maxBytes }
  return directoryStore(await fetchImage(context.config, reference!, options, signal))
}

async function build(
  context: Context,
  asked: Asked,
  store: ImageStore,
  progress: Progress,
  signal?: AbortSignal,
): Promise<Runtime> {
  progress('reading the image')
  const image = await readImage(store)
  const bytes = Math.min(MAX_BYTES, context.layers.maxDiskBytes ?? MAX_BYTES)
  await withEmptyScratch(
    context,
    `import of runtime ${asked.id}`,
    async (live) => {
      const budget = { entries: MAX_ENTRIES, bytes }
      const lost = await applyLayers(await filesOf(context, live), store, image, budget, progress, signal)
      progress('saving the image')
      await withNewSave(context, { passing: false }, async (save) => {
        await savesOf(context).save(live.id, save, signal)
        context.failpoint('layer:saved')
        await record(context, asked, image, { save, lost }, progress, signal)
      })
    },
    signal,
  )
  return context.images.get(asked.id)
}

/** Remembers the save, so that it is nobody's garbage, and the image, if a sandbox can be started from it. */
async function record(
  context: Context,
  asked: Asked,
  { digest: source, user, env, ignored }: OciImage,
  { save, lost }: { save: string; lost: Lost },
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  const { store, images, failpoint } = context
  const digest = digestOf({ source, save, nonce: randomBytes(8).toString('hex') })
  const now = Date.now()
  await store.layers.insert({ digest, save, what: `runtime ${asked.id}`, createdAt: now, usedAt: now })
  failpoint('layer:recorded')
  const image = {
    ...{ runtime: asked.id, digest, env, rootfs: `saves/${save}`, layers: [] },
    user: { name: user, uid: 0, home: '/', shell: '/bin/sh', sudo: false },
  }
  try {
    await tryOut(context, image, progress, signal)
    const file: ImageFile = { ...image, source, packages: {}, builtAt: new Date(now).toISOString() }
    await images.addImported({ described: describe(asked, notesOf(ignored, lost)), image: file })
  } catch (error) {
    await store.layers.remove(digest)
    throw error
  }
}

/** @throws ImageError when no sandbox starts from it */
async function tryOut(
  context: Context,
  image: RuntimeImage,
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  progress('starting a sandbox from it')
  const made = { image, layers: [], from: null }
  const live = await createScratch(context, `trial of runtime ${image.runtime}`, made, signal).catch(
    (error) => {
      if (!SandboxError.is(error, 'create_failed')) throw error
      throw new ImageError(`no sandbox can be started from it: ${error.message}`, { cause: error })
    },
  )
  await endScratch(context, live)
}

function describe({ id, reference }: Asked, notes: string | null) {
  return {
    id,
    name: id,
    description:
      reference === undefined ? 'Imported from an archive of an image.' : `Imported from ${reference}.`,
    ...{ icon: null, color: null, url: null, tags: ['imported'], notes },
    requirements: { memory: null, cpu: null, disk: null },
  }
}

function notesOf(ignored: string[], { devices, attributes }: Lost): string | null {
  const missing = [
    ...(devices > 0 ? [`${devices} device files`] : []),
    ...(attributes > 0 ? [`${attributes} extended attributes`] : []),
  ]
  const sentences = [
    ...(ignored.length > 0 ? [`A sandbox does not take over ${ignored.join(', ')}.`] : []),
    ...(missing.length > 0 ? [`It lacks ${missing.join(' and ')} of the image.`] : []),
  ]
  return sentences.length > 0 ? sentences.join(' ') : null
}

/** Work that has begun, and so ends, whether anybody reads of it or not. */
async function* readOn<T>(first: Promise<IteratorResult<T>>, rest: AsyncIterator<T>): AsyncGenerator<T> {
  for (let next = await first; !next.done; next = await rest.next()) yield next.value
}

function begun<T>(source: AsyncGenerator<T>): AsyncIterable<T> {
  return readOn(source.next(), source)
}
